"""Approvals: the inbox of those that wait for the user, and the earlier decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.content import Content

from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.filter_bar import Filter
from registry_tui.screens.base.panel_list import PanelListScreen
from registry_tui.screens.base.tones import styled
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.activity import APPROVALS
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import Awaited
from registry_tui.widgets.facts import facts
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.approvals import approval_state, purpose_words
from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell, ago, both

if TYPE_CHECKING:
    from registry_tui.schemas.promotion import Approval

#: The list's initial filter.
WAITING = "waiting"
STATES = (
    (WAITING, "waiting for you"),
    *((state, state) for state in ("pending", "approved", "rejected", "withdrawn")),
)
_NOTHING_WAITS = Empty("Nothing waits for you", ("/ shows what was asked and decided before.",))


class ApprovalsScreen(PanelListScreen):
    """The approvals that the user requested or may decide, newest first; initially those that wait for them."""

    SECTION = "activity"
    ACTIONS = APPROVALS
    CONCERNS = frozenset({"approval", "version"})
    BINDINGS = bindings(APPROVALS)
    CSS_PATH = "../../styles/activity/approvals.tcss"
    FILTERS = (Filter("state", "state", STATES),)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("state", "State", approval_state, 0, min_width=11),
        Column("version", "Version", lambda row: f"{row.model_name} v{row.version}", 0, keeps_end=True, max_width=60),
        Column("purpose", "To", lambda row: purpose_words(row.purpose), 1, max_width=24, floor=16),
        Column("asked_by", "Asked by", lambda row: row.asked_by, 2, max_width=30),
        Column("asked", "Asked", lambda row: Cell(ago(row.asked_at), "dim"), 2),
        Column("decided_by", "Decided by", lambda row: row.decided_by or "", 3, max_width=30),
        Column("comment", "Comment", lambda row: Cell(row.answer or row.question, "dim"), 4, max_width=60),
    )
    EMPTY = Empty(
        "No approvals", ("& on a version asks for one.", "In a script: registry-tui approvals ask MODEL VERSION")
    )

    def __init__(self, place: Place) -> None:
        place.state.setdefault("filters", {"state": WAITING})
        super().__init__(place)

    def crumbs(self) -> tuple[Crumb, ...]:
        return (("Activity", Place("activity")), ("Approvals", None))

    async def prepare(self) -> None:
        self.query_one("#facts", Awaited).update(Content("Whether versions may go on: what you asked, or may decide"))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client, state = self.client, filters.get("state") or None
        asked: dict[str, Any] = {"waiting": True} if state == WAITING else {"state": state}

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.approvals(**asked, page_token=token)

        return fetch

    def show_count(self) -> None:
        super().show_count()
        if self.filters == {"state": WAITING} and self.table.empty != _NOTHING_WAITS:
            self.table.empty = _NOTHING_WAITS
            self.table.refresh()

    def key_of(self, row: Approval) -> str:
        return row.id

    def named(self, row: Approval) -> str:
        return f"{row.model_name} v{row.version}: {purpose_words(row.purpose)}"

    def copied(self, row: Approval) -> str:
        return row.id

    def row_why_not(self, action: str, row: Approval | None) -> str | None:
        if action == "decide" and row is not None and not row.decisions:
            if row.state.value == "pending":
                return "somebody else has to decide"
            return f"it was {row.state.value} by {safe(row.decided_by or '', 60)}"
        return None

    def show_panel(self, row: Approval) -> None:
        self.panel_text.show(lambda room: _panel(row, room))

    # -- actions ------------------------------------------------------------------------------------

    def do_decide(self) -> None:
        from registry_tui.screens.activity.deciding import Decide

        self.app.push_screen(Decide(self.current), self._decided)

    def _decided(self, found: Approval | None) -> None:
        if found is not None:
            self.flash(f"{found.model_name} v{found.version}: {purpose_words(found.purpose)}: {found.state.value}")
            self.program.count_approvals()
            self.refresh_data()

    def do_model(self) -> None:
        row: Approval = self.current
        self.program.open(Place("model", {"registry": row.registry_id, "model": row.model_name}))

    def do_workflows(self) -> None:
        self.program.jump(Place("activity"))

    def why_not(self, action: str) -> str | None:
        return None if action == "workflows" else super().why_not(action)


def _panel(row: Approval, room: int) -> Content:
    known = [
        ("To", purpose_words(row.purpose)),
        ("Asked by", row.asked_by),
        ("Asked", both(row.asked_at)),
        ("Question", row.question),
        ("Decided by", row.decided_by or ""),
        ("Decided", both(row.decided_at) if row.decided_at else ""),
        ("Answer", row.answer),
        ("ID", row.id),
    ]
    title = (f"{safe(row.model_name, 80)} version {row.version}\n", "bold")
    *listed, (last, style) = facts(known, 12, room)
    return Content.assemble(title, styled(approval_state(row)), ("\n\n", ""), *listed, (last.rstrip("\n"), style))
