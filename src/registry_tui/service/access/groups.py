"""Groups of people, who get roles in environments together."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.people import Group, GroupChange
from registry_tui.service.core import events, idempotency, identity, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import GroupMemberRow, GroupRow, UserRow
from registry_tui.service.errors import Missing
from registry_tui.service.ranger import forgetting


def list_groups(
    service: Service, principal: Principal, *, page_size: int = DEFAULT_PAGE_SIZE, page_token: str | None = None
) -> Page[Group]:
    """All groups with their members, by name. Raises NotPermitted, InvalidInput for a wrong token."""
    permissions.require(principal, Action.GROUPS_CHANGE)
    with service.database.reading() as session:
        found = paging.keyset_page(
            session,
            select(GroupRow).options(selectinload(GroupRow.members)),
            [paging.Key(GroupRow.name)],
            scope="groups",
            page_size=page_size,
            page_token=page_token,
        )
        return found.to_page(to_schema)


def get_group(service: Service, principal: Principal, name: str) -> Group:
    """One group. Raises NotPermitted, Missing."""
    permissions.require(principal, Action.GROUPS_CHANGE)
    with service.database.reading() as session:
        row = session.get(GroupRow, name)
        if row is None:
            raise missing(name)
        return to_schema(row)


def put_group(service: Service, principal: Principal, name: str, change: GroupChange) -> Group:
    """Makes a group, or changes one. Raises NotPermitted, InvalidInput."""
    with events.recording(service, principal, "group.put", Resource("group", name, name)):
        permissions.require(principal, Action.GROUPS_CHANGE)
        identity.check_user_name(service, name, "group")
        with service.database.session() as session:
            row = session.get(GroupRow, name)
            if row is None:
                row = GroupRow(name=name, creator=principal.name)
                session.add(row)
            if change.description is not None:
                row.description = change.description
    return get_group(service, principal, name)


def delete_group(service: Service, principal: Principal, name: str) -> None:
    """Deletes a group, with all that its members had by it. Raises NotPermitted, Missing."""
    with events.recording(service, principal, "group.delete", Resource("group", name, name)) as event:
        permissions.require(principal, Action.GROUPS_CHANGE)
        with service.database.reading() as session:
            if session.get(GroupRow, name) is None:
                raise missing(name)
        if named := forgetting.forget(service, "groups", name, principal.name):
            event.detail = f"taken out of Ranger's {', '.join(named)}"
        with service.database.session() as session:
            row = session.get(GroupRow, name)
            if row is None:
                raise missing(name)
            session.delete(row)
            idempotency.takes(session)


def add_member(service: Service, principal: Principal, name: str, user: str) -> Group:
    """Puts a user into a group. Raises NotPermitted, Missing."""
    with events.recording(service, principal, "group.add-member", Resource("group", name, name)) as event:
        event.detail = user
        permissions.require(principal, Action.GROUPS_CHANGE)
        with service.database.session() as session:
            if session.get(GroupRow, name) is None:
                raise missing(name)
            if session.get(UserRow, user) is None:
                raise Missing(f"There is no user {user!r}", action="See `registry-tui users list`")
            session.merge(GroupMemberRow(group=name, user=user))
    return get_group(service, principal, name)


def remove_member(service: Service, principal: Principal, name: str, user: str) -> Group:
    """Takes a user out of a group. Raises NotPermitted, Missing."""
    with events.recording(service, principal, "group.remove-member", Resource("group", name, name)) as event:
        event.detail = user
        permissions.require(principal, Action.GROUPS_CHANGE)
        with service.database.session() as session:
            row = session.get(GroupMemberRow, (name, user))
            if row is None:
                raise Missing(f"{user} is not in a group {name!r}", action="See `registry-tui groups list`")
            session.delete(row)
            idempotency.takes(session)
    return get_group(service, principal, name)


def missing(name: str) -> Missing:
    """The error about a group that is not there."""
    return Missing(f"There is no group {name!r}", action="See `registry-tui groups list`")


def to_schema(row: GroupRow) -> Group:
    """A group as people see it."""
    return Group(
        name=row.name,
        id=row.id,
        description=row.description,
        creator=row.creator,
        created_at=row.created_at,
        members=[member.user for member in row.members],
    )
