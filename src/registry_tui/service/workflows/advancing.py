"""The progress of a step that works on files."""

from __future__ import annotations

from collections.abc import Sequence

from registry_tui.schemas.operations import Progress
from registry_tui.service.engine.steps import StepContext
from registry_tui.service.stores.bucket_files import StoredFile


class Advancing:
    """Sums up the finished bytes and files into a step's progress; a `bucket_files.Advance`."""

    def __init__(self, context: StepContext, files: Sequence[StoredFile]) -> None:
        self._context = context
        self._bytes_total = sum(file.size for file in files)
        self._files_total = len(files)
        self._bytes = self._files = 0

    def __call__(self, bytes_: int, files: int) -> None:
        self._bytes += bytes_
        self._files += files
        self._context.progress(
            Progress(
                bytes_done=self._bytes,
                bytes_total=self._bytes_total,
                files_done=self._files,
                files_total=self._files_total,
            )
        )
