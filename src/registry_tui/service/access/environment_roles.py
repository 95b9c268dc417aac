"""Roles in environments, of users and of groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import Page
from registry_tui.schemas.people import EnvironmentRole, RoleAssignment
from registry_tui.service.access import groups
from registry_tui.service.core import events, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.resolve import resolve_environment
from registry_tui.service.database.tables import EnvironmentRoleRow, EnvironmentRow, GroupRow, UserRow
from registry_tui.service.errors import Missing


def list_roles(service: Service, principal: Principal, environment: str) -> Page[RoleAssignment]:
    """The roles that were given in an environment, of users first, by name. Raises Missing, NotPermitted."""
    row = _environment(service, principal, environment)
    _require(service, principal, row)
    with service.database.reading() as session:
        given = session.scalars(select(EnvironmentRoleRow).where(EnvironmentRoleRow.environment_id == row.id)).all()
    holders = sorted({(each.group or "", each.user or "") for each in given})
    items = [
        RoleAssignment(
            environment_id=row.id,
            environment_name=row.name,
            user=user or None,
            group=group or None,
            roles=_ordered(each.role for each in given if (each.group or "", each.user or "") == (group, user)),
        )
        for group, user in holders
    ]
    return Page(items=items, total=len(items))


def set_roles(
    service: Service,
    principal: Principal,
    environment: str,
    roles: Sequence[EnvironmentRole],
    *,
    user: str | None = None,
    group: str | None = None,
) -> RoleAssignment:
    """Gives a user or a group exactly these roles in an environment. Raises Missing, NotPermitted."""
    row = _environment(service, principal, environment)
    named = f"user {user}" if user is not None else f"group {group}"
    with events.recording(service, principal, "environment.set-roles", Resource("environment", row.id, row.name)) as e:
        e.detail = f"{named}: {', '.join(roles) or 'none'}"
        _require(service, principal, row)
        with service.database.session() as session:
            if user is not None and session.get(UserRow, user) is None:
                raise Missing(f"There is no user {user!r}", action="See `registry-tui users list`")
            if group is not None and session.get(GroupRow, group) is None:
                raise groups.missing(group)
            holder = EnvironmentRoleRow.user == user if user is not None else EnvironmentRoleRow.group == group
            session.execute(delete(EnvironmentRoleRow).where(EnvironmentRoleRow.environment_id == row.id, holder))
            for role in dict.fromkeys(roles):
                session.add(EnvironmentRoleRow(environment_id=row.id, user=user, group=group, role=role.value))
    return RoleAssignment(
        environment_id=row.id, environment_name=row.name, user=user, group=group, roles=_ordered(roles)
    )


def _ordered(roles: Iterable[str]) -> list[EnvironmentRole]:
    held = set(roles)
    return [role for role in EnvironmentRole if role.value in held]


def _environment(service: Service, principal: Principal, environment: str) -> EnvironmentRow:
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        return resolve_environment(session, environment, seen)


def _require(service: Service, principal: Principal, row: EnvironmentRow) -> None:
    with service.database.reading() as session:
        permissions.require_in(session, principal, Action.ROLES_GRANT, row)
