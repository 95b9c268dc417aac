"""Policies and roles are kept alike: a row with a name and a document in Ranger's words, which counts its changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from registry_tui.schemas.ranger import RangerPolicy, RangerRole
from registry_tui.service.database.tables import RangerPolicyRow, RangerRoleRow

Kept = TypeVar("Kept", RangerPolicy, RangerRole)
KeptRow = TypeVar("KeptRow", RangerPolicyRow, RangerRoleRow)


def keep(
    session: Session,
    row: type[KeptRow],
    before: Sequence[Kept],
    after: Sequence[Kept],
    actor: str,
    moment: int,
    columns: Mapping[str, str] | None = None,
) -> None:
    """Makes, changes and deletes rows so that they equal `after`, at a time in ms. A new one gets `columns` too."""
    there = {each.id: each for each in before}
    for id_ in set(there) - {each.id for each in after}:
        session.delete(session.get_one(row, id_))
    # Before a new one takes the name of a deleted one.
    session.flush()
    for each in after:
        if each.id is None:
            made = {"create_time": moment, "created_by": actor, "update_time": moment, "updated_by": actor}
            session.add(row(name=each.name, document=_document(each.model_copy(update=made)), **(columns or {})))
        elif each != there[each.id]:
            found = session.get_one(row, each.id)
            found.name, found.document = each.name, changed_document(each, actor, moment)


def changed_document(changed: RangerPolicy | RangerRole, actor: str, moment: int) -> dict[str, Any]:
    """The document of one that somebody changed, at a time in ms: with the next version."""
    noted = {"version": (changed.version or 0) + 1, "update_time": moment, "updated_by": actor}
    return _document(changed.model_copy(update=noted))


def _document(of: RangerPolicy | RangerRole) -> dict[str, Any]:
    # The row has these itself; roles have no service.
    return of.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"id", "service"})
