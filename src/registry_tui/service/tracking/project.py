"""A project as its tracking is entered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from registry_tui.contracts.permissions import Action
from registry_tui.service.adapters.attached_mlflow import ServerAddress
from registry_tui.service.core import paging, permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.resolve import attached_to, resolve_project
from registry_tui.service.database.tables import ProjectRow
from registry_tui.service.errors import InvalidInput, WrongState
from registry_tui.service.places.attached_servers import address_of
from registry_tui.service.publishing import mlflow as routing


@dataclass(frozen=True)
class Attached:
    """The MLflow server elsewhere that a project shows."""

    id: str
    address: ServerAddress
    version: str


@dataclass(frozen=True)
class ProjectPlace:
    """A project that the principal may enter: `workspace` is its MLflow workspace."""

    id: str
    name: str
    workspace: str
    attached: Attached | None = None


def enter_project(
    service: Service, principal: Principal, project: str, action: Action = Action.TRACKING_READ
) -> ProjectPlace:
    """The project, when the principal may do `action` in it.

    Raises Missing, InvalidInput, NotPermitted, WrongState for a change in a project that shows a server elsewhere.
    """
    with service.database.reading() as session:
        row = permissions.find_project(session, principal, project)
        permissions.check_project(session, principal, row, action)
        server = attached_to(session, row.workspace_id)
    place = ProjectPlace(row.id, row.name, row.mlflow_workspace)
    if server is None:
        return place
    if action not in (Action.TRACKING_READ, Action.MODEL_REGISTER):
        raise WrongState(
            f"Project {row.name} shows MLflow at {server.url}, where nothing is changed from here",
            action="Change it there, with MLflow's own tools",
        )
    return replace(place, attached=Attached(server.id, address_of(server), server.version))


def attached_place(service: Service, project_id: str) -> ProjectPlace:
    """A project that shows a server elsewhere, for work that was permitted. Raises WrongState when it was detached."""
    with service.database.reading() as session:
        row = session.get(ProjectRow, project_id)
        server = None if row is None else attached_to(session, row.workspace_id)
    if row is None or server is None:
        raise WrongState(
            "The MLflow server that the model comes from is not attached any more",
            action="Attach it anew, and register the model again: a server that is attached anew has another project",
        )
    attached = Attached(server.id, address_of(server), server.version)
    return ProjectPlace(row.id, row.name, row.mlflow_workspace, attached)


def registry_id_of(service: Service, place: ProjectPlace) -> str | None:
    """The ID of the Model Registry that a project registers into, if there is one. Raises Missing."""
    with service.database.reading() as session:
        registry = routing.registry_of(resolve_project(session, place.id))
        return None if registry is None else registry.id


@contextmanager
def page_token_of(page_token: str | None) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        if page_token and "token" in error.detail.lower():
            raise paging.wrong_token() from error
        raise
