"""Keys pressed before a place shows their objects: queued, and pressed again once it does."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from textual import events

from registry_tui.screens.base.frame import FrameScreen
from registry_tui.screens.base.loading import takes_text
from registry_tui.terminal.action import key_shown
from registry_tui.terminal.typing_ahead import Typed, TypingAhead

if TYPE_CHECKING:
    from textual.timer import Timer

#: Seconds between checks whether the objects of queued keys are here; no checks while no key is queued.
LOOK = 0.03


class KeptKeys(TypingAhead):
    """The part of the program that queues keys while a place loads.

    `FrameScreen.keeps` decides which: movements, and actions that the missing response makes impossible. All later keys
    wait too, so that the order stays. Esc drops them and leaves.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._kept: deque[Typed] = deque()
        self._kept_timer: Timer | None = None
        self._pressing = False
        #: The place that shows which keys are queued.
        self._tells: FrameScreen | None = None

    async def take(self, typed: Typed) -> None:
        if isinstance(typed, events.Key) and typed.key in ("escape", "ctrl+q"):
            self.drop_kept()
        elif self.holds_keys:
            pass  # behind the held keys, which come here once they are released
        elif self._kept or self._pressing or (isinstance(typed, events.Key) and self._keeps(typed.key)):
            self._keep(typed)
            return
        await super().take(typed)

    def _keeps(self, key: str) -> bool:
        screen = self.screen
        return isinstance(screen, FrameScreen) and screen.keeps(key)

    def _keep(self, typed: Typed) -> None:
        screen = self.screen
        key = typed.key if isinstance(typed, events.Key) else ""
        if key and isinstance(screen, FrameScreen) and screen.is_mounted and screen.unsafe(key):
            # An action on a row that was not visible yet might hit another row than intended.
            self.drop_kept()
            screen.refuse_unseen(key)
            return
        # A key that went to the previous page comes back behind keys that were typed after it.
        self._kept = deque(sorted((*self._kept, typed), key=lambda each: each.time))
        self._show_kept()
        if self._kept_timer is None:
            self._kept_timer = self.set_interval(LOOK, self._press_kept, name="kept-keys")

    async def _press_kept(self) -> None:
        """Presses the queued keys in turn, until one whose object is not here yet."""
        if self._pressing:
            return
        self._pressing = True
        try:
            while self._kept and not self.deals_with_key and not self._waits(self._kept[0]):
                await self._press_now(self._kept.popleft())
        finally:
            self._pressing = False
        if self._kept:
            self._show_kept()
        else:
            self.drop_kept()

    def _waits(self, typed: Typed) -> bool:
        return isinstance(typed, events.Key) and self._keeps(typed.key)

    async def _press_now(self, typed: Typed) -> None:
        found = self.screen.active_bindings.get(typed.key) if isinstance(typed, events.Key) else None
        if self.holds_keys or found is None or not found.enabled or takes_text(self.focused):
            await super().take(self.again(typed))
        else:
            await self.run_action(found.binding.action, found.node)

    def drop_kept(self) -> None:
        """Drops the queued keys."""
        self._kept.clear()
        if self._kept_timer is not None:
            self._kept_timer.stop()
            self._kept_timer = None
        if self._tells is not None:
            self._tells.show_kept("")
            self._tells = None

    def _show_kept(self) -> None:
        screen = self.screen
        if isinstance(screen, FrameScreen) and screen.is_mounted:
            self._tells = screen
            screen.show_kept(
                " ".join(key_shown(typed.key) if isinstance(typed, events.Key) else "paste" for typed in self._kept)
            )
