"""MLflow servers elsewhere that workspaces show; their experiments and runs are those of their project."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from registry_tui.schemas.attached import (
    AttachedImport,
    AttachedModel,
    AttachedServer,
    AttachedServerChange,
    AttachedServerCreate,
    AttachedVersion,
)
from registry_tui.schemas.base import Page
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.places import Project
from registry_tui.service.http.routes.dependencies import Acting, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.places import attached_servers
from registry_tui.service.registering import importing
from registry_tui.service.tracking import attached_models

router = new_router("attached servers")


@router.get("/attached-servers")
def list_attached_servers(service: ServiceIn, principal: Acting, page: PageIn) -> Page[AttachedServer]:
    """The attached MLflow servers of the environments that you may see, the oldest first."""
    return attached_servers.list_attached_servers(
        service, principal, page_size=page.page_size, page_token=page.page_token
    )


@router.post("/attached-servers", status_code=201)
def attach_server(service: ServiceIn, principal: Acting, request: AttachedServerCreate) -> AttachedServer:
    """Makes a workspace with one project that shows an MLflow server, which is asked first; for administrators."""
    return attached_servers.attach_server(service, principal, request)


@router.get("/attached-servers/{workspace}")
def get_attached_server(service: ServiceIn, principal: Acting, workspace: str) -> AttachedServer:
    """One attached server, by its workspace; it is contacted, and `problem` has the reason if it cannot be read now."""
    return attached_servers.get_attached_server(service, principal, workspace)


@router.put("/attached-servers/{workspace}")
def change_server(
    service: ServiceIn, principal: Acting, workspace: str, request: AttachedServerChange
) -> AttachedServer:
    """Reads a server that has moved at its new address, or with other credentials; for administrators."""
    return attached_servers.change_server(service, principal, workspace, request)


@router.delete("/attached-servers/{workspace}", status_code=204)
def detach_server(service: ServiceIn, principal: Acting, workspace: str) -> None:
    """Forgets a server with its workspace and project; nothing changes there. For administrators."""
    attached_servers.detach_server(service, principal, workspace)


@router.get("/projects/{project}/attached-models")
def list_attached_models(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    project: str,
    name: Annotated[str | None, Query(max_length=500, description="A part of the name")] = None,
) -> Page[AttachedModel]:
    """The registered models of the MLflow server that a project shows, by name."""
    return attached_models.list_models(
        service, principal, project, name=name, page_size=page.page_size, page_token=page.page_token
    )


@router.get("/projects/{project}/attached-models/{model}/versions")
def list_attached_versions(
    service: ServiceIn, principal: Acting, page: PageIn, project: str, model: str
) -> Page[AttachedVersion]:
    """The versions of a registered model of the MLflow server that a project shows, the newest first."""
    return attached_models.list_versions(
        service, principal, project, model, page_size=page.page_size, page_token=page.page_token
    )


@router.post("/projects/{project}/attached-models/import", status_code=202)
def import_attached_models(
    service: ServiceIn, principal: Acting, project: str, request: AttachedImport
) -> Accepted[Project]:
    """Brings registered models of the project's MLflow server into its Model Registry, with all their versions.

    Models and versions that were imported before stay as they are; a repeated request imports the new ones.
    """
    return importing.import_models(service, principal, project, request)
