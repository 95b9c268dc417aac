"""Many items are changed in several requests, and their outcomes come back as one answer."""

from __future__ import annotations

import asyncio

from registry_tui.client.parts import PART, in_parts
from registry_tui.schemas.tracking import MAX_CHANGED, ItemChange, ItemChanges


def test_many_items_are_sent_in_parts_each_once_and_in_order() -> None:
    ids = [f"run-{number}" for number in range(2 * PART + 1)]
    sent: list[list[str]] = []

    async def change(part: list[str]) -> ItemChanges:
        sent.append(part)
        return ItemChanges(items=[ItemChange(id=each, name=each) for each in part])

    changes = asyncio.run(in_parts([*ids, *ids[:3]], change))
    assert [len(part) for part in sent] == [PART, PART, 1]
    assert PART <= MAX_CHANGED, "a request takes a whole part"
    assert [each.id for each in changes.items] == ids
