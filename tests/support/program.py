"""The terminal program under Textual's Pilot: presses keys and waits for what they bring about."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from textual._context import visible_screen_stack
from textual.pilot import Pilot

from registry_tui.app.app import RegistryApp
from registry_tui.terminal.commands import Place


@dataclass(frozen=True)
class Driver:
    """Presses keys and waits for what they bring about."""

    app: RegistryApp
    pilot: Pilot[None]

    @property
    def screen(self) -> Any:
        return self.app.screen

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Types text as keys."""
        names = {" ": "space", "-": "minus", "_": "underscore", "/": "slash", ":": "colon", ".": "full_stop"}
        await self.pilot.press(*(names.get(character, character) for character in text))

    async def until(self, condition: Callable[[], object], what: str = "the condition") -> None:
        """Waits until the condition holds; an error in it counts as "not yet"."""
        last: object = None
        for _ in range(1200):
            try:
                last = condition()
            except Exception as error:
                last = error
            else:
                if last:
                    return
            if self.app._exception is not None:
                raise AssertionError(f"the program ended while waiting for {what}") from self.app._exception
            await self.pilot.pause(0.05)
        raise AssertionError(f"waited for {what}; last: {last!r}\n{self.text}")

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
        # Textual keeps what a box drew of itself: drawn without the screens behind it, it would hide them from then on.
        visible_screen_stack.set(self.app._background_screens)
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    async def shows(self, *texts: str) -> None:
        def shown() -> bool:
            screen = self.text
            return all(text in screen for text in texts)

        await self.until(shown, f"{texts}")


Open = Callable[..., AbstractAsyncContextManager[Driver]]
