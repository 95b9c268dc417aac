"""Removes the places, versions and models of the demo, by ID. Additions of people stay, and are reported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, RegistryError
from registry_tui.contracts.counts import counted
from registry_tui.demo.plan import ENVIRONMENTS, MARK, PROJECTS, DemoProject
from registry_tui.demo.progress import Progress, Tell
from registry_tui.demo.state import Kind, State
from registry_tui.platform.paths import Home
from registry_tui.schemas.operations import Workflow, WorkflowStatus
from registry_tui.schemas.registries import RegistryDelete
from registry_tui.schemas.tracking import Run, RunSearch

Answer = TypeVar("Answer")


async def remove(home: Home, tell: Tell) -> None:
    """Removes the demo from a running platform. Raises PlatformError, RegistryError."""
    state = State.load(home)
    if not any(state.places.values()):
        tell(Progress("The demo is not loaded here", lasting=True))
        return
    async with RegistryClient(home) as client:
        for project in PROJECTS:
            await _remove_deployment(client, state, project, tell)
        for environment in ENVIRONMENTS:
            await _remove_registry(client, state, environment.name, tell)
        for project in PROJECTS:
            await _remove_project(client, state, project, tell)
        for environment in ENVIRONMENTS:
            for workspace in environment.workspaces:
                await _remove_workspace(client, state, workspace, tell)
            await _remove_environment(client, state, environment.name, tell)
    left = [name for places in state.places.values() for name in places]
    tell(Progress("The demo is removed" if not left else f"Kept because others added to them: {', '.join(left)}", True))


async def _found(state: State, kind: Kind, name: str, lookup: Callable[[str], Awaitable[Answer]]) -> Answer | None:
    """The place, if the demo made it and it is still there."""
    if name not in state.places[kind]:
        return None
    # Without an ID its making was cut off: nothing else in this home can have its name, or it would have been refused.
    wanted = state.places[kind][name] or name
    try:
        return await lookup(wanted)
    except NotFound:
        state.forget(kind, name)
        return None


async def _remove_deployment(client: RegistryClient, state: State, plan: DemoProject, tell: Tell) -> None:
    project = await _found(state, "projects", plan.name, client.project)
    if project is None or plan.deployment is None:
        return
    for each in [each async for each in client.every(client.deployments, project=project.id)]:
        if each.name == plan.deployment:
            tell(Progress(f"stopping deployment {each.name}", lasting=False))
            accepted = await client.delete_deployment(each.id, force=True)
            await _finish(client, accepted.workflow, f"Deployment {each.name}")
            tell(Progress(f"deleted deployment {each.name}", lasting=True))


async def _finish(client: RegistryClient, workflow: Workflow, what: str) -> None:
    done = await client.wait_for_workflow(workflow.id)
    if done.status is not WorkflowStatus.SUCCEEDED:
        raise RegistryError(
            f"{what} could not be deleted: {done.error}",
            action=done.action or f"See `registry-tui workflows logs {done.id}`",
            request_id=done.request_id,
        )


async def _remove_registry(client: RegistryClient, state: State, environment: str, tell: Tell) -> None:
    place = await _found(state, "environments", environment, client.environment)
    if place is None or place.registry_id is None:
        return
    registry, name = place.registry_id, place.registry_name
    tell(Progress(f"deleting Model Registry {name}", lasting=False))
    served = [each.name async for each in client.every(client.deployments, registry=registry)]
    if served:
        tell(Progress(f"Model Registry {name} stays: its versions are served by {', '.join(served)}", lasting=True))
        return
    foreign = await _remove_versions(client, registry, dry=True)
    if foreign:
        await _remove_versions(client, registry, dry=False)
        tell(Progress(f"Model Registry {name} stays: it holds {', '.join(foreign)}", lasting=True))
        return
    accepted = await client.delete_registry(registry, RegistryDelete(delete_archives=True))
    await _finish(client, accepted.workflow, f"Model Registry {name}")
    tell(Progress(f"deleted Model Registry {name} with its archives", lasting=True))


async def _remove_versions(client: RegistryClient, registry: str, *, dry: bool) -> list[str]:
    """Deletes the demo's versions, and models without others; returns the names of models with versions of others."""
    foreign = []
    for model in [each async for each in client.every(client.models, registry)]:
        versions = [each async for each in client.every(client.versions, registry, model.id)]
        ours = [each for each in versions if MARK in each.tags]
        if len(ours) < len(versions) or not versions:
            foreign.append(model.name)
        if dry or not ours:
            continue
        if len(ours) == len(versions):
            await client.delete_model(registry, model.id)
            continue
        for version in ours:
            await client.delete_version(registry, model.id, version.version)
    return foreign


