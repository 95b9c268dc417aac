"""The help dialog: every action of a screen."""

from __future__ import annotations

from textwrap import wrap
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from registry_tui.screens.base.dialogs import Dialog
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.terminal.action import key_shown
from registry_tui.wording.text import safe


class Help(Dialog[None]):
    """Every action of a screen with its key, and why not when it is not possible; then signs and keys of lists."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,q", "leave", "Close", show=False)]

    TABLE_KEYS = (
        ("↑ ↓  j k", "one row up or down"),
        ("pgup pgdn", "a page up or down"),
        ("g G  home end", "first and last row"),
        ("← →", "columns that do not fit; in a tree, open and close"),
        ("1 … 6", "the sections on the left"),
        (":  ctrl+p", "find and do: tab completes, ↑ what was typed before"),
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
        for keys, words in (*self.of.LEGEND, *self.TABLE_KEYS):
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
        """A key, its word and its sentence, wrapped next to them."""
        wrapped = [part for line in text.split("\n") for part in wrap(line, max(20, room - 36))]
        styles = ("bold $accent", "bold", "$foreground-muted") if possible else ("$foreground-disabled",) * 3
        return [
            (f"{key:>14}  ", styles[0]),
            (f"{label:<20}", styles[1]),
            (f"\n{'':>36}".join(wrapped) + "\n", styles[2]),
        ]
