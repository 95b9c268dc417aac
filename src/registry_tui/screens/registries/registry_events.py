"""Events of a Model Registry, newest first, with the log lines of the chosen one, which are followed while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import on
from textual.widget import Widget
from textual.widgets import Static

from registry_tui.contracts import new_files
from registry_tui.contracts.counts import counted
from registry_tui.screens.base.every import Every
from registry_tui.screens.base.filter_bar import Filter, FilterBar
from registry_tui.screens.base.list_pane import ListPane
from registry_tui.screens.base.save import Save
from registry_tui.widgets.page_cache import Fetch, PageCache
from registry_tui.widgets.timespan import parse_span
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell, absolute, duration, work_status

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient
    from registry_tui.schemas.operations import Event, LogLine
    from registry_tui.schemas.registries import ModelRegistry

#: Seconds between polls for new lines while the chosen event's workflow runs.
EVERY = 0.7
#: Lines a page of the log.
PAGE = 500
OUTCOMES = ("started", "succeeded", "failed", "cancelled", "denied")
_LEVELS: dict[str, Any] = {"error": "bad", "warning": "warn"}

_LINES: tuple[Column[Any], ...] = (
    Column("time", "Time", lambda line: Cell(absolute(line.created_at)[11:], "dim"), 0),
    Column("text", "Log lines", lambda line: Cell(line.text, _LEVELS.get(line.level, "")), 0, max_width=400),
)


class EventsPane(ListPane):
    """Events above, the chosen one's log lines below."""

    FILTERS = (
        Filter("actor", "who", ()),
        Filter("action", "action", ()),
        Filter("outcome", "outcome", tuple((each, each) for each in OUTCOMES)),
        Filter("time", "time", placeholder="2h, 7d, 2026-11-22 ..", live=False),
    )
    COLUMNS = (
        Column("time", "Time", lambda row: Cell(absolute(row.created_at), "dim"), 0),
        Column("who", "Who", lambda row: row.actor, 1),
        Column("action", "Action", lambda row: row.action, 0),
        Column("resource", "Resource", lambda row: row.resource_name, 2, keeps_end=True),
        Column("outcome", "Outcome", lambda row: work_status(row.outcome), 0, min_width=11),
        Column("took", "Took", lambda row: "" if row.duration_ms is None else duration(row.duration_ms / 1000), 4),
        Column("detail", "Detail", lambda row: Cell(row.detail, "dim"), 3, max_width=60),
    )
    EMPTY = Empty("No events", ("Nothing was done that fits the filter above; / changes it.",))

    def __init__(self) -> None:
        super().__init__()
        self.event: Event | None = None
        #: Whether the chosen event's workflow runs, so that lines are still coming.
        self.following = False

    def compose(self) -> Iterable[Widget]:
        yield from super().compose()
        yield Static("", id="log-head", markup=False)
        yield VirtualTable(_LINES, id="log", empty=Empty("No log lines"))

    def on_mount(self) -> None:
        Every(self.frame, EVERY, self._look_for_lines, group="follow", wanted=lambda: self.following).begin()

    @property
    def log_table(self) -> VirtualTable[LogLine]:
        return self.query_one("#log", VirtualTable)

    def show(self, registry: ModelRegistry) -> None:
        super().show(registry)
        self.frame.ask(lambda: self._offer_choices(registry), "event-choices")

    async def _offer_choices(self, registry: ModelRegistry) -> None:
        found = await self.frame.client.event_choices(registry=registry.id)
        filters = self.query_one(FilterBar)
        filters.set_choices("actor", tuple((each, each) for each in found.actors))
        filters.set_choices("action", tuple((each, each) for each in found.actions))

    def fetch(self, registry: ModelRegistry) -> Fetch[Any]:
        client, asked = self.frame.client, self.filters
        try:
            since, until = parse_span(asked.pop("time", ""))
        except ValueError as error:
            self.frame.flash(f"time: {error}", "$warning")
            since = until = None

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.events(registry=registry.id, since=since, until=until, page_token=token, **asked)

        return fetch

    # -- the log of the chosen event ------------------------------------------------------------------

    @on(VirtualTable.Highlighted, "#table")
    def _chosen(self, message: VirtualTable.Highlighted) -> None:
        event: Event | None = message.row
        if event is None:
            self.event, self.following = None, False
            self.query_one("#log-head", Static).update("")
            self.log_table.say(Empty(""))
        elif self.event is None or self.event.id != event.id:
            self.event, self.following = event, False
            self.log_table.say(None)
            self.log_table.set_source(PageCache(self._lines_of(event), lambda line: str(line.sequence)))
            self._show_head()
            if event.workflow_id is not None:
                self.frame.work_on(self._follow(event, begin=True), "chosen-event")

    def _lines_of(self, event: Event) -> Fetch[Any]:
        client = self.frame.client

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.event_logs(event.id, page_size=PAGE, page_token=token)

        return fetch

    def _show_head(self) -> None:
        event = self.event
        if event is None:
            return
        words = f"{event.action} by {safe(event.actor, 60)}"
        if self.following:
            words += "  ◐ following"
        elif event.detail:
            words += f"  {safe(event.detail, 300)}"
        self.query_one("#log-head", Static).update(words)

    async def _look_for_lines(self) -> None:
        if self.event is not None:
            await self._follow(self.event)

    async def _follow(self, event: Event, *, begin: bool = False) -> None:
        """Requests whether its workflow still runs, then the lines so far: so none is missed at the end."""
        from registry_tui.client.errors import NotFound

        assert event.workflow_id is not None
        try:
            runs = not (await self.frame.client.workflow(event.workflow_id)).status.finished
        except NotFound:
            runs = False
        if self.event is not event:
            return
        if runs and begin:
            self.log_table.action_end()
        if not begin or runs:
            self.log_table.reload()
        self.following = runs
        self._show_head()

    # -- actions ------------------------------------------------------------------------------------

    @property
    def reading(self) -> bool:
        """Whether the log lines have the focus."""
        return self.log_table.has_focus

    def open_row(self, row: Event) -> None:
        """Moves into the log lines; on a line, shows all of it."""
        if not self.reading:
            self.log_table.focus()
            return
        from registry_tui.screens.base.viewer import View

        line = self.log_table.current
        if line is not None:
            self.app.push_screen(View(absolute(line.created_at), line.text, note=f"request {line.request_id}"))

    def copied(self, row: Event) -> str:
        line = self.log_table.current if self.reading else None
        return line.text if line is not None else row.request_id

    def save(self) -> None:
        """Asks for a file, and writes every log line of the chosen event into it."""
        if self.registry is not None and self.event is not None:
            form = SaveLog(self.event, f"{self.registry.name}-{self.event.id}.log")
            self.app.push_screen(form, lambda path: self._saved(path, form.written))

    def _saved(self, path: Path | None, lines: int) -> None:
        if path is not None:
            self.flash(f"{counted(lines, 'line')} saved in {path}")


class SaveLog(Save):
    """Asks for a file, and writes all log lines of an event into it."""

    def __init__(self, event: Event, name: str) -> None:
        super().__init__("Save log lines", name, "")
        self.event = event
        self.written = 0

    async def send(self) -> Path:
        self.written = await save_lines(self.program.client, self.event, self.path)
        return self.path


async def save_lines(client: RegistryClient, event: Event, path: Path) -> int:
    """Writes an event's log lines, a page in memory; returns how many. Raises RegistryError, OSError."""
    count = 0
    partial = new_files.partial_of(path)
    try:
        with partial.open("x", encoding="utf-8", errors="backslashreplace") as file:
            async for line in client.every(client.event_logs, event.id, page_size=1000):
                file.write(f"{line.created_at.isoformat()} {line.level:<7} {line.text}\n")
                count += 1
        new_files.publish(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return count
