"""The request log of a deployment: its rules, its counts, and each request with its columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from registry_tui.widgets.facts import AwaitedFacts
from registry_tui.widgets.page_cache import PageCache
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.wording import request_logs as wording
from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell, ago, milliseconds

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient
    from registry_tui.schemas.request_log import LoggedRequest, RequestLog

REQUESTS: tuple[Column[Any], ...] = (
    Column("time", "Time", lambda row: Cell(ago(row.at), "dim"), 1),
    Column("status", "Status", lambda row: Cell(str(row.status), "" if row.status < 400 else "bad"), 0, right=True),
    Column("took", "Took", lambda row: milliseconds(row.seconds), 2, right=True),
    Column("rows", "Rows", lambda row: "–" if row.rows is None else f"{row.rows:,}", 1, right=True),
    Column("answer", "Answer", lambda row: wording.content(row, outputs=True), 1, max_width=40),
    Column("request", "Request", lambda row: Cell(wording.content(row), "" if row.inputs is not None else "dim"), 0),
)
_NONE_KEPT = Empty(
    "No requests are kept",
    (
        "W has a share of them kept, without the columns that you name.",
        "In a script: registry-tui deployments requests keep NAME --share 5%",
    ),
)
_NONE_YET = Empty("No request was kept yet", ("T sends one; W changes which share is kept.",))


class RequestsPane(Vertical):
    """One deployment's request log. The screen decides when to refresh it."""

    def __init__(self, deployment: str) -> None:
        super().__init__()
        self._deployment = deployment
        self.found: RequestLog | None = None

    def compose(self) -> Iterable[Widget]:
        yield AwaitedFacts(id="kept-words")
        yield VirtualTable(REQUESTS, id="kept", empty=_NONE_YET)

    @property
    def table(self) -> VirtualTable[LoggedRequest]:
        return self.query_one("#kept", VirtualTable)

    async def look(self, client: RegistryClient) -> None:
        """Shows the rules and the newest requests; raises RegistryError."""
        from registry_tui.client import Refused

        table, id_, before = self.table, self._deployment, self.found
        try:
            self.found = found = await client.request_log(id_)
        except Refused as error:
            self.query_one("#kept-words", AwaitedFacts).update("")
            table.say(Empty(error.message, (error.action,) if error.action else ()))
            return
        self.query_one("#kept-words", AwaitedFacts).show(lambda _: _words(found))
        table.empty = _NONE_YET if found.rules.share else _NONE_KEPT

        async def fetch(token: str | None, backwards: bool) -> Any:
            # A row shows the first value of each column.
            return await client.logged_requests(id_, page_token=token, values=1)

        if table.source is None:
            table.set_source(PageCache(fetch, lambda row: f"{row.id} {row.at}"))
        elif before is None or (before.kept, before.bytes) != (found.kept, found.bytes) or table.message is not None:
            table.say(None)
            table.reload()


def _words(found: RequestLog) -> Content:
    rules = wording.rules_told(found.rules)
    return Content.assemble(
        (safe(rules[:1].upper() + rules[1:], 600), "bold" if found.rules.share else ""),
        (f"\n{wording.counts_told(found)}   W changes it", "$foreground-muted"),
    )
