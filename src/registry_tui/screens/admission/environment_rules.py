"""The admission rules of an environment: all its revisions, the newest first; to set others, and go back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.content import Content

from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.panel_list import PanelListScreen
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.admission import RULES
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import Awaited
from registry_tui.widgets.facts import facts
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.admission import names_of_rules, rules_now, rules_text
from registry_tui.wording.text import safe, safe_lines
from registry_tui.wording.words import Cell, ago, both

if TYPE_CHECKING:
    from registry_tui.schemas.admission import EnvironmentRules

_NEEDS_NO_ROW = ("edit", "exceptions")
#: Characters of a document that fit in the panel.
_SHOWN = 20_000


class RulesScreen(PanelListScreen):
    """Each revision of the rules with its number, author and reason; the panel has the document."""

    SECTION = "environments"
    ACTIONS = RULES
    CONCERNS = frozenset({"environment"})
    BINDINGS = bindings(RULES)
    CSS_PATH = "../../styles/admission/rules.tcss"
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("number", "Number", lambda row: str(row.number), 0, right=True),
        Column("set", "Set", lambda row: Cell(ago(row.created_at), "dim") if row.created_at else "", 1),
        Column("creator", "By", lambda row: row.creator or "", 2, max_width=30),
        Column("count", "Rules", lambda row: str(len(row.rules)), 1, right=True),
        Column("comment", "Comment", lambda row: row.comment, 1, max_width=60),
        Column("names", "Names", lambda row: Cell(names_of_rules(row), "dim"), 3, max_width=80),
    )
    EMPTY = Empty(
        "No admission rules", ("Every version is admitted.", "e sets the first ones, as a YAML document."), "edit"
    )

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        #: The current rules; number 0 before the first time.
        self.newest: EnvironmentRules | None = None

    def crumbs(self) -> tuple[Crumb, ...]:
        name = self.place.args["environment"] if self.newest is None else self.newest.environment_name
        return (("Environments", Place("environments")), (name, None), ("Admission rules", None))

    async def prepare(self) -> None:
        self.newest = newest = await self.client.rules(self.place.args["environment"])
        self.query_one("#facts", Awaited).update(Content(safe(rules_now(newest), 300)))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client, environment = self.client, self.place.args["environment"]

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.rules_history(environment, page_token=token)

        return fetch

    def key_of(self, row: EnvironmentRules) -> str:
        return str(row.number)

    def named(self, row: EnvironmentRules) -> str:
        return f"rules number {row.number}"

    def copied(self, row: EnvironmentRules) -> str:
        return row.text

    def why_not(self, action: str) -> str | None:
        if action in _NEEDS_NO_ROW:
            return None if self.newest is not None else "the rules are not known yet"
        return super().why_not(action)

    def row_why_not(self, action: str, row: EnvironmentRules | None) -> str | None:
        now = row is not None and self.newest is not None and row.number == self.newest.number
        return "these are the rules that count now" if action == "go_back" and now else None

    def show_panel(self, row: EnvironmentRules) -> None:
        self.panel_text.show(lambda room: _panel(row, room))

    # -- actions ------------------------------------------------------------------------------------

    def do_edit(self) -> None:
        from registry_tui.screens.admission.rules_form import SetRules

        assert self.newest is not None
        self.app.push_screen(SetRules(self.newest), self._set)

    def do_go_back(self) -> None:
        from registry_tui.screens.admission.rules_form import SetRules

        assert self.newest is not None
        self.app.push_screen(SetRules(self.newest, back_to=self.current), self._set)

    def _set(self, found: EnvironmentRules | None) -> None:
        if found is not None:
            self.flash(f"rules number {found.number} count now")
            self.refresh_data()

    def do_exceptions(self) -> None:
        self.opening(self._exceptions(), "exceptions")

    async def _exceptions(self) -> None:
        assert self.newest is not None
        found = await self.client.environment(self.newest.environment_id)
        if found.registry_id is None:
            self.flash(f"exceptions: not now, {found.name} has no Model Registry", "$warning")
        else:
            self.program.jump(Place("exceptions", {"registry": found.registry_id}))


def _panel(row: EnvironmentRules, room: int) -> Content:
    known = [("Set", both(row.created_at) if row.created_at else ""), ("By", row.creator or ""), ("Why", row.comment)]
    title = (f"Rules number {row.number}\n", "bold")
    text = rules_text(row)
    more = "\n… y shows all of it" if len(text) > _SHOWN else ""
    return Content.assemble(title, *facts(known, 8, room), ("\n", ""), safe_lines(text[:_SHOWN]) + more)
