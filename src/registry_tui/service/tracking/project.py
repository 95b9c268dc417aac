"""A project as its tracking is entered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from registry_tui.contracts.permissions import Action
from registry_tui.service.core import paging, permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.resolve import resolve_project
from registry_tui.service.errors import InvalidInput
from registry_tui.service.publishing import mlflow as routing


@dataclass(frozen=True)
class ProjectPlace:
    """A project that the principal may enter: `workspace` is its MLflow workspace."""

    id: str
    name: str
    workspace: str


def enter_project(
    service: Service, principal: Principal, project: str, action: Action = Action.TRACKING_READ
) -> ProjectPlace:
    """The project, when the principal may do `action` in it. Raises Missing, InvalidInput, NotPermitted."""
    with service.database.reading() as session:
        row = permissions.find_project(session, principal, project)
        permissions.check_project(session, principal, row, action)
        return ProjectPlace(row.id, row.name, row.mlflow_workspace)


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
