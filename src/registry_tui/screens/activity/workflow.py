"""One workflow: its steps, progress, and log lines as they come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from registry_tui.screens.activity.activity import ask_to_cancel, workflow_why_not
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.every import Every
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.screens.base.tones import styled
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.activity import WORKFLOW
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import Awaited
from registry_tui.widgets.pace import Paces
from registry_tui.wording.text import safe
from registry_tui.wording.words import absolute, bar, both, duration, work_status

if TYPE_CHECKING:
    from registry_tui.schemas.operations import LogLine, Workflow

#: Seconds between polls of its log lines while it runs; its steps come with the stream of changes.
EVERY = 1.0
#: Log lines that stay in view.
MAX_LINES = 2000
_LEVELS = {"error": "$error", "warning": "$warning"}


class WorkflowScreen(FrameScreen):
    """Follows one workflow until it is finished."""

    SECTION = "activity"
    ACTIONS = WORKFLOW
    BINDINGS = bindings(WORKFLOW)
    CSS_PATH = "../../styles/activity/workflow.tcss"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.work: Workflow | None = None
        self.lines: list[LogLine] = []
        #: The last page of its log lines.
        self._token: str | None = None
        self._paces = Paces()

    def compose_content(self) -> Iterable[Widget]:
        yield Awaited(id="facts")
        with VerticalScroll(id="log"):
            yield Awaited(id="lines")

    def crumbs(self) -> tuple[Crumb, ...]:
        name = "…" if self.work is None else f"{self.work.kind.value} of {self.work.resource_name}"
        return (("Activity", Place("activity")), (name, None))

    def focus_content(self) -> None:
        self.query_one("#log").focus()

    async def start(self) -> None:
        client, id_ = self.client, self.place.args["workflow"]
        self.work = await client.workflow(id_)
        await self._read_lines(id_)
        self._show()

    async def _read_lines(self, id_: str) -> None:
        """Fetches new lines: the last page again, and those after it."""
        known = self.lines[-1].sequence if self.lines else -1
        while True:
            page = await self.client.workflow_logs(id_, page_size=1000, page_token=self._token)
            self.lines.extend(line for line in page.items if line.sequence > known)
            if page.next_page_token is None:
                break
            self._token = page.next_page_token
        del self.lines[:-MAX_LINES]

    def on_mount(self) -> None:
        Every(self, EVERY, self._ask, group="start", wanted=self._runs).begin()

    def _runs(self) -> bool:
        return self.work is not None and not self.work.status.finished

    def follows_workflow(self, workflow: str) -> bool:
        return workflow == self.place.args["workflow"]

    def _show(self) -> None:
        work = self.work
        if work is None:
            return
        self.show_crumbs()
        self.query_one("#facts", Static).update(_facts(work, self._paces.words(work)))
        parts: list[tuple[str, str]] = []
        for line in self.lines:
            parts.append((f"{absolute(line.created_at)[11:]}  ", "$foreground-muted"))
            parts.append((safe(line.text) + "\n", _LEVELS.get(line.level, "")))
        log = self.query_one("#log", VerticalScroll)
        at_end = log.scroll_offset.y >= log.max_scroll_y
        self.query_one("#lines", Static).update(Content.assemble(*parts) if parts else "No log lines yet")
        if at_end:
            log.scroll_end(animate=False)

    def concerned(self, action: str) -> object | None:
        return self.work

    def why_not(self, action: str) -> str | None:
        if self.work is None:
            return "it is not known yet"
        if action == "resource" and _resource_place(self.work) is None:
            return f"there is no page of a {self.work.resource_type}"
        return workflow_why_not(action, self.work)

    @property
    def menu_of(self) -> str:
        return "" if self.work is None else f"{self.work.kind.value} of {self.work.resource_name}"

    def do_cancel(self) -> None:
        assert self.work is not None
        ask_to_cancel(self, self.work, lambda _: self.refresh_data())

    def do_retry(self) -> None:
        client, id_ = self.client, self.place.args["workflow"]
        self.change(f"workflow {id_}: retry", lambda: client.retry_workflow(id_), self._retried)

    def _retried(self, found: Workflow) -> None:
        self.program.look_now()
        self.program.jump(Place("workflow", {"workflow": found.id}))

    def do_resource(self) -> None:
        assert self.work is not None
        place = _resource_place(self.work)
        if place is not None:
            self.program.open(place)

    def do_copy(self) -> None:
        self.program.copy_text(self.place.args["workflow"])

    def do_view(self) -> None:
        from registry_tui.screens.base.viewer import View

        assert self.work is not None
        self.app.push_screen(View(f"workflow {self.work.id}", self.work.model_dump_json(indent=2)))


def _resource_place(work: Workflow) -> Place | None:
    if work.resource_type == "registry":
        return Place("registry", {"registry": work.resource_id})
    if work.resource_type == "deployment":
        return Place("deployment", {"deployment": work.resource_id})
    return None


def _facts(work: Workflow, pace: str) -> Content:
    """The actor, times and progress, and the remedy after a failure."""
    status = work_status(work.status)
    parts: list[tuple[str, str]] = [
        (f"{work.kind.value} of {safe(work.resource_name, 200)}", "bold"),
        ("    ", ""),
        styled(status),
        ("\n", ""),
        (f"started by {safe(work.actor, 80)}, {both(work.created_at)}", "$foreground-muted"),
    ]
    if work.finished_at is not None:
        parts.append((f", took {duration((work.finished_at - work.created_at).total_seconds())}", "$foreground-muted"))
    parts.append(("\n\n", ""))
    for number, step in enumerate(work.steps):
        if number < work.steps_done:
            parts.append((f"✓ {safe(step)}\n", "$success"))
        elif step == work.step:
            parts.append((f"◐ {safe(step)}", "$accent"))
            progress = work.progress
            if progress.bytes_total:
                share = progress.bytes_done / progress.bytes_total
                parts.append((f"   {bar(share, 24)} {pace}", ""))
            if progress.waits:
                parts.append((f"   a replica {safe(progress.waits, 500)}", "$warning"))
            parts.append(("\n", ""))
        else:
            parts.append((f"○ {safe(step)}\n", "$foreground-muted"))
    if work.error:
        parts.append((f"\n{safe(work.error, 2000)}\n", "$error"))
        if work.action:
            parts.append((f"{safe(work.action, 500)}\n", "$foreground-muted"))
    return Content.assemble(*parts)
