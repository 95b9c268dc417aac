"""Small dialogs: confirm, choose, help, and text to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.markup import escape
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, OptionList, Static, TextArea
from textual.widgets.option_list import Option
from textual.widgets.text_area import Selection

from registry_tui.screens.base.frame import FrameScreen, Working
from registry_tui.terminal.actions import key_shown
from registry_tui.wording.text import CELL_LIMIT, safe, safe_lines

if TYPE_CHECKING:
    from registry_tui.app.app import RegistryApp

Result = TypeVar("Result")


def title(text: str, limit: int = CELL_LIMIT) -> str:
    """A text from outside as the title of a box, which Textual reads as markup."""
    return escape(safe(text, limit))


class Dialog(Working, ModalScreen[Result]):
    """A box over the screen. Esc closes it without a result."""

    #: Read with the first dialog, not before the first paint.
    CSS_PATH = "../../styles/base/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Close", show=False)]

    def __init__(self) -> None:
        super().__init__(classes="dialog")

    @property
    def program(self) -> RegistryApp:
        """The app, by its own type."""
        from registry_tui.app.app import RegistryApp

        assert isinstance(self.app, RegistryApp)
        return self.app

    def action_leave(self) -> None:
        self.dismiss(None)


@dataclass(frozen=True)
class MenuItem:
    """A choice; one that is not possible says why."""

    id: str
    label: str
    why_not: str | None = None
    note: str = ""


class Menu(Dialog[str]):
    """Choose one of a few. Typing narrows a long list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "to_list", "List", show=False),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
    ]

    def __init__(self, title: str, items: Sequence[MenuItem], chosen: str | None = None) -> None:
        super().__init__()
        self.title_text, self.items, self.chosen = title, list(items), chosen

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = title(self.title_text)
            if len(self.items) > 12:
                yield Input(placeholder="type to narrow", compact=True, id="narrow")
            yield OptionList(*self._options(""), id="choices", compact=True)

    def on_mount(self) -> None:
        choices = self.query_one(OptionList)
        choices.focus()
        for index, item in enumerate(self.items):
            if item.id == self.chosen:
                choices.highlighted = index
        if len(self.items) > 12:
            self.query_one("#narrow").focus()

    def _options(self, narrow: str) -> list[Option]:
        options = []
        for item in [item for item in self.items if narrow.lower() in item.label.lower()][:300]:
            note = item.why_not or item.note
            text = Content.assemble(
                (safe(item.label, 80), "$foreground-disabled" if item.why_not else ""),
                (f"   {safe(note, 200)}" if note else "", "$foreground-muted"),
            )
            options.append(Option(text, id=item.id, disabled=item.why_not is not None))
        return options

    @on(Input.Changed, "#narrow")
    def _narrowed(self, event: Input.Changed) -> None:
        choices = self.query_one(OptionList)
        choices.clear_options()
        choices.add_options(self._options(event.value))
        choices.highlighted = 0 if choices.option_count else None

    @on(Input.Submitted, "#narrow")
    def _submitted(self) -> None:
        choices = self.query_one(OptionList)
        if choices.highlighted is not None:
            choices.action_select()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)

    def action_to_list(self) -> None:
        self.query_one(OptionList).focus()

    def action_down(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        self.query_one(OptionList).action_cursor_up()


class Confirm(Dialog[bool]):
    """Says what will happen, and asks. `type_name` has to be typed before OK works."""

    def __init__(self, title: str, lines: Sequence[str], ok: str = "OK", type_name: str | None = None) -> None:
        super().__init__()
        self.title_text, self.lines, self.ok, self.type_name = title, lines, ok, type_name

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = title(self.title_text)
            for line in self.lines:
                yield Static(safe(line), classes="note", markup=False)
            if self.type_name is not None:
                yield Label(f"Type {safe(self.type_name)} to go on:", markup=False)
                yield Input(compact=True, id="typed")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self.ok, id="ok", variant="primary", compact=True, disabled=self.type_name is not None)

    def on_mount(self) -> None:
        self.query_one("#typed" if self.type_name is not None else "#ok").focus()

    @on(Input.Changed, "#typed")
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#ok", Button).disabled = event.value != self.type_name

    @on(Input.Submitted, "#typed")
    def _submitted(self) -> None:
        if not self.query_one("#ok", Button).disabled:
            self.dismiss(True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "ok")


