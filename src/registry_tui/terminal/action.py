"""An action of the terminal program: its key, words and meaning, and the key bindings derived from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.binding import BindingType


@dataclass(frozen=True)
class Action:
    """One action: its key (Textual's names, several separated by commas), word and sentence."""

    id: str
    key: str
    label: str
    help: str
    #: Whether the status line has room for it.
    footer: bool = True
    #: Its word in the Actions menu, where that is not the label. Actions with one come first there.
    menu: str = ""
    #: The meaning of its key, the same on every page; by default the action's own name.
    meaning: str = ""
    #: Whether it ends or removes something: its question starts on Cancel.
    danger: bool = False

    @property
    def verb(self) -> str:
        """The meaning of its key."""
        return self.meaning or self.id

    @property
    def menu_word(self) -> str:
        """Its word in the Actions menu."""
        return self.menu or self.label[:1].upper() + self.label[1:]


_SHOWN = {
    "enter": "↵",
    "slash": "/",
    "colon": ":",
    "question_mark": "?",
    "apostrophe": "'",
    "escape": "esc",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "equals_sign": "=",
    "plus": "+",
    "minus": "-",
    "underscore": "_",
    "full_stop": ".",
    "comma": ",",
    "semicolon": ";",
    "exclamation_mark": "!",
    "circumflex_accent": "^",
    "number_sign": "#",
    "at": "@",
    "ampersand": "&",
    "asterisk": "*",
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "dollar_sign": "$",
    "percent_sign": "%",
    "tilde": "~",
    "quotation_mark": '"',
    "right_parenthesis": ")",
    "left_curly_bracket": "{",
    "backslash": "\\",
    "vertical_line": "|",
    "right_curly_bracket": "}",
}


def key_shown(key: str, *, plain: bool = False) -> str:
    """A key as displayed; `plain`: in letters."""
    first = key.split(",")[0]
    return first if plain and first == "enter" else _SHOWN.get(first, first)


def bindings(actions: Iterable[Action]) -> list[BindingType]:
    """The key bindings of a screen with these actions."""
    # Textual reads its settings when it is imported; the program's own are read with this module, and set them.
    from textual.binding import Binding

    return [
        Binding(action.key, f"act('{action.id}')", action.label, id=action.id, tooltip=action.help, show=False)
        for action in actions
    ]


def with_keys(actions: Iterable[Action], keys: Mapping[str, str]) -> list[Action]:
    """The actions with the user's own keys, by action."""
    return [replace(action, key=keys[action.id]) if action.id in keys else action for action in actions]