async def _remove_project(client: RegistryClient, state: State, plan: DemoProject, tell: Tell) -> None:
    project = await _found(state, "projects", plan.name, client.project)
    if project is None:
        return
    tell(Progress(f"deleting project {plan.name}", lasting=False))
    ours, foreign = await _runs(client, project.id)
    experiments = [each async for each in client.every(client.experiments, project.id)]
    added = [each.name for each in experiments if each.tags.get(MARK) is None and each.name != "Default"]
    served = [each.name async for each in client.every(client.deployments, project=project.id)]
    if foreign or added or served:
        await _delete_runs(client, project.id, ours)
        what = [*(f"experiment {name}" for name in added), *(f"run {run.name}" for run in foreign)]
        what += [f"deployment {name}" for name in served]
        tell(Progress(f"project {plan.name} stays: it holds {', '.join(what[:5])}", lasting=True))
        return
    await client.delete_project(project.id, force=True)
    state.forget("projects", plan.name)
    tell(Progress(f"deleted project {plan.name}", lasting=True))


async def _runs(client: RegistryClient, project: str) -> tuple[list[Run], list[Run]]:
    """The demo's runs of a project, and others'."""
    ids = [each.id async for each in client.every(client.experiments, project)]
    ours: list[Run] = []
    others: list[Run] = []
    token = None
    while ids:
        page = await client.search_runs(project, RunSearch(experiment_ids=ids, page_size=1000, page_token=token))
        for run in page.items:
            (ours if MARK in run.tags else others).append(run)
        if (token := page.next_page_token) is None:
            break
    return ours, others


async def _delete_runs(client: RegistryClient, project: str, runs: list[Run]) -> None:
    """Deletes runs through MLflow's own REST API."""
    credentials = await client.credentials(project)
    async with httpx.AsyncClient(
        base_url=credentials.tracking_uri,
        auth=(credentials.username, credentials.password),
        headers={"X-MLFLOW-WORKSPACE": credentials.mlflow_workspace},
        trust_env=False,
        timeout=30,
    ) as mlflow:
        for run in runs:
            answer = await mlflow.post("/api/2.0/mlflow/runs/delete", json={"run_id": run.id})
            if answer.is_error:
                raise RegistryError(f"MLflow could not delete run {run.id}", action="See `registry-tui logs mlflow`")


async def _remove_workspace(client: RegistryClient, state: State, name: str, tell: Tell) -> None:
    workspace = await _found(state, "workspaces", name, client.workspace)
    if workspace is None:
        return
    if workspace.project_count:
        tell(Progress(f"workspace {name} stays: it holds {counted(workspace.project_count, 'project')}", lasting=True))
        return
    await client.delete_workspace(workspace.id)
    state.forget("workspaces", name)


async def _remove_environment(client: RegistryClient, state: State, name: str, tell: Tell) -> None:
    environment = await _found(state, "environments", name, client.environment)
    if environment is None:
        return
    if environment.workspace_count or environment.registry_id:
        tell(Progress(f"environment {name} stays: it holds something", lasting=True))
        return
    await client.delete_environment(environment.id)
    state.forget("environments", name)
    tell(Progress(f"deleted environment {name}", lasting=True))
