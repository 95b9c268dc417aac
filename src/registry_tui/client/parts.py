"""Changing many runs or experiments in several requests, so that each stays within the client's timeout."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from registry_tui.schemas.tracking import ItemChanges

#: Items in a request: some seconds of the service's time.
PART = 100


async def in_parts(ids: Sequence[str], change: Callable[[list[str]], Awaitable[ItemChanges]]) -> ItemChanges:
    """Changes the items with these IDs, each once, and returns their outcomes combined. Raises as `change` does."""
    each_once = list(dict.fromkeys(ids))
    parts = [await change(each_once[start : start + PART]) for start in range(0, len(each_once), PART)]
    return ItemChanges(items=[item for part in parts for item in part.items])
