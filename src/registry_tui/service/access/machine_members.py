"""Machine users in groups: the object store gives them the rights that policies and mappings give the group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, selectinload

from registry_tui.service.core import idempotency
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import GroupMachineUserRow, GroupRow, RegistryRow
from registry_tui.service.idbroker import synchronizing
from registry_tui.service.ranger import policies as ranger
from registry_tui.service.ranger.timing import Timers


@dataclass(frozen=True)
class MachineUser:
    """A registry's machine user, and the system that decides on its rights."""

    registry_id: str
    name: str
    environment_id: str
    raz_enabled: bool


def find(session: Session, name: str) -> MachineUser | None:
    """A machine user by its whole name, the last part of it, or its CRN; None unless exactly one fits."""
    named = RegistryRow.machine_user_workload_name
    query = (
        select(RegistryRow)
        .where(or_(named == name, named.endswith(f"_{name}", autoescape=True), RegistryRow.machine_user_crn == name))
        .options(selectinload(RegistryRow.environment))
    )
    found = session.scalars(query).all()
    exact = [row for row in found if name in (row.machine_user_workload_name, row.machine_user_crn)]
    rows = exact or found
    return _of(rows[0]) if len(rows) == 1 else None


def members_of(session: Session, group: str) -> list[MachineUser]:
    """The machine users in a group."""
    return [_of(row) for row in session.get_one(GroupRow, group).machine_members]


def add(service: Service, group: str, user: MachineUser) -> None:
    """Adds a machine user to a group, enforced by the object store from the next request on. Raises PartUnavailable."""
    _change(service, group, user, belongs=True)


def remove(service: Service, group: str, user: MachineUser) -> None:
    """Removes a machine user from a group. Raises as `add`."""
    _change(service, group, user, belongs=False)


def take_out(service: Service, group: str, user: MachineUser) -> None:
    """As `remove`, for a request about that alone."""
    _change(service, group, user, belongs=False, asked=True)


# -- underneath -------------------------------------------------------------------------------------------


def _of(row: RegistryRow) -> MachineUser:
    name = row.machine_user_workload_name
    assert name is not None
    return MachineUser(row.id, name, row.environment_id, row.environment.raz_enabled)


def _change(service: Service, group: str, user: MachineUser, *, belongs: bool, asked: bool = False) -> None:
    """Writes a membership and has it enforced; on failure reverts it, and schedules enforcing the reverted state."""
    obey = _obeying(service, user)
    before = _write(service, group, user, belongs, idempotency.takes if asked else None)
    if before == belongs:
        return
    try:
        obey()
    except Exception:
        _write(service, group, user, before, idempotency.gives_back if asked else None)
        service.kept.of(Timers).again(user.environment_id, obey)
        raise


def _write(
    service: Service, group: str, user: MachineUser, belongs: bool, note: Callable[[Session], None] | None
) -> bool:
    """Writes a membership, noting a change in its transaction; returns whether the user was in the group before."""
    with service.database.session() as session:
        row = session.get(GroupMachineUserRow, (group, user.registry_id))
        if belongs and row is None and session.get(GroupRow, group) is not None:
            session.add(GroupMachineUserRow(group=group, registry_id=user.registry_id))
        elif not belongs and row is not None:
            session.delete(row)
        if note is not None and belongs != (row is not None):
            note(session)
        return row is not None


def _obeying(service: Service, user: MachineUser) -> Callable[[], None]:
    if user.raz_enabled:
        return lambda: ranger.ensure(service, user.environment_id)
    return lambda: synchronizing.enforce_again(service, user.environment_id)
