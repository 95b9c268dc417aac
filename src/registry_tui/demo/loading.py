"""Loads the demo: places first, then training in two processes at a time, then registration by the service."""

from __future__ import annotations

import asyncio

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, RegistryError
from registry_tui.contracts.counts import counted
from registry_tui.demo.plan import (
    ENVIRONMENTS,
    MARK,
    PROJECTS,
    ROLE,
    DemoEnvironment,
    DemoModel,
    DemoProject,
    Version,
    describe,
)
from registry_tui.demo.progress import Progress, Tell
from registry_tui.demo.state import State
from registry_tui.demo.subprocesses import Training
from registry_tui.platform import extras
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.paths import Home
from registry_tui.schemas.deployments import DeploymentCreate
from registry_tui.schemas.models import (
    ModelUpdate,
    ModelVersion,
    RegisteredModel,
    RegisterModel,
    Tag,
    VersionStatus,
    VersionUpdate,
)
from registry_tui.schemas.operations import Workflow, WorkflowStatus
from registry_tui.schemas.places import (
    CollaboratorChange,
    Environment,
    EnvironmentCreate,
    Project,
    ProjectCreate,
    Workspace,
    WorkspaceCreate,
)
from registry_tui.schemas.registries import RegistryCreate, SynchronizeState
from registry_tui.schemas.tracking import Run, RunSearch

#: Projects that train at the same time: one a core of a small machine.
AT_ONCE = 2
#: Seconds until a version's archive must be stored.
ARCHIVE_TIMEOUT = 120


async def load(home: Home, tell: Tell) -> None:
    """Creates the missing parts of the demo. Raises PlatformError, RegistryError."""
    extras.require("platform", "demo")
    state = State.load(home)
    async with RegistryClient(home) as client:
        projects = await _ensure_places(client, state, tell)
        slots = asyncio.Semaphore(AT_ONCE)
        training = Training(tell)
        async with asyncio.TaskGroup() as group:
            for plan in PROJECTS:
                group.create_task(_fill(home, client, state, training, slots, plan, projects[plan.name], tell))
        for plan in PROJECTS:
            await _ensure_deployment(client, plan, projects[plan.name], tell)
    tell(Progress("The demo is loaded; `registry-tui demo --remove` takes it away", lasting=True))


# -- places --------------------------------------------------------------------------------------------


async def _ensure_places(client: RegistryClient, state: State, tell: Tell) -> dict[str, Project]:
    workspaces: dict[str, Workspace] = {}
    for plan in ENVIRONMENTS:
        environment = await _ensure_environment(client, state, plan)
        for name in plan.workspaces:
            workspaces[name] = await _ensure_workspace(client, state, environment, name)
        tell(Progress(f"environment {plan.name} with {', '.join(plan.workspaces)}", lasting=True))
    projects = {}
    for project in PROJECTS:
        projects[project.name] = await _ensure_project(client, state, workspaces[project.workspace].id, project)
    tell(Progress(f"projects {', '.join(projects)}", lasting=True))
    for plan in ENVIRONMENTS:
        tell(Progress(f"Model Registry {plan.registry}", lasting=False))
        await _ensure_registry(client, plan)
        tell(Progress(f"Model Registry {plan.registry}, synchronized", lasting=True))
    return projects


async def _ensure_environment(client: RegistryClient, state: State, plan: DemoEnvironment) -> Environment:
    try:
        found = await client.environment(plan.name)
        state.require_ours("environments", plan.name, found.id)
    except NotFound:
        state.begin("environments", plan.name)
        found = await client.create_environment(
            EnvironmentCreate(name=plan.name, cloud=plan.cloud, raz_enabled=plan.raz_enabled)
        )
    state.done("environments", plan.name, found.id)
    return found


async def _ensure_workspace(client: RegistryClient, state: State, environment: Environment, name: str) -> Workspace:
    async for each in client.every(client.workspaces, environment.id):
        if each.name == name:
            found: Workspace = each
            state.require_ours("workspaces", name, found.id)
            break
    else:
        state.begin("workspaces", name)
        found = await client.create_workspace(WorkspaceCreate(name=name, environment=environment.id))
    state.done("workspaces", name, found.id)
    return found


