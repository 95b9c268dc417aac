"""Environments, workspaces, projects and their people, through the client, on the run's shared platform."""

from __future__ import annotations

import asyncio
import json
import uuid

import httpx
import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import Conflict, NotFound, Refused, WrongInput
from registry_tui.schemas.people import EnvironmentRole, RolesChange
from registry_tui.schemas.places import (
    Cloud,
    CollaboratorChange,
    EnvironmentCreate,
    Project,
    ProjectCreate,
    Role,
    WorkspaceCreate,
)
from support.platforms import PATIENCE, Platform, unique


def mlflow(platform: Platform, exports: dict[str, str], path: str, body: dict[str, object]) -> httpx.Response:
    """A call of MLflow's REST API as stock MLflow code makes it."""
    return httpx.post(
        f"{platform.ports.mlflow_url}/api/2.0/mlflow/{path}",
        json=body,
        auth=(exports["MLFLOW_TRACKING_USERNAME"], exports["MLFLOW_TRACKING_PASSWORD"]),
        headers={"X-MLFLOW-WORKSPACE": exports["MLFLOW_WORKSPACE"]},
        timeout=PATIENCE,
    )


async def test_the_first_start_made_everything_that_is_needed(client: RegistryClient) -> None:
    environment = await client.environment("local")
    assert (environment.cloud, environment.raz_enabled, environment.registry_name) == (
        Cloud.AWS,
        True,
        "registry-local",
    )
    project = await client.project("local/default/default")
    assert project.registry_name == "registry-local" and project.mlflow_workspace == "default"
    workspace = await client.workspace("local/default")
    assert workspace.synchronized and workspace.project_count >= 1


async def test_places_are_made_shown_and_deleted_from_the_inside_out(
    platform: Platform, client: RegistryClient
) -> None:
    name = unique("e")
    environment = await client.create_environment(EnvironmentCreate(name=name, cloud=Cloud.AZURE, raz_enabled=False))
    assert environment.bucket == f"{name}-{environment.id[:8]}" and environment.crn.endswith(environment.id)
    assert await client.environment(environment.id) == environment
    workspace = await client.create_workspace(WorkspaceCreate(name="team", environment=name))
    assert not workspace.synchronized
    project = await client.create_project(ProjectCreate(name="wine", workspace=f"{name}/team", description="Wines"))
    assert (project.registry_id, project.environment_name, project.description) == (None, name, "Wines")
    routes = json.loads(platform.home.routes_file.read_text())["projects"][project.mlflow_workspace]
    assert routes["bucket"] == environment.bucket and routes["registry"] is None
    assert f"registries create {name}" in routes["refusal"]
    assert [each.id for each in (await client.workspaces(environment=name)).items] == [workspace.id]
    assert [each.id for each in (await client.projects(workspace=workspace.id)).items] == [project.id]

    with pytest.raises(Conflict, match="still has workspaces: team"):
        await client.delete_environment(name)
    with pytest.raises(Conflict, match="still has projects: wine"):
        await client.delete_workspace(workspace.id)
    await client.delete_project(f"{name}/team/wine")
    await client.delete_workspace(f"{name}/team")
    await client.delete_environment(name)
    with pytest.raises(NotFound):
        await client.environment(name)
    events = await asyncio.to_thread(platform.events, resource=environment.id)
    assert [(event.action, event.outcome.value) for event in events] == [
        ("environment.delete", "succeeded"),
        ("environment.delete", "failed"),
        ("environment.create", "succeeded"),
    ]
    assert "team" in events[1].detail and all(event.duration_ms is not None for event in events)
    assert len({event.request_id for event in events}) == 3


async def test_names_that_cannot_be_are_refused_with_the_reason(client: RegistryClient) -> None:
    for name in ("A", "a", "-a", "ä-b", "a" * 41, "a_b", "../x", ""):
        with pytest.raises(WrongInput) as refused:
            await client._ask(Project, "POST", "/projects", body=_Raw(name=name, workspace="local/default"))
        assert [error.field for error in refused.value.problem.errors] == ["name"]
    with pytest.raises(WrongInput) as refused:
        await client.create_project(ProjectCreate(name="mr-wine", workspace="local/default"))
    assert "Model Registries" in refused.value.problem.errors[0].message
    with pytest.raises(NotFound, match="no workspace 'none'"):
        await client.create_project(ProjectCreate(name="wine", workspace="none"))


class _Raw(ProjectCreate):
    name: str


