"""Verifies that events are unchanged, by the hash chain over them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry_tui.contracts.event_chain import FIELDS, GENESIS, chained, digest
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.operations import ChainCheck, ChainLink
from registry_tui.service.core import paging, permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.event_chain import fields_of
from registry_tui.service.database.tables import EventChainRow, EventRow

#: Events that one request verifies.
_PART = 5000


def verify_events(service: Service, principal: Principal, after: int = 0) -> ChainCheck:
    """Verifies the events after one that was verified already, or from the first on.

    Everybody may call it: the result reveals nothing of the events' content.
    """
    permissions.require(principal, Action.STATUS_SEE)
    with service.database.reading() as session:
        chain = session.get(EventChainRow, EventChainRow.ONLY)
        if chain is None:
            chain = EventChainRow(id=EventChainRow.ONLY, start_id=0, start_hash=GENESIS, head_id=0, head_hash=GENESIS)
        return _verify(session, chain, max(after, chain.start_id))


def _verify(session: Session, chain: EventChainRow, after: int) -> ChainCheck:
    def answer(checked: int, next_after: int | None, broken: int | None = None, problem: str = "") -> ChainCheck:
        return ChainCheck(
            checked=checked,
            next_after=next_after,
            broken_id=broken,
            problem=problem,
            head_id=chain.head_id,
            head_hash=chain.head_hash,
        )

    last, before = chain.start_id, chain.start_hash
    if after > last:
        looked = session.get(EventRow, after)
        if looked is None:
            return answer(0, None, after, f"event {after} is gone")
        last, before = after, looked.chain
    # Events removed at the front are noticed as well: the chain begins with the first event.
    first = 0 if last == chain.start_id else last
    # Plain rows: objects would take most of the time of a long chain.
    columns = [getattr(EventRow, name) for name in (*FIELDS, "chain")]
    query = select(*columns).where(EventRow.id > first).order_by(EventRow.id).limit(_PART)
    rows = session.execute(query).mappings().all()
    for number, row in enumerate(rows):
        if row["chain"] != chained(before, digest({name: row[name] for name in FIELDS})):
            where = "it is the first" if last == 0 else f"event {last} was before it"
            problem = f"event {row['id']} was changed, or the one before it ({where})"
            return answer(number, None, row["id"], problem)
        last, before = row["id"], row["chain"]
    if len(rows) == _PART:
        return answer(len(rows), last)
    if (last, before) != (chain.head_id, chain.head_hash):
        return answer(len(rows), None, chain.head_id, f"events behind event {last}, up to {chain.head_id}, are gone")
    return answer(len(rows), None)


def event_links(
    service: Service,
    principal: Principal,
    after: int,
    *,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[ChainLink]:
    """The links after an event, oldest first. Everybody may see them. Raises InvalidInput for a wrong token."""
    permissions.require(principal, Action.STATUS_SEE)
    with service.database.reading() as session:
        found = paging.keyset_page(
            session,
            select(EventRow).where(EventRow.id > after),
            [paging.Key(EventRow.id)],
            scope=f"event-links:{after}",
            page_size=page_size,
            page_token=page_token,
        )
    return found.to_page(lambda row: ChainLink(id=row.id, digest=digest(fields_of(row)), hash=row.chain))
