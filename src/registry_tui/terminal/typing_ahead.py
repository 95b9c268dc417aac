"""Type-ahead: keys typed after a key belong to the place where that key leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from textual import events, on
from textual.app import App
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from registry_tui.terminal.patience import Patience

if TYPE_CHECKING:
    from textual.widget import Widget

#: Seconds that a form may take to open while keys wait for it, and that keys wait at most for the effect of the key
#: before them. Only time in which the program keeps up with its work counts: a slow machine loses no key.
OPENING, LONGEST = 2.0, 1.0

#: Typed input: a key, or a pasted text.
Typed: TypeAlias = events.Key | events.Paste


class Behind(Message):
    """Follows a key through the same queues; when this arrives at the app, the key has been handled."""

    def __init__(self, key: events.Key, screen: Screen[Any], target: Widget, *, again: bool) -> None:
        """`target` had the focus on `screen`; `again`: whether it must be sent once more, behind the key's own
        messages."""
        super().__init__()
        self.key, self.screen, self.target, self.again = key, screen, target, again


def _is_field(widget: Widget | None) -> bool:
    """Whether text is typed into a widget."""
    return hasattr(widget, "cursor_blink")


class TypingAhead(App[None]):
    """Textual sends a key to the focused widget at its arrival, not to where the key before it leads.

    A key that may move the focus, submit a form or close a box goes alone: the keys behind it are sent once it is
    handled.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        #: Which screen and widget had the focus when a key was pressed.
        self._aimed_at: WeakKeyDictionary[events.Key, tuple[Screen[Any], Widget | None]] = WeakKeyDictionary()
        #: Keys that wait for a form that is being opened.
        self._held: list[Typed] = []
        self._holding = False
        self._hold_timer: Patience | None = None
        #: Requests in flight after which a form opens.
        self._openings = 0
        #: The key that is being handled, and the input typed after it.
        self._alone: events.Key | None = None
        self._alone_timer: Patience | None = None
        self._behind: list[Typed] = []

    @property
    def holds_keys(self) -> bool:
        """Whether keys wait for a form that is being opened."""
        return self._holding

    @property
    def deals_with_key(self) -> bool:
        """Whether keys wait for the effect of the key before them."""
        return self._alone is not None or bool(self._behind)

    def opening(self, begins: bool) -> None:
        """Marks the begin or the end of a request after which a form opens: keys are queued in between."""
        self._openings += 1 if begins else -1
        if not begins and self._holding and not self._openings:
            self.hold_keys()

    def on_mount(self) -> None:
        self.screen_change_signal.subscribe(self, self._screen_changed)

    def hold_keys(self) -> None:
        """From now on keys wait for the form that is being opened; without one, they are dropped in a moment."""
        self._holding = True
        if self._hold_timer is not None:
            self._hold_timer.stop()
        self._hold_timer = Patience(self, OPENING, self._give_up, "hold-keys")

    def _give_up(self) -> None:
        if not self._openings:
            self._drop()

    # -- targets ------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif self.deals_with_key:
            self._behind.append(event)
        else:
            await self.take(event)

    async def take(self, typed: Typed) -> None:
        """Sends input to the focused widget, or queues it for the form that is being opened."""
        if self._holding and isinstance(typed, events.Key) and typed.key in ("escape", "ctrl+q"):
            self._drop()
        if self._holding:
            self._held.append(typed)
            return
        if isinstance(typed, events.Key):
            self._aimed_at[typed] = self.screen, self.focused
        elif isinstance(self.focused, Input):
            # Textual's field takes the first line and drops the others.
            lines = typed.text.splitlines()
            if len(lines) > 1:
                typed.text = " ".join(line.strip() for line in lines if line.strip())
        alone = isinstance(typed, events.Key) and self._goes_alone(typed)
        await super().on_event(typed)
        if alone and isinstance(typed, events.Key) and typed.is_forwarded:
            self._alone = typed
            self._alone_timer = Patience(self, LONGEST, lambda: self._dealt_with(typed), "key")
            self._follow(Behind(typed, self.screen, self.focused or self.screen, again=True))

    def _goes_alone(self, key: events.Key) -> bool:
        """Whether the next input may have to go elsewhere. Keys on a page's list act in their order anyway."""
        return not key.is_printable if _is_field(self.focused) else isinstance(self.screen, ModalScreen)

    def _follow(self, behind: Behind) -> None:
        if not behind.target.post_message(behind):
            self._end_alone(behind)  # the focused widget was removed

    @on(Behind)
    def _key_arrived(self, message: Behind) -> None:
        if message.key is not self._alone:
            return
        if message.again:
            # Enter in a field posts a message to that field, which the form then acts upon.
            self._follow(Behind(message.key, message.screen, message.target, again=False))
        else:
            self._end_alone(message)

    def _end_alone(self, behind: Behind) -> None:
        if self.screen is behind.screen:
            self._dealt_with(behind.key)
        else:  # the screen that the key opened may not be there yet
            self.screen.call_after_refresh(self._dealt_with, behind.key)

    def _dealt_with(self, key: events.Key | None) -> None:
        if key is not None and key is self._alone:
            self._alone = None
            if self._alone_timer is not None:
                self._alone_timer.stop()
                self._alone_timer = None
            self.call_later(self._go_on)

    async def _go_on(self) -> None:
        """Sends the queued input, in the order in which it was typed."""
        while self._behind and self._alone is None:
            self._behind.sort(key=lambda each: each.time)
            typed = self._behind.pop(0)
            await self.take(self.again(typed) if typed.is_forwarded else typed)

    async def on_key(self, event: events.Key) -> None:
        """Gives input typed right behind a key to the screen which that key opened, so that no letter acts on the one
        below."""
        field = self.focused
        screen, aimed = self._aimed_at.pop(event, (self.screen, field))
        if self._holding or screen is not self.screen:
            event.prevent_default()
            self._held.append(event)
            if not self._holding:
                self.hold_keys()
                self._screen_changed(self.screen)
        elif aimed is not field and _is_field(field):
            event.prevent_default()
            self._behind.append(event)
            await self._go_on()

    def again(self, typed: Typed) -> Typed:
        """A copy: the app does not treat a forwarded event as new."""
        copy: Typed
        if isinstance(typed, events.Key):
            copy = events.Key(typed.key, typed.character)
        else:
            copy = events.Paste(typed.text)
        copy.time = typed.time
        return copy

    # -- a form that is being opened ----------------------------------------------------------------

    def _screen_changed(self, screen: Screen[Any]) -> None:
        if self._holding:
            screen.call_after_refresh(self._release)
        if self._alone is not None:
            screen.call_after_refresh(self._dealt_with, self._alone)

    def _release(self) -> None:
        """Sends the queued keys to the screen that is open now."""
        self._behind += self._held
        self._drop()
        self.call_later(self._go_on)

    def _drop(self) -> None:
        self._holding = False
        self._held.clear()
        if self._hold_timer is not None:
            self._hold_timer.stop()
            self._hold_timer = None
