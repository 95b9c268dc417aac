"""Small dialogs: confirm and choose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import ClassVar, TypeVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.markup import escape
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from registry_tui.screens.base.depends_on import DependsOn
from registry_tui.screens.base.working import Working
from registry_tui.terminal.textual_private import LeftEarly
from registry_tui.widgets.awaited import NOT_LOADED_HERE, say_waiting
from registry_tui.wording.text import CELL_LIMIT, safe

Result = TypeVar("Result")

#: Cells of a box's width (`styles/base/dialogs.tcss`), and of its border, padding and scroll bar.
_BOX, _FRAME = 76, 8


def title(text: str, limit: int = CELL_LIMIT) -> str:
    """A text from outside as the title of a box, which Textual reads as markup."""
    return escape(safe(text, limit))


class Dialog(Working, LeftEarly, ModalScreen[Result]):
    """A box over the screen. Esc closes it without a result."""

    #: Read with the first dialog, not before the first paint.
    CSS_PATH = "../../styles/base/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Close", show=False)]

    def __init__(self) -> None:
        super().__init__(classes="dialog")

    def action_leave(self) -> None:
        self.dismiss(None)

    def failed(self, error: Exception) -> None:
        say_waiting(self, NOT_LOADED_HERE)
        super().failed(error)


@dataclass(frozen=True)
class MenuItem:
    """A choice; one that is not possible shows the reason."""

    id: str
    label: str
    why_not: str | None = None
    note: str = ""


class Menu(Dialog[str]):
    """Choose one of a few. Typing narrows a long list, where letters mean nothing else."""

    #: Items from which on there is a field to narrow the list.
    LONG: ClassVar[int] = 13
    #: The field's placeholder, and whether it has the focus first.
    NARROW: ClassVar[str] = "type to narrow"
    NARROW_FIRST: ClassVar[bool] = True
    #: Cells that the further lines of an item are indented by, so that each item is seen to begin.
    HANG: ClassVar[int] = 2

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
            if len(self.items) >= self.LONG:
                yield Input(placeholder=self.NARROW, compact=True, id="narrow")
            yield OptionList(*self._options(""), id="choices", compact=True)

    def on_mount(self) -> None:
        choices = self.query_one(OptionList)
        choices.focus()
        for index, item in enumerate(self.items):
            if item.id == self.chosen:
                choices.highlighted = index
        if self.NARROW_FIRST and len(self.items) >= self.LONG:
            self.query_one("#narrow").focus()

    def _options(self, narrow: str) -> list[Option]:
        options = []
        for item in [item for item in self.items if narrow.lower() in item.label.lower()][:300]:
            note = item.why_not or item.note
            label = safe(item.label, 80)
            text = Content.assemble(
                (label, "$foreground-disabled" if item.why_not else ""),
                (self._hung(label, safe(note, 200)) if note else "", "$foreground-muted"),
            )
            options.append(Option(text, id=item.id, disabled=item.why_not is not None))
        return options

    def _hung(self, label: str, note: str) -> str:
        """A note behind its label, its further lines indented."""
        width = max(min(_BOX, self.app.size.width * 96 // 100) - _FRAME, 2 * self.HANG + 20)
        begun, hung = " " * (cell_len(label) + 3), " " * self.HANG
        lines = wrap(note, width, initial_indent=begun, subsequent_indent=hung, break_on_hyphens=False)
        return "\n".join(lines)[cell_len(label) :]

    def on_resize(self) -> None:
        choices = self.query_one(OptionList)
        kept = choices.highlighted
        self._list("".join(field.value for field in self.query("#narrow").results(Input)))
        choices.highlighted = kept

    @on(Input.Changed, "#narrow")
    def _narrowed(self, event: Input.Changed) -> None:
        choices = self.query_one(OptionList)
        self._list(event.value)
        choices.highlighted = 0 if choices.option_count else None

    def _list(self, narrow: str) -> None:
        choices = self.query_one(OptionList)
        choices.clear_options()
        choices.add_options(self._options(narrow))

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


def first_button(danger: bool) -> str:
    """The button that has the keys first in every question: Cancel, where OK ends or removes something."""
    return "#cancel" if danger else "#ok"


class Confirm(Dialog[bool]):
    """Describes the effect, and asks. `type_name` must be typed before OK works.

    With `danger` it starts on Cancel, so that Enter alone ends or removes nothing. With `about`, references to the
    deleted objects (`contracts/lineage_refs.py`), it shows their dependents once the service has returned them; the
    question does not wait for that.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "app.focus_previous", "To the left", show=False),
        Binding("right", "app.focus_next", "To the right", show=False),
    ]

    def __init__(
        self,
        title: str,
        lines: Sequence[str],
        ok: str = "OK",
        type_name: str | None = None,
        *,
        danger: bool,
        about: str | Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.about = (about,) if isinstance(about, str) else tuple(about)
        self.title_text, self.lines, self.ok, self.type_name = title, lines, ok, type_name
        self.danger = danger

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = title(self.title_text)
            for line in self.lines:
                yield Static(safe(line), classes="note", markup=False)
            yield from self.compose_more()
            if self.about:
                yield DependsOn(self.about)
            if self.type_name is not None:
                yield Label(f"Type {safe(self.type_name)} to go on:", markup=False)
                yield Input(compact=True, id="typed")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(
                    self.ok,
                    id="ok",
                    variant="error" if self.danger else "primary",
                    compact=True,
                    disabled=self.type_name is not None,
                )

    def on_mount(self) -> None:
        first = "#typed" if self.type_name is not None else first_button(self.danger)
        self.query_one(first).focus()

    def compose_more(self) -> Iterable[Widget]:
        """Widgets that a kind of question shows below its lines."""
        return ()

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
