"""A form whose OK starts long work: it turns into the work's progress, and can be left while the work continues."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from textual.widget import Widget
from textual.widgets import ProgressBar, Static

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.form import Form, Told
from registry_tui.wording.words import size

if TYPE_CHECKING:
    from registry_tui.schemas.operations import Workflow

Result = TypeVar("Result")

#: Seconds between checks of the progress.
EVERY = 0.3


class Left(Exception):
    """The form was left before its work began: nothing follows the work here."""


class WorkingForm(Form[Result]):
    """Subclasses call `follow` in `send`."""

    WORK = "The work"
    AFTERWARDS = "6 Activity shows it"
    #: Whether the work has begun and is followed.
    under_way = False

    def compose_progress(self) -> Iterable[Widget]:
        """The progress bar and the words below it, hidden until the work begins."""
        bar, step = ProgressBar(id="progress", show_eta=False), Told("", id="step", classes="hint", markup=False)
        bar.display = step.display = False
        return (bar, step)

    async def follow(self, workflow: Workflow, failure: str) -> None:
        """Shows the progress until the work is done. Raises RegistryError, which begins with `failure`."""
        from registry_tui.client import RegistryError

        if self.left:
            raise Left
        self.under_way = True
        self.answer_came()
        for name in ("#progress", "#step"):
            self.query_one(name).display = True
        self.fit()
        began = time.monotonic()
        ended = await self.program.client.wait_for_workflow(
            workflow.id, lambda work: self._show_progress(work, began), EVERY
        )
        if ended.status != "succeeded":
            self.under_way = False
            raise RegistryError(
                f"{failure}: {ended.error or ended.status.value}",
                action=ended.action or "See Activity for its log lines",
                request_id=ended.request_id,
            )

    def _show_progress(self, work: Workflow, began: float) -> None:
        progress = work.progress
        share = progress.bytes_done / progress.bytes_total if progress.bytes_total else 0.0
        self.query_one("#progress", ProgressBar).update(
            total=len(work.steps), progress=min(len(work.steps), work.steps_done + share)
        )
        text = f"{work.step or work.status.value}"
        if progress.bytes_total:
            rate = progress.bytes_done / max(0.2, time.monotonic() - began)
            left = (progress.bytes_total - progress.bytes_done) / rate if rate else 0.0
            text += f" {size(progress.bytes_done)} of {size(progress.bytes_total)}, {size(round(rate))}/s"
            text += f", {left:.0f} s left" if left >= 1 else ""
            text += f", {progress.files_done} of {counted(progress.files_total, 'file')}"
        elif progress.files_total:
            text += f" {progress.files_done} of {progress.files_total}"
        self.query_one("#step", Static).update(text)
