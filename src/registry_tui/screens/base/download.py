"""Saving several files with progress: a version's archive, or a folder of a run's artifacts."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.widget import Widget
from textual.widgets import Button, Input, ProgressBar, Static

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.form import Form, row
from registry_tui.screens.base.save import file_name
from registry_tui.wording.words import size

if TYPE_CHECKING:
    from registry_tui.client.saving import Remote


class DownloadForm(Form[str]):
    """Asks for the target, then shows the progress; Cancel leaves no files behind. The result is where it was saved.

    `files` returns a new iterator each time that OK is pressed; `single`: it is one file rather than a folder.
    """

    OK = "Save"
    SENDS = False

    def __init__(self, what: str, files: Callable[[], AsyncIterator[Remote]], *, single: bool = False) -> None:
        super().__init__()
        self.what, self.files, self.single = what, files, single
        self.began = 0.0

    def title_text(self) -> str:
        return f"Download {self.what}"

    def compose_fields(self) -> Iterable[Widget]:
        folder = Path.cwd() / file_name(self.what, "_")
        yield row("File" if self.single else "Folder", Input(str(folder), compact=True, id="folder"))

    def compose_progress(self) -> Iterable[Widget]:
        bar, step = ProgressBar(id="progress", show_eta=False), Static("", id="step", classes="hint", markup=False)
        bar.display = step.display = False
        return (bar, step)

    def on_mount(self) -> None:
        self.query_one("#folder").focus()

    def problem_of(self) -> str | None:
        if not self.query_one("#folder", Input).value.strip():
            return "type a name that is not there yet"
        return "it already exists; nothing is overwritten" if self.target.exists() else None

    @property
    def target(self) -> Path:
        """The typed path."""
        return Path(self.query_one("#folder", Input).value.strip()).expanduser()

    async def send(self) -> str:
        from registry_tui.client.saving import save_all, save_one

        folder = self.target
        for name in ("#progress", "#step"):
            self.query_one(name).display = True
        self.fit()
        self.began = time.monotonic()
        if self.single:
            await save_one(await anext(self.files()), folder, self._tell)
        else:
            await save_all(self.files(), folder, self._tell)
        return str(folder)

    def _tell(self, done: int, total: int | None, files: int) -> None:
        self.query_one("#progress", ProgressBar).update(total=total, progress=done)
        rate = done / max(0.2, time.monotonic() - self.began)
        of_all = f" of {size(total)}" if total else ""
        text = f"{counted(files, 'file')}, {size(done)}{of_all}, {size(round(rate))}/s"
        if total and rate and (left := (total - done) / rate) >= 1:
            text += f", {left:.0f} s left"
        self.query_one("#step", Static).update(text)

    def failed(self, error: Exception) -> None:
        if isinstance(error, OSError):
            self.complain(f"{error.filename or 'The folder'}: {error.strerror or error}")
        else:
            super().failed(error)

    @on(Button.Pressed, "#cancel")
    def _cancelled(self) -> None:
        self.workers.cancel_group(self, "send")
