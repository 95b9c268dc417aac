"""The terminal program under Textual's Pilot: presses keys and waits for their effects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from textual._context import visible_screen_stack
from textual.notifications import Notification
from textual.pilot import Pilot, WaitForScreenTimeout

from registry_tui.app.app import RegistryApp
from registry_tui.screens.base import frame
from registry_tui.terminal.commands import Place
from support.pilots import press
from support.platforms import PATIENCE


@dataclass(frozen=True)
class Driver:
    """Presses keys and waits for their effects."""

    app: RegistryApp
    pilot: Pilot[None]

    @property
    def screen(self) -> Any:
        return self.app.screen

    async def press(self, *keys: str) -> None:
        """Presses keys. Their effects (a form that opens, a response of the service) are awaited with `until`."""
        await press(self.pilot, *keys)

    async def quit(self) -> None:
        """Leaves the program by its key, and waits until its state is written."""
        await self.pilot.press("ctrl+q")
        until = time.monotonic() + PATIENCE
        while not self.app._exit:
            assert time.monotonic() < until, "the program does not end"
            await asyncio.sleep(0.02)

    async def type(self, text: str) -> None:
        """Types text as keys."""
        names = {" ": "space", "-": "minus", "_": "underscore", "/": "slash", ":": "colon", ".": "full_stop"}
        await self.press(*(names.get(character, character) for character in text))

    async def until(self, condition: Callable[[], object], what: str = "the condition") -> None:
        """Waits until the condition holds; an error in it counts as "not yet"."""
        last: object = None
        until = time.monotonic() + PATIENCE
        while True:
            too_late = time.monotonic() > until
            try:
                last = condition()
            except Exception as error:
                last = error
            else:
                if last:
                    return
            if self.app._exception is not None:
                raise AssertionError(f"the program ended while waiting for {what}") from self.app._exception
            if too_late:
                raise AssertionError(f"waited {PATIENCE:.0f} s for {what}; last: {last!r}\n{self.text}")
            with suppress(WaitForScreenTimeout):
                await self.pilot.pause(0.05)

    def go(self, kind: str, **arguments: str) -> None:
        """To another place, without waiting for it."""
        self.app.jump(Place(kind, arguments))

    async def at(self, kind: str) -> None:
        """Waits until a kind of place is in view and, when it is a list, its rows are there."""
        await self.until(lambda: self.app.frame.place.kind == kind and self.app.screen is self.app.frame, kind)

    async def rows(self, kind: str) -> list[Any]:
        """The loaded rows of the list in view."""
        await self.at(kind)
        await self.until(lambda: self.screen.table.source.seen > 0, f"rows of {kind}")
        return list(self.screen.table.source.loaded_rows())

    async def on(self, name: str) -> None:
        """Puts the cursor on a row of the list in view, by the row's name.

        Others make and delete things meanwhile, so the row is looked for until the cursor is on it.
        """

        def found() -> bool:
            table = self.screen.table
            if self.screen.current is not None and self.screen.current.name == name:
                return True
            at, row = next((at, row) for at, row in enumerate(table.source.loaded_rows()) if row.name == name)
            table.go_to((at, table.source.key(row)))
            return False

        await self.until(found, f"the row of {name}")

    async def settled(self) -> None:
        """Waits until everything that was asked for is here and drawn."""
        still, shown = 0, ""

        def quiet() -> bool:
            nonlocal still, shown
            if self.app.status is None or not all(worker.is_finished for worker in self.app.workers):
                still = 0
                return False
            before, shown = shown, self.text
            blank = not shown.strip()  # a screen that is not laid out yet
            still = 0 if blank or shown != before else still + 1
            return still >= 3

        await self.until(quiet, "everything to be drawn")

    @property
    def text(self) -> str:
        """Everything on the screen, as text."""
        # Textual caches a box's rendering: drawn without the screens behind it, it would hide them from then on.
        visible_screen_stack.set(self.app._background_screens)
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    async def shows(self, *texts: str) -> None:
        def shown() -> bool:
            screen = self.text
            return all(text in screen for text in texts)

        await self.until(shown, f"{texts}")


def messages_stay(patch: pytest.MonkeyPatch) -> None:
    """Lets short messages and notifications stay until others come: they would be gone before a slow machine looks."""
    patch.setattr(frame, "FLASH", 3600.0)
    patch.setattr(Notification, "has_expired", False)


Open = Callable[..., AbstractAsyncContextManager[Driver]]