async def test_a_name_that_two_places_have_must_be_told_apart(client: RegistryClient, project: Project) -> None:
    with pytest.raises(Conflict, match="already"):
        await client.create_project(ProjectCreate(name=project.name, workspace=project.workspace_id))
    team = await client.create_workspace(WorkspaceCreate(name=unique("w"), environment="local"))
    twin = await client.create_project(ProjectCreate(name=project.name, workspace=team.id))
    assert twin.mlflow_workspace == f"{project.name}-{twin.id[:6]}"
    with pytest.raises(WrongInput) as refused:
        await client.project(project.name)
    assert f"local/{team.name}/{project.name}" in refused.value.message
    assert (await client.project(f"{team.name}/{project.name}")).id == twin.id
    assert (await client.project(f"local/default/{project.name}")).id == project.id
    # A workspace that was made after the last synchronization does not know the registry.
    assert twin.registry_id is None and project.registry_name == "registry-local"


async def test_people_see_and_do_what_their_role_allows(platform: Platform, client: RegistryClient) -> None:
    project = (await client.project(platform.new_project().id)).id
    ann = unique("ann")
    async with platform.patient_client(ann) as hers:
        with pytest.raises(Refused, match="no user"):
            await hers.whoami()
        await client.set_collaborator(project, ann, CollaboratorChange(role=Role.VIEWER))
        roles = RolesChange(roles=[EnvironmentRole.ENVIRONMENT_USER, EnvironmentRole.ML_USER])
        await client.set_user_roles("local", ann, roles)
        assert (await hers.whoami()).name == ann
        assert [each.id for each in (await hers.projects()).items] == [project]
        assert [(each.user, each.role) for each in (await hers.collaborators(project)).items][-1][0] in (ann, "root")
        for refused in (
            hers.delete_project(project, force=True),
            hers.set_collaborator(project, ann, CollaboratorChange(role=Role.ADMIN)),
            hers.create_environment(EnvironmentCreate(name=unique("e"))),
            hers.project("local/default/default"),
            hers.credentials("local/default/default"),
        ):
            with pytest.raises(Refused):
                await refused
        exports = (await hers.credentials(project)).as_exports()
        assert mlflow(platform, exports, "experiments/search", {"max_results": 1}).status_code == 200
        assert mlflow(platform, exports, "experiments/create", {"name": "x"}).status_code == 403
        await client.set_collaborator(project, ann, CollaboratorChange(role=Role.CONTRIBUTOR))
        assert mlflow(platform, exports, "experiments/create", {"name": "x"}).status_code == 200
        elsewhere = {**exports, "MLFLOW_WORKSPACE": "default"}
        assert mlflow(platform, elsewhere, "experiments/create", {"name": "x"}).status_code == 403

        own = await hers.create_project(ProjectCreate(name=unique("p"), workspace="local/default"))
        assert [(each.user, each.role) for each in (await hers.collaborators(own.id)).items] == [(ann, Role.ADMIN)]
        await client.remove_collaborator(project, ann)
        assert mlflow(platform, exports, "experiments/search", {"max_results": 9}).json().get("experiments", []) == []
        assert mlflow(platform, exports, "experiments/create", {"name": "y"}).status_code == 403
        with pytest.raises(NotFound, match="not a collaborator"):
            await client.remove_collaborator(project, ann)
        denied = (await hers.events(outcome="denied")).items
        assert {event.action for event in denied} >= {"project.delete", "environment.create"}
        await hers.delete_project(own.id)


async def test_a_project_with_experiments_goes_only_by_force_and_leaves_nothing(
    platform: Platform, client: RegistryClient
) -> None:
    project = await client.project(platform.new_project().id)
    exports = (await client.credentials(project.id)).as_exports()
    assert mlflow(platform, exports, "experiments/create", {"name": "sweep"}).status_code == 200
    with pytest.raises(Conflict, match="sweep"):
        await client.delete_project(project.id)
    await client.delete_project(project.id, force=True)
    with pytest.raises(NotFound):
        await client.project(project.id)
    assert mlflow(platform, exports, "experiments/search", {"max_results": 1}).is_error
    assert project.mlflow_workspace not in json.loads(platform.home.routes_file.read_text())["projects"]
    again = await client.create_project(ProjectCreate(name=project.name, workspace="local/default"))
    exports = (await client.credentials(again.id)).as_exports()
    found = mlflow(platform, exports, "experiments/search", {"max_results": 10}).json().get("experiments", [])
    assert "sweep" not in [experiment["name"] for experiment in found]


async def test_lists_come_in_pages(platform: Platform, client: RegistryClient) -> None:
    team = await client.create_workspace(WorkspaceCreate(name=unique("w"), environment="local"))
    names = sorted(f"p{number}-{uuid.uuid4().hex[:6]}" for number in range(5))
    for name in reversed(names):
        await client.create_project(ProjectCreate(name=name, workspace=team.id))
    page = await client.projects(workspace=team.id, page_size=2)
    assert [project.name for project in page.items] == names[:2] and page.next_page_token
    found = [project.name async for project in client.every(client.projects, team.id, page_size=2)]
    assert found == names
    with pytest.raises(WrongInput, match="page token"):
        await client.projects(page_token=page.next_page_token)