async def _ensure_project(client: RegistryClient, state: State, workspace_id: str, plan: DemoProject) -> Project:
    async for each in client.every(client.projects, workspace_id):
        if each.name == plan.name:
            found: Project = each
            state.require_ours("projects", plan.name, found.id)
            break
    else:
        state.begin("projects", plan.name)
        request = ProjectCreate(name=plan.name, workspace=workspace_id, description=plan.description)
        found = await client.create_project(request)
    state.done("projects", plan.name, found.id)
    present = {each.user: each.role for each in (await client.collaborators(found.id)).items}
    for user, role in plan.collaborators:
        if present.get(user) is not role:
            await client.set_collaborator(found.id, user, CollaboratorChange(role=role))
    return found


async def _ensure_registry(client: RegistryClient, plan: DemoEnvironment) -> None:
    environment = await client.environment(plan.name)
    registry = environment.registry_id
    if registry is None:
        request = RegistryCreate(
            environment=environment.id,
            name=plan.registry,
            existing_nfs=plan.existing_nfs,
            nfs_protocol_version=plan.nfs_protocol_version,
            grant_storage_access=True,
        )
        accepted = await client.create_registry(request)
        _require(await client.wait_for_workflow(accepted.workflow.id))
        registry = accepted.resource.id
    found = await client.registry(registry)
    if found.workflow_id is not None:
        _require(await client.wait_for_workflow(found.workflow_id))
        found = await client.registry(registry)
    if any(each.state is not SynchronizeState.COMPLETED for each in found.workspaces):
        accepted = await client.synchronize_registry(registry)
        _require(await client.wait_for_workflow(accepted.workflow.id))


def _require(workflow: Workflow) -> None:
    if workflow.status is not WorkflowStatus.SUCCEEDED:
        raise RegistryError(
            f"{workflow.kind.value} of {workflow.resource_name} {workflow.status.value}: {workflow.error}",
            action=workflow.action or f"See `registry-tui workflows logs {workflow.id}`",
            request_id=workflow.request_id,
        )


# -- runs and versions ---------------------------------------------------------------------------------


async def _fill(
    home: Home,
    client: RegistryClient,
    state: State,
    training: Training,
    slots: asyncio.Semaphore,
    plan: DemoProject,
    project: Project,
    tell: Tell,
) -> None:
    """Trains and registers the missing versions of one project, as its lead."""
    project = await client.project(project.id)
    registry = project.registry_id
    if registry is None:
        raise PlatformError(
            f"Project {plan.name} cannot register models yet", action=f"`registry-tui projects show {project.id}`"
        )
    async with slots, RegistryClient(home, user=plan.lead) as lead:
        runs = await _runs(lead, project.id)
        missing = [pair for pair in await _missing(lead, registry, plan) if pair[1].by_sdk]
        if missing or not set(state.runs.get(plan.name, ["?"])) <= set(runs):
            exports = (await lead.credentials(project.id)).as_exports()
            await training.run(plan.name, exports, [_sdk_version(model, version) for model, version in missing])
            runs = await _runs(lead, project.id)
            state.runs[plan.name] = list(runs)
            state.save()
        await _register(lead, registry, project.id, plan, runs)
        count = sum(len(model.versions) for model in plan.models)
    tell(Progress(f"{plan.name}: {counted(len(runs), 'run')}, {counted(count, 'registered version')}", lasting=True))


async def _runs(client: RegistryClient, project: str) -> dict[str, Run]:
    """The demo's finished runs by ID."""
    ids = [each.id async for each in client.every(client.experiments, project)]
    if not ids:
        return {}
    request = RunSearch(experiment_ids=ids, filter=f"tags.`{MARK}` LIKE '%'", page_size=1000)
    return {run.id: run for run in (await client.search_runs(project, request)).items if run.status == "FINISHED"}


def _sdk_version(model: DemoModel, version: Version) -> dict[str, str]:
    return {
        "experiment": model.experiment,
        "role": version.model,
        "name": model.name,
        "key": _key(model, version),
        "notes": version.notes,
    }


def _key(model: DemoModel, version: Version) -> str:
    return f"{model.name}/{version.model}"


