"""The Actions menu of every page: what can be done with the selection or the page, each with its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.screens.base.dialogs import Menu, MenuItem
from registry_tui.terminal.actions import Action, key_shown

if TYPE_CHECKING:
    from registry_tui.screens.base.frame import FrameScreen

#: Columns for keys before the words, as long as the longest usual key, `ctrl+d`.
_KEY_WIDTH = 7


def menu_actions(screen: FrameScreen) -> list[Action]:
    """The actions that the menu of a page lists now: those with a word of their own first, then as declared."""
    own = {action.id for action in screen.ACTIONS}
    found = [action for action in screen.all_actions() if action.id in own and screen.in_menu(action.id)]
    return sorted(found, key=lambda action: not action.menu)


def open_menu(screen: FrameScreen) -> None:
    """Shows the menu; an action that is not possible now is dimmed and says why."""
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
    screen.app.push_screen(Menu(f"Actions of {of}" if of else "Actions", items), chosen)
