"""Finds the resource that a request names by ID, by name, or by `parent/name`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry_tui.service.database.tables import (
    AttachedServerRow,
    EnvironmentRow,
    ProjectRow,
    RegistryRow,
    WorkspaceRow,
)
from registry_tui.service.errors import InvalidInput, Missing

Row = TypeVar("Row")


def resolve_environment(session: Session, name_or_id: str, seen: Collection[str] | None = None) -> EnvironmentRow:
    """An environment by ID, name or CRN, one of those whose IDs are `seen` when these are given. Raises Missing."""
    query = select(EnvironmentRow).where(
        EnvironmentRow.state == "ready",
        (EnvironmentRow.id == name_or_id) | (EnvironmentRow.name == name_or_id) | (EnvironmentRow.crn == name_or_id),
    )
    if seen is not None:
        query = query.where(EnvironmentRow.id.in_(seen))
    found = session.scalars(query).all()
    return _one("environment", name_or_id, found, [row.id for row in found], "registry-tui environments list")


def resolve_workspace(session: Session, name_or_id: str, seen: Collection[str] | None = None) -> WorkspaceRow:
    """A workspace by ID, name or `environment/workspace`, in an environment that is `seen` when these are given.

    Raises Missing, InvalidInput when several have the name.
    """
    parent, _, name = name_or_id.rpartition("/")
    query = select(WorkspaceRow).join(EnvironmentRow)
    if parent:
        query = query.where(WorkspaceRow.name == name, EnvironmentRow.name == parent)
    else:
        query = query.where((WorkspaceRow.id == name_or_id) | (WorkspaceRow.name == name_or_id))
    if seen is not None:
        query = query.where(WorkspaceRow.environment_id.in_(seen))
    found = session.scalars(query).all()
    candidates = [f"{row.environment.name}/{row.name}" for row in found]
    return _one("workspace", name_or_id, found, candidates, "registry-tui workspaces list")


def resolve_project(
    session: Session, name_or_id: str, known: Callable[[Sequence[ProjectRow]], Sequence[ProjectRow]] | None = None
) -> ProjectRow:
    """A project by ID, name or `workspace/project`, of those that `known` leaves when it is given.

    `permissions.find_project` finds those that a person may know of. Raises Missing, InvalidInput when several have the
    name.
    """
    parent, _, name = name_or_id.rpartition("/")
    query = select(ProjectRow).join(WorkspaceRow).join(EnvironmentRow).where(ProjectRow.state == "ready")
    if "/" in parent:
        environment, _, workspace = parent.partition("/")
        query = query.where(ProjectRow.name == name, WorkspaceRow.name == workspace, EnvironmentRow.name == environment)
    elif parent:
        query = query.where(ProjectRow.name == name, WorkspaceRow.name == parent)
    else:
        query = query.where((ProjectRow.id == name_or_id) | (ProjectRow.name == name_or_id))
    found = session.scalars(query).all()
    if known is not None:
        found = known(found)
    candidates = [f"{row.workspace.environment.name}/{row.workspace.name}/{row.name}" for row in found]
    return _one("project", name_or_id, found, candidates, "registry-tui projects list")


def resolve_registry(session: Session, name_or_id: str, seen: Collection[str] | None = None) -> RegistryRow:
    """A Model Registry by ID or name, in an environment that is `seen` when these are given. Raises Missing."""
    query = select(RegistryRow).where((RegistryRow.id == name_or_id) | (RegistryRow.name == name_or_id))
    if seen is not None:
        query = query.where(RegistryRow.environment_id.in_(seen))
    found = session.scalars(query).all()
    return _one("Model Registry", name_or_id, found, [row.id for row in found], "registry-tui registries list")


def attached_to(session: Session, workspace_id: str) -> AttachedServerRow | None:
    """The MLflow server elsewhere that a workspace shows, if it does."""
    return session.scalars(select(AttachedServerRow).where(AttachedServerRow.workspace_id == workspace_id)).first()


def _one(noun: str, name: str, found: Sequence[Row], candidates: Sequence[str], command: str) -> Row:
    if not found:
        raise Missing(f"There is no {noun} {name!r}", action=f"See `{command}`")
    if len(found) > 1:
        listed = ", ".join(sorted(candidates))
        raise InvalidInput(f"Several are named {name!r}: {listed}", action="Use one of these, or an ID")
    return found[0]
