"""The form in which a model card is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static, TextArea

from registry_tui.schemas.cards import MAX_CARD
from registry_tui.screens.base.form import UNDO, Form

if TYPE_CHECKING:
    from registry_tui.schemas.cards import ModelCard
    from registry_tui.schemas.models import ModelVersion


class _Text(TextArea):
    """Markdown of many lines: enter begins a line, tab goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [UNDO]


class CardForm(Form["ModelCard"]):
    """Writes a card in place of the displayed one; refused if someone wrote another one meanwhile."""

    OK = "Save"
    WORK = "The saving"
    # Within a text, enter begins a line.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "give", "Save", show=False)]

    def __init__(self, version: ModelVersion, card: ModelCard) -> None:
        super().__init__()
        self.version, self.card = version, card
        #: The text about whose loss the user was warned.
        self._would_lose = ""

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        return f"Card of {self.version.model_name} v{self.version.version}"

    def compose_fields(self) -> Iterable[Widget]:
        yield _Text(
            self.card.text, compact=True, soft_wrap=True, tab_behavior="focus", highlight_cursor_line=False, id="text"
        )
        yield Static("Markdown · ctrl+s saves · tab goes to the buttons", classes="note", markup=False)

    def on_mount(self) -> None:
        self.query_one("#text").focus()

    @property
    def text(self) -> str:
        """The card as typed."""
        return self.query_one("#text", _Text).text

    def problem_of(self) -> str | None:
        if not self.text.strip():
            return "write something: the card is empty"
        if len(self.text) > MAX_CARD:
            return f"a card has {MAX_CARD} characters at most, this one has {len(self.text)}"
        return None

    def action_give(self) -> None:
        """Saves, as the button does."""
        self._ok()

    def action_leave(self) -> None:
        """Unsaved text is discarded only on the second attempt."""
        text = self.text
        if not self.busy and text not in (self.card.text, self._would_lose):
            self._would_lose = text
            self.complain("It is not saved: ctrl+s saves it, esc once more throws away what you wrote")
            return
        super().action_leave()

    async def send(self) -> ModelCard:
        from registry_tui.schemas.cards import CardChange

        version = self.version
        return await self.program.client.set_card(
            version.registry_id,
            version.model_id,
            version.version,
            CardChange(text=self.text, instead_of=self.card.number),
        )
