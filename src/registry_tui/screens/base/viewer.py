"""A dialog with text to read, with search, copy and save."""

from __future__ import annotations

from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static, TextArea
from textual.widgets.text_area import Selection

from registry_tui.screens.base.dialogs import Dialog, title
from registry_tui.screens.base.save import Save
from registry_tui.terminal.keys import box_bindings
from registry_tui.widgets.exporting import as_yaml, occurrences
from registry_tui.wording.text import safe, safe_lines


class View(Dialog[None]):
    """Text to read: everything about something as YAML or JSON, logs, commands; with search, copy and save."""

    BINDINGS = box_bindings("text")

    def __init__(self, title: str, text: str, *, note: str = "") -> None:
        super().__init__()
        self.title_text, self.text, self.note = title, text, note
        #: The same as YAML, when the text is JSON; `y` switches between them.
        self.other: str | None = None
        self.form = "text"
        if text[:1] in "{[":
            self._read_json()
        self.found: list[tuple[int, int]] = []
        self.at = -1

    def _read_json(self) -> None:
        try:
            self.other, self.text, self.form = self.text, as_yaml(self.text), "YAML"
        except ValueError:
            self.other = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="box view") as box:
            box.border_title = title(self.title_text, 60)
            if self.note:
                yield Static(safe_lines(self.note), classes="note", markup=False)
            yield TextArea(safe_lines(self.text), id="text", read_only=True, compact=True, highlight_cursor_line=False)
            yield Input(placeholder="search", compact=True, id="search")

    def on_mount(self) -> None:
        self.query_one("#search").display = False
        self.query_one("#text").focus()
        self._show_keys()

    def _show_keys(self, message: str = "") -> None:
        turn = "" if self.other is None else f"y {'JSON' if self.form == 'YAML' else 'YAML'} · "
        found = f"{self.at + 1} of {len(self.found)} · . next · " if self.found else ""
        box = self.query_one(".view")
        box.border_subtitle = f"{message or found}{turn}/ search · c copy · ^s save · esc close"

    def action_turn(self) -> None:
        if self.other is None:
            self.action_leave()
            return
        self.text, self.other = self.other, self.text
        self.form = "JSON" if self.form == "YAML" else "YAML"
        self.found, self.at = [], -1
        self.query_one(TextArea).load_text(safe_lines(self.text))
        self._show_keys()

    def action_copy(self) -> None:
        self.program.copy_text(self.text, lambda words: self._show_keys(f"{words} · "))

    def action_search(self) -> None:
        field = self.query_one("#search", Input)
        field.display = True
        self.set_focus(field)

    @on(Input.Changed, "#search")
    def _search_typed(self, event: Input.Changed) -> None:
        event.stop()
        self.found, self.at = occurrences(self.query_one(TextArea).text, event.value), -1
        self.action_next(1)

    @on(Input.Submitted, "#search")
    def _search_done(self, event: Input.Submitted) -> None:
        event.stop()
        event.input.display = False
        self.query_one(TextArea).focus()

    def action_next(self, by: int) -> None:
        if self.found:
            self.at = (self.at + by) % len(self.found)
            line, column = self.found[self.at]
            length = len(self.query_one("#search", Input).value)
            area = self.query_one(TextArea)
            area.selection = Selection((line, column), (line, column + length))
            area.scroll_cursor_visible(center=True)
            self._show_keys()
        else:
            self._show_keys("not found · " if self.query_one("#search", Input).value else "")

    def action_top(self) -> None:
        self.query_one(TextArea).move_cursor((0, 0))

    def action_bottom(self) -> None:
        area = self.query_one(TextArea)
        area.move_cursor(area.document.end)

    def action_leave(self) -> None:
        field = self.query_one("#search", Input)
        if field.display:
            field.display = False
            self.query_one(TextArea).focus()
        else:
            self.dismiss(None)

    def action_save(self) -> None:
        suffix = {"YAML": "yaml", "JSON": "json"}.get(self.form, "txt")
        self.app.push_screen(Save("Save this text", f"{self.title_text}.{suffix}", self.text), self._saved)

    def _saved(self, path: Path | None) -> None:
        if path is not None:
            self._show_keys(f"saved in {safe(str(path), 50)} · ")
