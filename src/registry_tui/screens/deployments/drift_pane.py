"""Drift on a deployment's page: each column against the training data, its distribution, and its PSI over time."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from textual import on
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget

from registry_tui.screens.base.tones import styled
from registry_tui.widgets.chart import LineChart
from registry_tui.widgets.facts import AwaitedFacts
from registry_tui.widgets.page_cache import PageCache, Rows
from registry_tui.widgets.paired_bars import paired_bars
from registry_tui.widgets.plotting import Series
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.wording import drift as wording
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient
    from registry_tui.schemas.drift import ColumnDrift, Drift

DRIFT: tuple[Column[Any], ...] = (
    Column("column", "Column", lambda row: f"{row.side.value} {row.name}", 0),
    Column("state", "State", wording.state, 0, min_width=12),
    Column("psi", "PSI", lambda row: f"{row.psi:.3f}" if row.count else "–", 0, right=True),
    Column("ks", "KS", lambda row: "–" if row.ks is None else f"{row.ks:.3f}", 1, right=True),
    Column("p", "p", lambda row: "–" if row.p_value is None else f"{row.p_value:.2g}", 3, right=True),
    Column("values", "Values", lambda row: f"{row.count:,}", 2, right=True),
    Column("missing", "Missing", lambda row: f"{row.missing:,}", 3, right=True),
)
_NO_PROFILE = (
    "m goes to the model; J makes a profile of the version there, from its data.",
    "In a script: registry-tui models profile NAME VERSION --file DATA.csv",
)


class DriftPane(Vertical):
    """One deployment's drift. The screen decides when to refresh it: measuring takes up to a second."""

    def __init__(self, deployment: str) -> None:
        super().__init__()
        self._deployment = deployment
        self.found: Drift | None = None

    def compose(self) -> Iterable[Widget]:
        yield AwaitedFacts(id="drift-words")
        yield VirtualTable(DRIFT, id="drift-columns")
        with Horizontal(id="drift-charts"):
            with VerticalScroll(id="drift-bars", can_focus=False):
                yield AwaitedFacts(id="bars")
            yield LineChart(axis="time", id="psi")

    def on_mount(self) -> None:
        self.query_one("#drift-charts").display = False

    @property
    def table(self) -> VirtualTable[ColumnDrift]:
        return self.query_one("#drift-columns", VirtualTable)

    async def look(self, client: RegistryClient) -> None:
        """Measures and shows it; raises RegistryError."""
        from registry_tui.client import Refused

        try:
            self.found = found = await client.drift(self._deployment)
        except Refused as error:
            self.query_one("#drift-words", AwaitedFacts).update("")
            self.table.say(Empty(error.message, (error.action,) if error.action else ()))
            return
        self.query_one("#drift-words", AwaitedFacts).show(lambda _: _words(found))
        table = self.table
        if found.profile_source is None:
            table.say(Empty(f"Nothing to compare with: {found.problem}", _NO_PROFILE))
        else:
            table.say(None)

        async def fetch(token: str | None, backwards: bool) -> Any:
            columns = [] if self.found is None else self.found.columns
            return Rows(columns, total=len(columns))

        if table.source is None:
            table.set_source(PageCache(fetch, lambda row: f"{row.side.value} {row.name}"))
        else:
            table.reload()
        self._show_column()

    @on(VirtualTable.Highlighted, "#drift-columns")
    @on(VirtualTable.Loaded, "#drift-columns")
    def _show_column(self) -> None:
        """Draws the selected column as it is now."""
        found, row = self.found, self.table.current
        now = next((each for each in found.columns if row and _same(each, row)), None) if found is not None else None
        self.query_one("#drift-charts").display = now is not None
        if found is None or now is None:
            return
        self.query_one("#bars", AwaitedFacts).show(lambda room: _bars(now, room))
        points = [
            (part.until.timestamp(), psi)
            for part, psi in zip(found.slices, now.psi_by_slice, strict=False)
            if psi is not None
        ]
        chart = self.query_one("#psi", LineChart)
        chart.display = len(points) > 1
        if chart.display:
            times = array("d", [at for at, _ in points])
            series = [Series("PSI", times, array("d", [psi for _, psi in points]))]
            if found.rules.max_psi is not None:
                series.append(Series("drift above", times, array("d", [found.rules.max_psi] * len(points))))
            chart.show(series)


def _same(one: ColumnDrift, other: ColumnDrift) -> bool:
    return (one.side, one.name) == (other.side, other.name)


def _bars(column: ColumnDrift, room: int) -> Content:
    return Content.assemble(
        ("▀ trained", "$primary"),
        ("  ▄ served  ", "$warning"),
        (f"{safe(column.name, 40)}\n", "bold"),
        *paired_bars(column.labels, column.expected, column.actual, room),
    )


def _words(found: Drift) -> Content:
    parts = [
        styled(wording.verdict(found)),
        (f"   {safe(wording.compared(found), 200)}\n", "$foreground-muted"),
        (f"{wording.rules_in_short(found.rules)}   J changes it", "$foreground-muted"),
    ]
    if found.not_compared:
        parts.append((f"\n{safe(wording.left_out(found), 300)}", "$foreground-muted"))
    return Content.assemble(*parts)
