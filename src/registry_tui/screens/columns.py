"""Choosing the columns of a list of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, SelectionList
from textual.widgets.selection_list import Selection

from registry_tui.screens.dialogs import Dialog
from registry_tui.widgets.text import safe

#: Choices that are listed at once; typing narrows further.
MAX_SHOWN = 500


class ChooseColumns(Dialog[list[str]]):
    """Marks keys among metrics, params and tags; OK gives those marked, in the order offered."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("down", "to_list", "List", show=False)]

    def __init__(self, offered: Sequence[str], chosen: Sequence[str]) -> None:
        super().__init__()
        self.offered = [*offered, *(key for key in chosen if key not in offered)]
        self.chosen = set(chosen)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Columns"
            yield Input(placeholder="type to narrow", compact=True, id="narrow")
            yield SelectionList[str](*self._selections(""), id="keys", compact=True)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("OK", id="ok", variant="primary", compact=True)

    def on_mount(self) -> None:
        self.query_one("#keys").focus()

    def _selections(self, narrow: str) -> list[Selection[str]]:
        keys = [key for key in self.offered if narrow.lower() in key.lower()][:MAX_SHOWN]
        return [Selection(Content(safe(key, 90)), key, key in self.chosen) for key in keys]

    @on(Input.Changed, "#narrow")
    def _narrowed(self, event: Input.Changed) -> None:
        keys = self.query_one("#keys", SelectionList)
        keys.clear_options()
        keys.add_options(self._selections(event.value))

    @on(SelectionList.SelectionToggled)
    def _toggled(self, event: SelectionList.SelectionToggled[str]) -> None:
        self.chosen ^= {event.selection.value}

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        kept = [key for key in self.offered if key in self.chosen]
        self.dismiss(kept if event.button.id == "ok" else None)

    @on(Input.Submitted)
    def action_to_list(self) -> None:
        self.query_one("#keys").focus()
