"""The Actions menu of every page: the possible actions on the selection or the page, each with its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.widgets import Input

from registry_tui.screens.base.dialogs import Menu, MenuItem
from registry_tui.terminal.action import Action, key_shown

if TYPE_CHECKING:
    from registry_tui.screens.base.frame import FrameScreen

#: Columns for keys before the words, as long as the longest usual key, `ctrl+d`.
_KEY_WIDTH = 7

#: Keys that move in the menu, choose and leave.
_OWN_KEYS = frozenset(
    {"enter", "escape", "up", "down", "tab", "shift+tab", "home", "end", "pageup", "pagedown", "slash"}
)


class ActionsMenu(Menu):
    """The keys that the menu shows act in it as on the page; `/` narrows the list instead."""

    NARROW: ClassVar[str] = "/ narrows"
    NARROW_FIRST: ClassVar[bool] = False
    HANG: ClassVar[int] = _KEY_WIDTH

    def __init__(self, title: str, items: Sequence[MenuItem], keys: Mapping[str, str]) -> None:
        """`keys` holds the action of each key."""
        super().__init__(title, items)
        self._keys = keys

    def on_key(self, event: events.Key) -> None:
        """Runs the action of a displayed key, unless the key is typed into the field."""
        if isinstance(self.focused, Input):
            return
        if event.key == "slash" and (field := next(iter(self.query("#narrow")), None)) is not None:
            event.stop()
            field.focus()
        elif (action := next((self._keys[key] for key in event.aliases if key in self._keys), None)) is not None:
            event.stop()
            self.dismiss(action)


def menu_actions(screen: FrameScreen) -> list[Action]:
    """The actions that the menu of a page lists now: those with a word of their own first, then as declared."""
    own = {action.id for action in screen.ACTIONS}
    found = [action for action in screen.all_actions() if action.id in own and screen.in_menu(action.id)]
    return sorted(found, key=lambda action: not action.menu)


def open_menu(screen: FrameScreen) -> None:
    """Shows the menu; an action that is not possible now is dimmed and shows the reason."""
    plain = screen.program.preferences.terminal.plain
    items = [
        MenuItem(
            action.id,
            f"{key_shown(action.key, plain=plain):<{_KEY_WIDTH}}{action.menu_word}",
            screen.reason(action.id),
            action.help,
        )
        for action in menu_actions(screen)
    ]

    def chosen(action: str | None) -> None:
        if action is not None:
            screen.action_act(action)

    of = screen.menu_of
    keys = {key: action.id for action in menu_actions(screen) for key in action.key.split(",") if key not in _OWN_KEYS}
    screen.app.push_screen(ActionsMenu(f"Actions of {of}" if of else "Actions", items, keys), chosen)
