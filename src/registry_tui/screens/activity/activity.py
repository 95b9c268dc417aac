"""Activity: running and finished workflows, newest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.filter_bar import Filter
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.activity import ACTIVITY
from registry_tui.terminal.commands import Place
from registry_tui.widgets.pace import Paces
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.words import Cell, ago, bar, duration, work_status

if TYPE_CHECKING:
    from registry_tui.schemas.operations import Workflow
    from registry_tui.screens.base.frame import FrameScreen

#: As `WorkflowKind`, which a screen does not import: pydantic takes longer than the first paint.
KINDS = tuple(
    (kind, kind.replace("-", " "))
    for kind in (
        *("provision", "synchronize", "deprovision", "archive", "delete-archive", "verify", "clean-up", "purge-runs"),
        *("deploy", "stop", "undeploy", "import", "promote"),
    )
)
STATUSES = (
    ("active", "active"),
    ("queued", "queued"),
    ("running", "running"),
    ("cancelling", "cancelling"),
    ("succeeded", "succeeded"),
    ("failed", "failed"),
    ("cancelled", "cancelled"),
)


def progress_cell(work: Workflow) -> Cell:
    """A bar while the workflow runs, with the share of its step's bytes where it moves any."""
    if work.status.finished:
        return Cell(f"{work.steps_done}/{len(work.steps)}", "dim")
    done: float = work.steps_done
    if work.progress.bytes_total:
        done += work.progress.bytes_done / work.progress.bytes_total
    return Cell(f"{bar(done / max(1, len(work.steps)), 10)} {work.steps_done}/{len(work.steps)}", "accent")


def took(work: Workflow, paces: Paces) -> Cell:
    """How long a finished workflow took; of a running one its step, with rate and time left."""
    if work.finished_at is None:
        pace = paces.words(work)
        return Cell(f"{work.step or ''} {pace}".strip(), "dim")
    return Cell(duration((work.finished_at - work.created_at).total_seconds()), "dim")


def workflow_why_not(action: str, work: Workflow) -> str | None:
    """Why an action on a workflow is not possible now, or None."""
    if action == "cancel" and work.status.finished:
        return f"it has {work.status.value} already"
    if action == "cancel" and work.status == "cancelling":
        return "it is being cancelled already"
    if action == "retry" and work.status not in ("failed", "cancelled"):
        now = "has succeeded" if work.status == "succeeded" else f"is {work.status.value}"
        return f"it {now}; only failed and cancelled workflows can be tried again"
    return None


def columns(paces: Paces) -> tuple[Column[Any], ...]:
    """The list's columns; `paces` remembers the progress of running steps."""
    return (
        Column("status", "Status", lambda row: work_status(row.status), 0, min_width=11),
        Column("kind", "Kind", lambda row: row.kind.value, 1),
        Column("resource", "Resource", lambda row: row.resource_name, 0, keeps_end=True),
        Column("progress", "Progress", progress_cell, 1, min_width=14),
        Column("took", "Took", lambda row: took(row, paces), 3, max_width=60),
        Column("who", "Who", lambda row: row.actor, 4),
        Column("started", "Started", lambda row: Cell(ago(row.created_at), "dim"), 2),
        Column("error", "Error", lambda row: Cell(row.error or "", "bad"), 5, max_width=60),
    )


def ask_to_cancel(screen: FrameScreen, work: Workflow, then: Callable[[Workflow], None]) -> None:
    """Asks before a workflow is cancelled; `then` gets its state afterwards."""
    from registry_tui.screens.base.dialogs import Confirm

    client, name = screen.client, f"{work.kind.value} of {work.resource_name}"

    def answered(ok: bool | None) -> None:
        if ok:
            screen.change(_words(work, "cancel"), lambda: client.cancel_workflow(work.id), then)

    lines = (
        f"Goes: what {name} did so far, as far as it can be undone.",
        "Stays: the workflow itself, as cancelled; it can be tried again from its start.",
    )
    screen.app.push_screen(
        Confirm(f"Stop {name}", lines, "Stop", danger=True, about=reference("workflow", work.id)), answered
    )


class ActivityScreen(ListScreen):
    """Every workflow of this installation."""

    SECTION = "activity"
    ACTIONS = ACTIVITY
    BINDINGS = bindings(ACTIVITY)
    FILTERS = (Filter("kind", "kind", KINDS), Filter("status", "status", STATUSES))
    EMPTY = Empty(
        "Nothing has been done yet",
        ("Whatever takes long is shown here: creating registries, storing archives.",),
    )

    @property
    def nothing(self) -> Empty:
        """The text of the empty list; people other than the administrator see their own work only."""
        me = self.program.me
        return self.EMPTY if me is None or me.administrator else replace(self.EMPTY, title="You have done nothing yet")

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        # The progress of running steps is kept with the place, so that their rates are shown immediately after coming
        # back.
        return columns(self.place.state.setdefault("paces", Paces()))

    def crumbs(self) -> tuple[Crumb, ...]:
        return (("Activity", None),)

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client = self.client
        asked = {name: value or None for name, value in filters.items()}

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.workflows(**asked, page_token=token)

        return fetch

    def follows_workflow(self, workflow: str) -> bool:
        return True

    def row_why_not(self, action: str, row: Workflow | None) -> str | None:
        return None if row is None else workflow_why_not(action, row)

    def open_row(self, row: Workflow) -> None:
        self.program.open(Place("workflow", {"workflow": row.id}))

    def named(self, row: Workflow) -> str:
        return f"{row.kind.value} of {row.resource_name}"

    def copied(self, row: Workflow) -> str:
        return row.id

    def why_not(self, action: str) -> str | None:
        return None if action == "approvals" else super().why_not(action)

    def do_approvals(self) -> None:
        self.program.jump(Place("approvals"))

    def do_cancel(self) -> None:
        ask_to_cancel(self, self.current, self._cancelled)

    def _cancelled(self, found: Workflow) -> None:
        self.flash(f"{found.kind.value} of {found.resource_name}: {found.status.value}")
        self.refresh_data()
        self.program.look_now()

    def do_retry(self) -> None:
        row: Workflow = self.current
        client = self.client
        self.change(_words(row, "retry"), lambda: client.retry_workflow(row.id), self._retried)

    def _retried(self, found: Workflow) -> None:
        self.flash(f"{found.kind.value} of {found.resource_name} has started again")
        self.refresh_data()
        self.program.look_now()


def _words(row: Workflow, verb: str) -> str:
    return f"{row.kind.value} of {row.resource_name}: {verb}"
