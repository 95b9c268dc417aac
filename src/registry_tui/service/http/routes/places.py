"""Environments, workspaces, projects, collaborators."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from registry_tui.schemas.base import Page
from registry_tui.schemas.places import (
    BackendChange,
    Collaborator,
    CollaboratorChange,
    Environment,
    EnvironmentCreate,
    Project,
    ProjectCreate,
    ProjectCredentials,
    Workspace,
    WorkspaceCreate,
)
from registry_tui.schemas.stores import StoreChange, StoreCheck, StoreReport
from registry_tui.service.access import collaborators
from registry_tui.service.http.routes.dependencies import Acting, NameIn, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import READS_ONLY, new_router
from registry_tui.service.places import backends, checking_stores, environments, projects, workspaces

router = new_router()


@router.get("/environments", tags=["environments"])
def list_environments(service: ServiceIn, principal: Acting, page: PageIn) -> Page[Environment]:
    """All environments, by name."""
    return environments.list_environments(service, principal, page_size=page.page_size, page_token=page.page_token)


@router.post("/environments", tags=["environments"], status_code=201)
def create_environment(service: ServiceIn, principal: Acting, request: EnvironmentCreate) -> Environment:
    """Makes an environment with its bucket; for administrators."""
    return environments.create_environment(service, principal, request)


@router.get("/environments/{environment}", tags=["environments"])
def get_environment(service: ServiceIn, principal: Acting, environment: str) -> Environment:
    """One environment."""
    return environments.get_environment(service, principal, environment)


@router.delete("/environments/{environment}", tags=["environments"], status_code=204)
def delete_environment(service: ServiceIn, principal: Acting, environment: str) -> None:
    """Deletes an empty environment and its bucket; for administrators."""
    environments.delete_environment(service, principal, environment)


@router.put("/environments/{environment}/store", tags=["environments"])
def change_store(service: ServiceIn, principal: Acting, environment: str, request: StoreChange) -> Environment:
    """Reaches an environment's own store with other credentials, or at another address; for administrators."""
    return environments.change_store(service, principal, environment, request)


@router.put("/environments/{environment}/backend", tags=["environments"])
def change_backend(service: ServiceIn, principal: Acting, environment: str, request: BackendChange) -> Environment:
    """Has an environment's deployments run on this machine or in a cluster; for administrators."""
    return backends.change_backend(service, principal, environment, request)


@router.post("/environments/{environment}/store/check", tags=["environments"], openapi_extra=READS_ONLY)
def check_environment_store(service: ServiceIn, principal: Acting, environment: str) -> Environment:
    """Tries an environment's own store, and keeps the problems in its notes; for administrators."""
    return checking_stores.check_environment_store(service, principal, environment)


@router.post("/stores/check", tags=["environments"], openapi_extra=READS_ONLY)
def check_store(principal: Acting, request: StoreCheck) -> StoreReport:
    """Tries a store with an object of its own, and describes the problems; for administrators."""
    return checking_stores.check_store(principal, request)


@router.get("/workspaces", tags=["workspaces"])
def list_workspaces(
    service: ServiceIn, principal: Acting, page: PageIn, environment: NameIn | None = None
) -> Page[Workspace]:
    """Workspaces by name, of one environment or of all."""
    return workspaces.list_workspaces(
        service, principal, environment=environment, page_size=page.page_size, page_token=page.page_token
    )


@router.post("/workspaces", tags=["workspaces"], status_code=201)
def create_workspace(service: ServiceIn, principal: Acting, request: WorkspaceCreate) -> Workspace:
    """Makes a workspace in an environment; for administrators."""
    return workspaces.create_workspace(service, principal, request)


@router.get("/workspaces/{workspace}", tags=["workspaces"])
def get_workspace(service: ServiceIn, principal: Acting, workspace: str) -> Workspace:
    """One workspace, also named `environment/workspace`."""
    return workspaces.get_workspace(service, principal, workspace)


@router.delete("/workspaces/{workspace}", tags=["workspaces"], status_code=204)
def delete_workspace(service: ServiceIn, principal: Acting, workspace: str) -> None:
    """Deletes an empty workspace; for administrators."""
    workspaces.delete_workspace(service, principal, workspace)


@router.get("/projects", tags=["projects"])
def list_projects(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    name: Annotated[str | None, Query(max_length=200, description="A part of the name")] = None,
    workspace: NameIn | None = None,
    environment: NameIn | None = None,
    order_by: Annotated[str | None, Query(description="name, creator or created_at; -field descending")] = None,
) -> Page[Project]:
    """The projects that you may enter, by name by default, of one workspace or environment or of all."""
    return projects.list_projects(
        service,
        principal,
        name=name,
        workspace=workspace,
        environment=environment,
        order_by=order_by,
        page_size=page.page_size,
        page_token=page.page_token,
    )


@router.post("/projects", tags=["projects"], status_code=201)
def create_project(service: ServiceIn, principal: Acting, request: ProjectCreate) -> Project:
    """Makes a project with its MLflow workspace; you become its administrator."""
    return projects.create_project(service, principal, request)


@router.get("/projects/{project}", tags=["projects"])
def get_project(service: ServiceIn, principal: Acting, project: str) -> Project:
    """One project."""
    return projects.get_project(service, principal, project)


@router.delete("/projects/{project}", tags=["projects"], status_code=204)
def delete_project(
    service: ServiceIn,
    principal: Acting,
    project: str,
    force: Annotated[bool, Query(description="Also when it holds experiments")] = False,
) -> None:
    """Deletes a project, its experiments and its run artifacts; registered versions and their archives stay."""
    projects.delete_project(service, principal, project, force=force)


@router.get("/projects/{project}/collaborators", tags=["projects"])
def list_collaborators(service: ServiceIn, principal: Acting, project: str) -> Page[Collaborator]:
    """The collaborators of a project."""
    return collaborators.list_collaborators(service, principal, project)


@router.put("/projects/{project}/collaborators/{user}", tags=["projects"])
def set_collaborator(
    service: ServiceIn, principal: Acting, project: str, user: str, change: CollaboratorChange
) -> Collaborator:
    """Gives a person a role in a project; for its administrators."""
    return collaborators.set_collaborator(service, principal, project, user, change)


@router.delete("/projects/{project}/collaborators/{user}", tags=["projects"], status_code=204)
def remove_collaborator(service: ServiceIn, principal: Acting, project: str, user: str) -> None:
    """Removes a person from a project; for its administrators."""
    collaborators.remove_collaborator(service, principal, project, user)


@router.get("/projects/{project}/credentials", tags=["projects"])
def get_credentials(service: ServiceIn, principal: Acting, project: str) -> ProjectCredentials:
    """The settings with which stock MLflow code works in a project, as you."""
    return collaborators.get_credentials(service, principal, project)
