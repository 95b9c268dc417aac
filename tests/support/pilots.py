"""Keys and clicks under Textual's Pilot that are dealt with when the call returns, however slow the machine is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from textual.pilot import Pilot, WaitForScreenTimeout
from textual.widgets import Button

#: Turns of the event loop in which a key goes from the focused widget through all around it, and its action begins.
TURNS = 60


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Presses keys. Textual itself waits for the clock: where others use the processor, one may still be under way.

    A button takes no second press while it still shows the first, for a fifth of a second.
    """
    for _ in range(1000):
        if not isinstance(pilot.app.focused, Button) or not pilot.app.focused.has_class("-active"):
            break
        await pilot.pause(0.01)
    with suppress(WaitForScreenTimeout):
        await pilot.press(*keys)
    await turns()


async def click(pilot: Pilot[Any], *arguments: Any, **options: Any) -> None:
    """`Pilot.click`."""
    await pilot.click(*arguments, **options)
    await turns()


async def resize(pilot: Pilot[Any], width: int, height: int) -> None:
    """Gives the terminal another size, and waits until the screen is laid out for it."""
    await pilot.resize_terminal(width, height)
    for _ in range(1000):
        if pilot.app.screen.size == (width, height):
            break
        await pilot.pause(0.01)
    await turns()


async def turns() -> None:
    """Runs everything that is ready, and its follow-ups."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
