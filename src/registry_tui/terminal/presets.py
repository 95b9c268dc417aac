"""Sets of keys to choose from: `keymap` of `[terminal]`. Each keeps one meaning for each key on all pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from registry_tui.terminal.action import Action


@dataclass(frozen=True)
class Preset:
    """Keys (Textual's names, comma-separated) that differ from the usual ones."""

    #: By the meaning of an action (`Action.verb`), on pages and in boxes.
    verbs: Mapping[str, str] = field(default_factory=dict)
    #: By the ID of a list's binding (`widgets/virtual_table.py`).
    lists: Mapping[str, str] = field(default_factory=dict)


PRESETS: Mapping[str, Preset] = {
    "default": Preset(),
    # h, l, ctrl+d and ctrl+u move, so the actions with these keys get others.
    "vim": Preset(
        verbs={
            "delete": "ctrl+k,delete",
            "logs": "J",
            "time": "W",
            "requests": "vertical_line",
            "drift": "right_curly_bracket",
            "chart_left": "left,h",
            "chart_right": "right,l",
        },
        lists={
            "list.left": "left,h",
            "list.right": "right,l",
            "list.half-up": "ctrl+up,ctrl+u",
            "list.half-down": "ctrl+down,ctrl+d",
        },
    ),
}
#: The effects of a list's bindings with an ID.
LISTS: Mapping[str, str] = {
    "list.left": "Close, or columns to the left",
    "list.right": "Open, or columns to the right",
    "list.half-up": "Half a page up",
    "list.half-down": "Half a page down",
}


def with_preset(actions: Iterable[Action], preset: Preset) -> list[Action]:
    """The actions with the preset's keys."""
    return [replace(each, key=preset.verbs[each.verb]) if each.verb in preset.verbs else each for each in actions]
