"""Keys that are typed ahead: what follows a key that opens something belongs to what it opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from textual import events
from textual.app import App
from textual.screen import Screen
from textual.widgets import Input

from registry_tui.terminal.textual_private import forward_key

if TYPE_CHECKING:
    from textual.timer import Timer
    from textual.widget import Widget

#: Seconds that a form may take to open while keys wait for it.
OPENING = 2.0


class TypingAhead(App[None]):
    """Textual aims a key at what has the focus when it arrives, not at what the key before it opens."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        #: Which screen and widget had the keys when a key was pressed.
        self._aimed_at: WeakKeyDictionary[events.Key, tuple[Screen[Any], Widget | None]] = WeakKeyDictionary()
        #: Keys that wait for a form that is being opened.
        self._held: list[events.Key] = []
        self._holding = False
        #: Whether keys that waited are being given to what has opened.
        self._releasing = False
        self._hold_timer: Timer | None = None
        #: Questions that have no answer yet, behind which a form opens.
        self._openings = 0

    @property
    def holds_keys(self) -> bool:
        """Whether keys wait for a form that is being opened."""
        return self._holding

    def opening(self, begins: bool) -> None:
        """A question begins or ended, behind which a form opens: keys wait as long as it does."""
        self._openings += 1 if begins else -1
        if not begins and self._holding and not self._openings:
            self.hold_keys()

    def on_mount(self) -> None:
        self.screen_change_signal.subscribe(self, self._screen_changed)

    def hold_keys(self) -> None:
        """From here on keys wait for the form that is being opened; without one, they are dropped in a moment."""
        self._holding = True
        if self._hold_timer is not None:
            self._hold_timer.stop()
        self._hold_timer = self.set_timer(OPENING, self._give_up, name="hold-keys")

    def _give_up(self) -> None:
        if not self._openings:
            self._drop()

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not event.is_forwarded:
            if self._holding and event.key in ("escape", "ctrl+q"):
                self._drop()
            if self._holding or self._releasing:
                self._held.append(event)
                return
            self._aimed_at[event] = self.screen, self.focused
        elif isinstance(event, events.Paste) and not event.is_forwarded and isinstance(self.focused, Input):
            # Textual's field takes the first line and drops the others.
            lines = event.text.splitlines()
            if len(lines) > 1:
                event.text = " ".join(line.strip() for line in lines if line.strip())
        await super().on_event(event)

    def on_key(self, event: events.Key) -> None:
        """Gives what was typed right behind a key to what that key opened, so that no letter acts on what is below."""
        field = self.focused
        screen, aimed = self._aimed_at.pop(event, (self.screen, field))
        if self._holding or screen is not self.screen:
            event.prevent_default()
            self._held.append(event)
            if not self._holding:
                self.hold_keys()
                self._screen_changed(self.screen)
        elif isinstance(field, Input) and aimed is not field:
            event.prevent_default()
            forward_key(field, self.again(event))

    def again(self, event: events.Key) -> events.Key:
        """The same key, to be sent once more: the app does not take a key that was sent on for a new one."""
        return events.Key(event.key, event.character)

    def _screen_changed(self, screen: Screen[Any]) -> None:
        if self._holding:
            screen.call_after_refresh(self._release)

    async def _release(self) -> None:
        """What is open now gets the keys that waited for it, in the order in which they were pressed.

        Keys that are pressed meanwhile wait behind them, and all wait again behind one that opens something else.
        """
        held = sorted(self._held, key=lambda event: event.time)
        self._drop()
        self._releasing = True
        try:
            while held and not self._holding:
                event = self.again(held.pop(0))
                self._aimed_at[event] = self.screen, self.focused
                await super().on_event(event)
                if not held:
                    held, self._held = self._held, []
        finally:
            self._releasing = False
        self._held = [*held, *self._held]

    def _drop(self) -> None:
        self._holding = False
        self._held.clear()
        if self._hold_timer is not None:
            self._hold_timer.stop()
            self._hold_timer = None
