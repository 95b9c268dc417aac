"""Saving several files with progress: a version's archive, or a folder of a run's artifacts."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from textual import on
from textual.widget import Widget
from textual.widgets import Button, Input, ProgressBar, Static

from registry_tui.screens.form import Form, row
from registry_tui.widgets.text import safe
from registry_tui.widgets.words import size

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient
    from registry_tui.schemas.models import ModelVersion

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Remote:
    """A file to save: its path below the folder, its size if known, how to fetch it, and its SHA-256 if known."""

    path: str
    size: int | None
    fetch: Callable[[Path, Progress], Awaitable[object]]
    sha256: str | None = None


class Unsafe(Exception):
    """A name would be written outside of the folder, or a file is not as it should be."""


async def archive_files(client: RegistryClient, version: ModelVersion) -> AsyncIterator[Remote]:
    """Every file of a version's archive, as its manifest has it."""
    manifest = await client.manifest(version.registry_id, version.model_id, version.version)
    for entry in manifest.files:

        async def fetch(target: Path, progress: Progress, path: str = entry.path) -> object:
            return await client.download_archive_file(
                version.registry_id, version.model_id, version.version, path, target, progress
            )

        yield Remote(entry.path, entry.size, fetch, entry.sha256)


async def artifact_files(client: RegistryClient, project: str, run: str, folder: str) -> AsyncIterator[Remote]:
    """Every file below a folder of a run's artifacts."""
    todo = [folder]
    while todo:
        found = await client.artifacts(project, run, todo.pop())
        for entry in found.entries:
            if entry.is_folder:
                todo.append(entry.path)
                continue

            async def fetch(target: Path, progress: Progress, path: str = entry.path) -> object:
                return await client.download_artifact(project, run, path, target, progress)

            below = entry.path.removeprefix(folder).lstrip("/") if folder else entry.path
            yield Remote(below or entry.path.rsplit("/", 1)[-1], entry.size, fetch)


def safe_target(folder: Path, path: str) -> Path:
    """Where a file of this name goes below the folder. Raises Unsafe for a name that leads out of it."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or any(part in ("..", ".") or "\0" in part for part in parts):
        raise Unsafe(f"The name {safe(path, 100)} leads out of the folder; nothing more was saved")
    return folder.joinpath(*parts)


async def save_all(files: AsyncIterator[Remote], folder: Path, tell: Callable[[int, int | None, int], None]) -> int:
    """Saves the files in a new folder, whole or not at all; returns how many.

    `tell` gets bytes done, bytes in all if known, and files done. Raises Unsafe, OSError, RegistryError.
    """
    _require_free(folder)
    known = [file async for file in files]
    sizes = [file.size for file in known]
    total = sum(each or 0 for each in sizes) if all(each is not None for each in sizes) else None
    partial = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    before = 0
    try:
        partial.mkdir(parents=True)
        for count, file in enumerate(known):
            target = safe_target(partial, file.path)
            target.parent.mkdir(parents=True, exist_ok=True)

            def progress(done: int, _: int | None, before: int = before, count: int = count) -> None:
                tell(before + done, total, count)

            await file.fetch(target, progress)
            if file.sha256 is not None and await asyncio.to_thread(_sha256, target) != file.sha256:
                raise Unsafe(f"{safe(file.path, 100)} has another sum than its manifest says; nothing was saved")
            before += target.stat().st_size
            tell(before, total, count + 1)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return len(known)


async def save_one(file: Remote, target: Path, tell: Callable[[int, int | None, int], None]) -> None:
    """Saves one file under a name that is free. Raises Unsafe, OSError, RegistryError."""
    _require_free(target)
    await file.fetch(target, lambda done, total: tell(done, total or file.size, 0))


def _require_free(target: Path) -> None:
    if target.exists():
        raise Unsafe(f"{target} is there already; nothing is overwritten")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class DownloadForm(Form[str]):
    """Asks where to, then shows how far it is; Cancel leaves nothing behind. The result is where it was saved.

    `files` begins the list anew each time that OK is pressed; `single`: it is one file rather than a folder.
    """

    OK = "Save"

    def __init__(self, what: str, files: Callable[[], AsyncIterator[Remote]], *, single: bool = False) -> None:
        super().__init__()
        self.what, self.files, self.single = what, files, single
        self.began = 0.0

    def title_text(self) -> str:
        return f"Download {self.what}"

    def compose_fields(self) -> Iterable[Widget]:
        folder = Path.cwd() / "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in self.what)
        yield row("File" if self.single else "Folder", Input(str(folder), compact=True, id="folder"))
        bar, step = ProgressBar(id="progress", show_eta=False), Static("", id="step", classes="hint", markup=False)
        bar.display = step.display = False
        yield bar
        yield step

    def on_mount(self) -> None:
        self.query_one("#folder").focus()

    def problem_of(self) -> str | None:
        if not self.query_one("#folder", Input).value.strip():
            return "type a name that is not there yet"
        return "it is there already; nothing is overwritten" if self.target.exists() else None

    @property
    def target(self) -> Path:
        """What is typed, as a path."""
        return Path(self.query_one("#folder", Input).value.strip()).expanduser()

    async def send(self) -> str:
        folder = self.target
        for name in ("#progress", "#step"):
            self.query_one(name).display = True
        self.began = time.monotonic()
        if self.single:
            await save_one(await anext(self.files()), folder, self._tell)
        else:
            await save_all(self.files(), folder, self._tell)
        return str(folder)

    def _tell(self, done: int, total: int | None, files: int) -> None:
        self.query_one("#progress", ProgressBar).update(total=total, progress=done)
        rate = done / max(0.2, time.monotonic() - self.began)
        text = f"{files} files, {size(done)}" + (f" of {size(total)}" if total else "") + f", {size(round(rate))}/s"
        if total and rate and (left := (total - done) / rate) >= 1:
            text += f", {left:.0f} s left"
        self.query_one("#step", Static).update(text)

    def failed(self, error: Exception) -> None:
        if isinstance(error, Unsafe):
            self.complain(str(error))
        elif isinstance(error, OSError):
            self.complain(f"{error.filename or 'The folder'}: {error.strerror or error}")
        else:
            super().failed(error)

    @on(Button.Pressed, "#cancel")
    def _cancelled(self) -> None:
        self.workers.cancel_group(self, "send")