async def _known(client: RegistryClient, registry: str, model: DemoModel) -> dict[str, ModelVersion]:
    """The demo's versions of a model by their mark."""
    try:
        found = [each async for each in client.every(client.versions, registry, model.name)]
    except NotFound:
        return {}
    marked = {each.tags.get(MARK, ""): each for each in found if each.status is not VersionStatus.FAILED_REGISTRATION}
    marked.pop("", None)
    return marked


async def _missing(client: RegistryClient, registry: str, plan: DemoProject) -> list[tuple[DemoModel, Version]]:
    missing = []
    for model in plan.models:
        known = await _known(client, registry, model)
        missing += [(model, version) for version in model.versions if _key(model, version) not in known]
    return missing


async def _register(
    client: RegistryClient, registry: str, project: str, plan: DemoProject, runs: dict[str, Run]
) -> None:
    """Registers the versions that the training did not, and describes models and versions as planned."""
    experiments = {each.id: each.name async for each in client.every(client.experiments, project)}
    for model in plan.models:
        of_model = {
            run.tags[ROLE]: run
            for run in runs.values()
            if ROLE in run.tags and experiments.get(run.experiment_id) == model.experiment
        }
        for _, version in [pair for pair in await _missing(client, registry, plan) if pair[0] is model]:
            run = of_model[version.model]
            request = RegisterModel(
                name=model.name,
                run_id=run.id,
                artifact_path="model",
                notes=describe(version.notes, run.params, run.metrics),
                tags=[Tag(key=MARK, value=_key(model, version))],
            )
            accepted = await client.register_model(project, request)
            _require(await client.wait_for_workflow(accepted.workflow.id))
        await _dress(client, registry, model)


async def _dress(client: RegistryClient, registry: str, model: DemoModel) -> None:
    """Gives a model its description, its visibility, its versions' tags and its aliases, where they are missing."""
    found: RegisteredModel = await client.model(registry, model.name)
    if found.description != model.description or found.visibility is not model.visibility:
        change = ModelUpdate(description=model.description, visibility=model.visibility)
        await client.update_model(registry, model.name, change)
    for key, version in (await _known(client, registry, model)).items():
        planned = next((each for each in model.versions if _key(model, each) == key), None)
        await _wait_until_ready(client, registry, version)
        if planned is None:
            continue
        wanted = [Tag(key=name, value=value) for name, value in planned.tags if version.tags.get(name) != value]
        if wanted:
            await client.update_version(registry, model.name, version.version, VersionUpdate(set_tags=wanted))
        if planned.alias and found.aliases.get(planned.alias) != version.version:
            await client.set_alias(registry, model.name, planned.alias, version.version)


async def _wait_until_ready(client: RegistryClient, registry: str, version: ModelVersion) -> None:
    name, number = version.model_name, version.version
    async with asyncio.timeout(ARCHIVE_TIMEOUT):
        while version.status is VersionStatus.PENDING_REGISTRATION:
            await asyncio.sleep(0.1)
            version = await client.version(registry, name, number)
    if version.status is not VersionStatus.READY:
        raise RegistryError(
            f"The archive of {name} version {number} was not stored: {version.status_message}",
            action="Run `registry-tui demo` again",
        )


# -- serving -------------------------------------------------------------------------------------------


async def _ensure_deployment(client: RegistryClient, plan: DemoProject, project: Project, tell: Tell) -> None:
    """Serves the project's first model, callable without a key: a demo should work at once."""
    if plan.deployment is None:
        return
    tell(Progress(f"deploying {plan.deployment}", lasting=False))
    try:
        await client.deployment(f"{plan.workspace}/{plan.name}/{plan.deployment}")
    except NotFound:
        request = DeploymentCreate(
            name=plan.deployment,
            project=project.id,
            model=plan.models[0].name,
            alias="champion",
            follow_alias=True,
            authentication=False,
            description=f"{plan.models[0].name} as an endpoint. Part of the demo.",
        )
        accepted = await client.create_deployment(request)
        _require(await client.wait_for_workflow(accepted.workflow.id))
    tell(Progress(f"deployment {plan.deployment}", lasting=True))