class View(Dialog[None]):
    """Text to read: everything about something as YAML or JSON, logs, commands; with search, copy and save."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "Copy", show=False),
        Binding("y", "turn", "YAML or JSON", show=False),
        Binding("slash", "search", "Search", show=False),
        Binding("n", "next(1)", "Next", show=False),
        Binding("N", "next(-1)", "Previous", show=False),
        Binding("ctrl+s", "save", "Save", show=False),
        Binding("g,home", "top", "Top", show=False),
        Binding("G,end", "bottom", "Bottom", show=False),
        Binding("q", "leave", "Close", show=False),
    ]

    def __init__(self, title: str, text: str, *, note: str = "") -> None:
        super().__init__()
        self.title_text, self.text, self.note = title, text, note
        #: The same as YAML, when the text is JSON; `y` turns from one to the other.
        self.other: str | None = None
        self.form = "text"
        if text[:1] in "{[":
            self._read_json()
        self.found: list[tuple[int, int]] = []
        self.at = -1

    def _read_json(self) -> None:
        from registry_tui.widgets.exporting import as_yaml

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

    def _show_keys(self, said: str = "") -> None:
        turn = "" if self.other is None else f"y {'JSON' if self.form == 'YAML' else 'YAML'} · "
        found = f"{self.at + 1} of {len(self.found)} · n next · " if self.found else ""
        box = self.query_one(".view")
        box.border_subtitle = f"{said or found}{turn}/ search · c copy · ^s save · esc close"

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
        self.app.copy_to_clipboard(self.text)
        self._show_keys("copied, where the terminal allows it · ")

    def action_search(self) -> None:
        field = self.query_one("#search", Input)
        field.display = True
        self.set_focus(field)

    @on(Input.Changed, "#search")
    def _search_typed(self, event: Input.Changed) -> None:
        from registry_tui.widgets.exporting import occurrences

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
        from registry_tui.screens.base.save import Save

        suffix = {"YAML": "yaml", "JSON": "json"}.get(self.form, "txt")
        self.app.push_screen(Save("Save this text", f"{self.title_text}.{suffix}", self.text), self._saved)

    def _saved(self, path: Path | None) -> None:
        if path is not None:
            self._show_keys(f"saved in {safe(str(path), 50)} · ")


class Help(Dialog[None]):
    """Every action of a screen from the registry of actions, with its key, and why not when it is not possible."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,q", "leave", "Close", show=False)]

    TABLE_KEYS = (
        ("↑ ↓  j k", "one row up or down"),
        ("pgup pgdn", "a page up or down"),
        ("g G  home end", "first and last row"),
        ("← →", "columns that do not fit; in a tree, open and close"),
        ("1 … 6", "the sections on the left"),
        ("ctrl+p", "the palette: every action by name"),
    )

    def __init__(self, screen: FrameScreen) -> None:
        super().__init__()
        self.of = screen

    def compose(self) -> ComposeResult:
        plain = self.program.preferences.terminal.plain
        room = min(104, self.app.size.width * 96 // 100) - 8
        lines: list[Any] = []
        for action in self.of.all_actions():
            why = self.of.reason(action.id)
            text = action.help if why is None else f"{action.help}\nnot now: {safe(why, 200)}"
            lines += self._entry(key_shown(action.key, plain=plain), action.label, text, why is None, room)
        lines.append("\n")
        for keys, words in self.TABLE_KEYS:
            lines += [(f"{keys:>14}  ", "bold $accent"), (f"{words}\n", "$foreground-muted")]
        with Vertical(classes="box help") as box:
            box.border_title = "What you can do here"
            box.border_subtitle = "esc close"
            with VerticalScroll(id="text"):
                yield Static(Content.assemble(*lines), markup=False)

    def on_mount(self) -> None:
        self.query_one("#text").focus()

    @staticmethod
    def _entry(key: str, label: str, text: str, possible: bool, room: int) -> list[tuple[str, str]]:
        """A key, its word and its sentence, wrapped beside them."""
        wrapped = [part for line in text.split("\n") for part in wrap(line, max(20, room - 36))]
        styles = ("bold $accent", "bold", "$foreground-muted") if possible else ("$foreground-disabled",) * 3
        return [
            (f"{key:>14}  ", styles[0]),
            (f"{label:<20}", styles[1]),
            (f"\n{'':>36}".join(wrapped) + "\n", styles[2]),
        ]
