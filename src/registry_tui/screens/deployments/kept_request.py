"""One request that a deployment kept, in a box: who asked when, and every row with its answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.dialogs import Dialog, title
from registry_tui.screens.base.viewer import View
from registry_tui.terminal.keys import box_bindings, box_keys
from registry_tui.widgets.facts import AwaitedFacts, facts
from registry_tui.widgets.page_cache import PageCache, Rows
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.wording import request_logs as wording
from registry_tui.wording.request_logs import KeptRow
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.request_log import LoggedRequest

#: Columns that the table shows at most: a body of 256 KiB may have many thousands, and each is measured.
MOST_COLUMNS = 200
#: Rows that the table takes at a time.
_PAGE = 100
_INDENT = 10


class KeptRequest(Dialog[None]):
    """The facts of a request, and a table of its rows; enter shows all values of a row, `y` the whole request."""

    BINDINGS = box_bindings("request")

    def __init__(self, deployment: str, request: str, at: datetime) -> None:
        super().__init__()
        self.deployment, self.request, self.at = deployment, request, at
        self.found: LoggedRequest | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="box view kept-request") as box:
            box.border_title = title(f"Request {self.request}", 60)
            box.border_subtitle = box_keys("request", self.program.preferences.preset)
            yield AwaitedFacts(id="request-facts", classes="note")
            yield VirtualTable(id="request-rows", empty=Empty("Its columns were not kept"))

    def on_mount(self) -> None:
        self.query_one("#request-rows").display = False
        self.work_on(self._look(), "request")

    async def _look(self) -> None:
        client = self.program.client
        self.found = found = await client.logged_request(self.deployment, self.request, at=self.at)
        columns = len(found.inputs or {}) + len(found.outputs or {})
        told = wording.facts_of(found)
        if columns > MOST_COLUMNS:
            told.append(("columns", f"{MOST_COLUMNS} of {counted(columns, 'column')}; enter shows all of a row"))
        self.query_one(AwaitedFacts).show(lambda room: Content.assemble(*facts(told, _INDENT, room)).rstrip())
        table, rows = self.query_one("#request-rows", VirtualTable), wording.rows_of(found)

        async def page(token: str | None, backwards: bool) -> Rows[KeptRow]:
            start = int(token or 0)
            rest = start + _PAGE
            return Rows(rows[start:rest], str(rest) if rest < len(rows) else None, len(rows))

        table.set_columns(columns_of(found, rows))
        table.set_source(PageCache(page, lambda row: str(row.number)))
        table.display = True
        table.focus()

    @on(VirtualTable.Opened, "#request-rows")
    def action_open(self) -> None:
        row = self.query_one("#request-rows", VirtualTable).current
        if row is not None:
            values = {"inputs": dict(row.inputs), "outputs": dict(row.outputs)}
            self.app.push_screen(View(f"Row {row.number} of {self.request}", json.dumps(values, ensure_ascii=False)))

    def action_view(self) -> None:
        if self.found is not None:
            self.app.push_screen(View(f"Request {self.request}", self._json()))

    def action_copy(self) -> None:
        if self.found is not None:
            self.program.copy_text(self._json(), self._say)

    def _say(self, words: str) -> None:
        keys = box_keys("request", self.program.preferences.preset)
        self.query_one(".kept-request").border_subtitle = f"{words} · {keys}"

    def _json(self) -> str:
        assert self.found is not None
        return self.found.model_dump_json(indent=2)


def columns_of(found: LoggedRequest, rows: Sequence[KeptRow]) -> list[Column[KeptRow]]:
    """The row's number with its first answer, which stays in view; the request's columns, then the other answers."""
    answers, width = [*(found.outputs or {})], len(str(len(rows)))
    named = [("inputs", name, name) for name in found.inputs or {}]
    named += [("outputs", name, f"→ {name}") for name in answers[1:]]

    def head(row: KeptRow) -> str:
        return f"{row.number:>{width}}  {row.short('outputs', answers[0])}" if answers else f"{row.number:>{width}}"

    def of(side: str, name: str, shown: str, number: int) -> Column[KeptRow]:
        right = bool(rows) and isinstance(rows[0].kept(side, name), float | int)
        return Column(
            f"{side} {name}", safe(shown, 24), lambda row: row.short(side, name), 1 + number, right=right, max_width=24
        )

    first = Column("row", f"{'#':>{width}}  → {safe(answers[0], 24)}" if answers else "#", head, 0, max_width=32)
    return [first, *(of(*each, number) for number, each in enumerate(named[:MOST_COLUMNS]))]
