"""A place that is still loading: which keys wait for their objects, and forms that open after a request."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from textual.widget import Widget
from textual.widgets import OptionList

from registry_tui.screens.base.working import Working
from registry_tui.terminal.action import Action
from registry_tui.terminal.actions import AT_ONCE
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import Awaiting
from registry_tui.widgets.virtual_table import VirtualTable

#: Keys that move about a list (`virtual_table.VirtualTable`).
MOVEMENTS = frozenset(
    {"up", "k", "down", "j", "pageup", "ctrl+b", "pagedown", "ctrl+f", "home", "g", "end", "G", "left", "right"}
    | {"shift+up", "shift+down", "space"}
)

_ASKING = "asking the service for what the form needs …"


def takes_text(widget: Widget | None) -> bool:
    """Whether a widget is a field: text is typed into it, or a value chosen."""
    return hasattr(widget, "cursor_blink") or hasattr(widget, "expanded")


#: The key of the cursors in a place's state.
CURSORS = "cursors"


def _name(widget: Widget) -> str:
    """A list's name, unique in its page: panes of the same kind have lists with the same ID."""
    # Only here, because the first page shows no tabs and is painted without them.
    from textual.widgets import TabPane

    within = next((above for above in widget.ancestors if isinstance(above, TabPane)), None)
    return f"{within.id if within is not None else ''} {widget.id}"


class Loading(Working):
    """A place's state until its first response; the base of `FrameScreen`."""

    if TYPE_CHECKING:
        # From Textual's `Screen` and from `FrameScreen`, which every subclass is.
        is_mounted: bool
        focused: Widget | None

        def all_actions(self) -> list[Action]: ...
        def reason(self, action: str) -> str | None: ...
        def flash(self, text: str, style: str = "$accent") -> None: ...
        def end_flash(self, text: str) -> None: ...
        async def start(self) -> None: ...

        place: Place
        query: Any

    #: Whether the page's object was there once, and whether the last request for it failed.
    _found = False
    _not_had = False
    #: Whether it is shown in the state in which it was left.
    _recalled = False

    @property
    def still_loads(self) -> bool:
        """Whether the first response, or the focused list, is still loading."""
        if not self.program.answering:
            return self.program.connecting
        focused: object = self.focused
        return not (self._found or self._not_had or self._recalled) or (isinstance(focused, Awaiting) and focused.waits)

    def keeps(self, key: str) -> bool:
        """Whether a key that is pressed now waits for its object."""
        if not self.is_mounted:
            return True
        if takes_text(self.focused) or not self.still_loads:
            return False
        if key in MOVEMENTS:
            return True
        action = self._action_of(key)
        return action is not None and self.reason(action.id) is not None

    def unsafe(self, key: str) -> bool:
        """Whether a key must not act on an object that is not in view yet."""
        action = self._action_of(key)
        return self.still_loads and action is not None and (action.danger or action.id in AT_ONCE)

    def refuse_unseen(self, key: str) -> None:
        """Shows that a key is not queued."""
        action = self._action_of(key)
        if action is not None:
            self.flash(
                f"{action.label}: not now, it is still loading; press it once you see what it is for", "$warning"
            )

    # -- coming back --------------------------------------------------------------------------------

    def keep_cursors(self) -> None:
        """Keeps the cursor position of each list, to come back to."""
        self.place.state[CURSORS] = {
            **{_name(table): table.place for table in self.query(VirtualTable)},
            **{_name(options): options.highlighted for options in self.query(OptionList)},
        }

    async def recall(self) -> None:
        """Shows the cached responses from when the place was left, while the service is queried again."""
        cursors = self.place.state.get(CURSORS)
        if cursors is None:
            return
        from registry_tui.client.remembered import NotRemembered, recalling

        for table in self.query(VirtualTable):
            table.comes_back_to = cursors.get(_name(table))
        with suppress(NotRemembered):
            with recalling():
                await self.start()
            self._recalled = True
        for table in self.query(VirtualTable):
            with suppress(NotRemembered), recalling():
                await table.recall()
        for options in self.query(OptionList):
            at = cursors.get(_name(options))
            if at is not None and at < options.option_count:
                options.highlighted = at

    def _action_of(self, key: str) -> Action | None:
        return next((action for action in self.all_actions() if key in action.key.split(",")), None)

    def opening(self, work: Coroutine[Any, Any, None], group: str) -> None:
        """Loads the data that a form needs before it opens; shows this, and queues keys for the form."""
        self.flash(_ASKING)
        self.work_on(self._until_open(work), group, exclusive=False)

    async def _until_open(self, work: Coroutine[Any, Any, None]) -> None:
        self.program.opening(True)
        try:
            await work
        finally:
            self.program.opening(False)
            self.end_flash(_ASKING)
