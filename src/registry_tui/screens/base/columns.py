"""Choosing the columns of a list of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, OptionList
from textual.widgets.option_list import Option

from registry_tui.screens.base.dialogs import Dialog
from registry_tui.wording.text import safe

#: Choices listed at the same time; typing narrows further.
MAX_SHOWN = 500


class _Keys(OptionList):
    """Space ticks as enter does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "select", "Tick", show=False)]


class ChooseColumns(Dialog[list[str]]):
    """Ticks keys among metrics, params and tags; OK gives those ticked, in the order offered."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("down", "to_list", "List", show=False)]

    def __init__(self, offered: Sequence[str], chosen: Sequence[str]) -> None:
        super().__init__()
        self.offered = [*offered, *(key for key in chosen if key not in offered)]
        self.chosen = set(chosen)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Columns"
            box.border_subtitle = "enter ticks · tab goes to OK"
            yield Input(placeholder="type to narrow", compact=True, id="narrow")
            yield _Keys(*self._options(""), id="keys", compact=True)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("OK", id="ok", variant="primary", compact=True)

    def on_mount(self) -> None:
        self.query_one("#keys").focus()

    def _options(self, narrow: str) -> list[Option]:
        keys = [key for key in self.offered if narrow.lower() in key.lower()][:MAX_SHOWN]
        return [Option(self._drawn(key), key) for key in keys]

    def _drawn(self, key: str) -> Content:
        """A key with its tick, which also shows without colours."""
        tick = ("[x] ", "bold $accent") if key in self.chosen else ("[ ] ", "$foreground-muted")
        return Content.assemble(tick, safe(key, 90))

    def on_key(self, event: events.Key) -> None:
        """Letters that are typed in the list narrow it."""
        narrow, keys = self.query_one("#narrow", Input), self.query_one(_Keys)
        if keys.has_focus and event.character is not None and event.is_printable and event.key != "space":
            event.stop()
            narrow.value += event.character
        elif keys.has_focus and event.key == "backspace":
            event.stop()
            narrow.value = narrow.value[:-1]

    @on(Input.Changed, "#narrow")
    def _narrowed(self, event: Input.Changed) -> None:
        keys = self.query_one(_Keys)
        keys.clear_options()
        keys.add_options(self._options(event.value))
        keys.highlighted = 0 if keys.option_count else None

    @on(OptionList.OptionSelected)
    def _ticked(self, event: OptionList.OptionSelected) -> None:
        key = event.option_id
        if key is not None:
            self.chosen ^= {key}
            event.option_list.replace_option_prompt(key, self._drawn(key))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        kept = [key for key in self.offered if key in self.chosen]
        self.dismiss(kept if event.button.id == "ok" else None)

    @on(Input.Submitted)
    def action_to_list(self) -> None:
        self.query_one("#keys").focus()
