"""Adds events to their hash chain (`contracts/event_chain.py`) in the transaction that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from registry_tui.contracts.event_chain import FIELDS, GENESIS, chained, digest
from registry_tui.service.database.tables import EventChainRow, EventRow


def fields_of(row: EventRow) -> dict[str, Any]:
    """A row's fields that the chain covers."""
    return {name: getattr(row, name) for name in FIELDS}


def seal(session: Session, made: Sequence[object]) -> None:
    """Adds a transaction's new events to the end of the chain.

    Transactions that write wait for each other on both databases, so that the order of IDs is that of the chain.
    """
    events = sorted((row for row in made if isinstance(row, EventRow)), key=lambda row: row.id)
    if not events:
        return
    chain = session.get(EventChainRow, EventChainRow.ONLY)
    if chain is None:
        chain = EventChainRow(id=EventChainRow.ONLY, start_id=0, start_hash=GENESIS, head_id=0, head_hash=GENESIS)
        session.add(chain)
    for row in events:
        row.chain = chained(chain.head_hash, digest(fields_of(row)))
        chain.head_id, chain.head_hash = row.id, row.chain
    session.flush()
