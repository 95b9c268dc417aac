"""A version's model card: its description for people; read here, and written in a form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Markdown

from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.screens.known.version import change_problem, version_crumbs
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.known import CARD
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import Awaited
from registry_tui.wording.text import safe, safe_lines
from registry_tui.wording.words import ago

if TYPE_CHECKING:
    from registry_tui.schemas.cards import ModelCard
    from registry_tui.schemas.models import ModelVersion, RegisteredModel

#: Characters of a card that are drawn; `y` shows all of it.
_DRAWN = 40_000


class CardScreen(FrameScreen):
    """The newest card that a user wrote, or the generated one."""

    SECTION = "models"
    ACTIONS = CARD
    CONCERNS = frozenset({"version"})
    BINDINGS = bindings(CARD)
    CSS_PATH = "../../styles/known/known.tcss"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.version: ModelVersion | None = None
        self.model: RegisteredModel | None = None
        self.card: ModelCard | None = None

    def compose_content(self) -> Iterable[Widget]:
        yield Awaited(id="facts")
        with VerticalScroll(id="card"):
            yield Markdown("", open_links=False)

    def crumbs(self) -> tuple[Crumb, ...]:
        return (*version_crumbs(self.place, self.version), ("Model card", None))

    def on_mount(self) -> None:
        self.focus_content()

    def focus_content(self) -> None:
        self.query_one("#card").focus()

    async def start(self) -> None:
        registry, model, number = self.place.args["registry"], self.place.args["model"], int(self.place.args["version"])
        self.version = version = await self.client.version(registry, model, number)
        self.model = await self.client.model(registry, model)
        card = await self.client.card(registry, model, number)
        changed, self.card = card != self.card, card
        self.show_crumbs()
        if changed:
            # A long card takes a moment to draw: until then the page shows that it is loading.
            await self.query_one(Markdown).update(safe_lines(card.text[:_DRAWN]))
            self.call_after_refresh(self._scroll_back)
        may = change_problem(self.program.me, self.model, version) is None
        self.query_one("#facts", Awaited).update(_facts(version, card, may_write=may))

    def _scroll_back(self) -> None:
        """Scrolls to the line that was first when the page was left."""
        if "top" in self.place.state:
            self.query_one("#card").scroll_to(y=self.place.state.pop("top"), animate=False)

    def leave(self) -> None:
        self.place.state["top"] = self.query_one("#card").scroll_y

    # -- actions ------------------------------------------------------------------------------------

    @property
    def menu_of(self) -> str:
        return "" if self.version is None else f"{self.version.model_name} v{self.version.version}"

    def why_not(self, action: str) -> str | None:
        if self.card is None:
            return "the card is not here yet"
        return change_problem(self.program.me, self.model, self.version) if action == "edit" else None

    def do_edit(self) -> None:
        from registry_tui.screens.known.card_form import CardForm

        assert self.version is not None and self.card is not None
        self.app.push_screen(CardForm(self.version, self.card), self._written)

    def _written(self, card: ModelCard | None) -> None:
        if card is not None:
            self.flash(f"card {card.number} is kept")
            self.refresh_data()

    def do_copy(self) -> None:
        assert self.card is not None
        self.program.copy_text(self.card.text)

    def do_view(self) -> None:
        from registry_tui.screens.base.viewer import View

        assert self.card is not None
        self.app.push_screen(View(f"card of {self.menu_of}", self.card.text, note=_written_by(self.card)))

    def do_export(self) -> None:
        from registry_tui.screens.base.save import Save

        assert self.card is not None
        self.app.push_screen(Save("Save the card", f"{self.menu_of}.md", self.card.text), self._saved)

    def _saved(self, path: object) -> None:
        if path is not None:
            self.flash(f"saved in {path}")


def _written_by(card: ModelCard, *, may_write: bool = False) -> str:
    if card.author is None:
        return "made from what is known" + ("; e writes one" if may_write else "")
    return f"card {card.number}, by {card.author}, {ago(card.written_at)}"


def _facts(version: ModelVersion, card: ModelCard, *, may_write: bool) -> Content:
    more = f"\nonly the first {_DRAWN} characters; y shows all of it" if len(card.text) > _DRAWN else ""
    return Content.assemble(
        (f"{safe(version.model_name, 64)} v{version.version}  ", "bold"),
        (safe(_written_by(card, may_write=may_write), 200), "$warning" if card.author is None else "$foreground-muted"),
        (more, "$warning"),
    )
