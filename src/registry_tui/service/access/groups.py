"""Groups of people, which get roles in environments together, and of machine users."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.people import Group, GroupChange
from registry_tui.service.access import machine_members
from registry_tui.service.access.machine_members import MachineUser
from registry_tui.service.core import events, idempotency, identity, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import GroupMachineUserRow, GroupMemberRow, GroupRow, UserRow
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
            select(GroupRow).options(selectinload(GroupRow.members), selectinload(GroupRow.machine_members)),
            [paging.Key(GroupRow.name)],
            scope="groups",
            page_size=page_size,
            page_token=page_token,
        )
        return found.to_page(lambda row: to_schema(session, row))


def get_group(service: Service, principal: Principal, name: str) -> Group:
    """One group. Raises NotPermitted, Missing."""
    permissions.require(principal, Action.GROUPS_CHANGE)
    with service.database.reading() as session:
        row = session.get(GroupRow, name)
        if row is None:
            raise missing(name)
        return to_schema(session, row)


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
    """Deletes a group, with the rights that its members had by it. Raises NotPermitted, Missing."""
    with events.recording(service, principal, "group.delete", Resource("group", name, name)) as event:
        permissions.require(principal, Action.GROUPS_CHANGE)
        with service.database.reading() as session:
            row = session.get(GroupRow, name)
            if row is None:
                raise missing(name)
            machines = machine_members.members_of(session, name)
        idempotency.takes_elsewhere(service, row.id)
        # Removed from the object store's policies first: the group then blocks no machine user.
        for each in machines:
            machine_members.remove(service, name, each)
        if named := forgetting.forget(service, "groups", name, principal.name):
            event.detail = f"taken out of Ranger's {', '.join(named)}"
        with service.database.session() as session:
            row = session.get(GroupRow, name)
            if row is None:
                raise missing(name)
            session.delete(row)


def add_member(service: Service, principal: Principal, name: str, user: str) -> Group:
    """Adds a user, or a machine user by name or CRN, to a group. Raises NotPermitted, Missing, PartUnavailable."""
    with events.recording(service, principal, "group.add-member", Resource("group", name, name)) as event:
        event.detail = user
        permissions.require(principal, Action.GROUPS_CHANGE)
        with service.database.session() as session:
            if session.get(GroupRow, name) is None:
                raise missing(name)
            known = session.get(UserRow, user) is not None
            machine = None if known else machine_members.find(session, user)
            if known:
                session.merge(GroupMemberRow(group=name, user=user))
            elif machine is None:
                raise Missing(f"There is no user or machine user {user!r}", action="See `registry-tui users list`")
        if machine is not None:
            event.detail = machine.name
            machine_members.add(service, name, machine)
    return get_group(service, principal, name)


def remove_member(service: Service, principal: Principal, name: str, user: str) -> Group:
    """Removes a user, or a machine user by name or CRN, from a group. Raises NotPermitted, Missing, PartUnavailable."""
    with events.recording(service, principal, "group.remove-member", Resource("group", name, name)) as event:
        event.detail = user
        permissions.require(principal, Action.GROUPS_CHANGE)
        with service.database.session() as session:
            row = session.get(GroupMemberRow, (name, user))
            machine = None if row is not None else _machine_member(session, name, user)
            if row is not None:
                session.delete(row)
                idempotency.takes(session)
            elif machine is None:
                raise Missing(f"{user} is not in a group {name!r}", action="See `registry-tui groups list`")
        if machine is not None:
            event.detail = machine.name
            machine_members.take_out(service, name, machine)
    return get_group(service, principal, name)


def missing(name: str) -> Missing:
    """The error for a group that does not exist."""
    return Missing(f"There is no group {name!r}", action="See `registry-tui groups list`")


def to_schema(session: Session, row: GroupRow) -> Group:
    """A group as people see it."""
    return Group(
        name=row.name,
        id=row.id,
        crn=identity.crn(session, "group", f"{row.name}/{row.id}"),
        description=row.description,
        creator=row.creator,
        created_at=row.created_at,
        members=[member.user for member in row.members],
        machine_users=[each.machine_user_workload_name or "" for each in row.machine_members],
    )


def _machine_member(session: Session, name: str, user: str) -> MachineUser | None:
    found = machine_members.find(session, user)
    if found is None or session.get(GroupMachineUserRow, (name, found.registry_id)) is None:
        return None
    return found
