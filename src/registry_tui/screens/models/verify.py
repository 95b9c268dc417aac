"""Verifying an archive: the dialog shows the progress of reading, and can be left while it continues."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Static

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.form import row
from registry_tui.screens.base.working_form import WorkingForm
from registry_tui.wording.text import safe
from registry_tui.wording.words import size

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion


class VerifyForm(WorkingForm[str]):
    """Starts immediately; the result is a sentence about the outcome. Problems stay in view, with how to fix them."""

    # It starts by itself: enter must not leave it immediately.
    AUTO_FOCUS = ""
    OK = "Verify again"
    WORK = "The verification"

    def __init__(self, version: ModelVersion) -> None:
        super().__init__()
        self.version = version

    def title_text(self) -> str:
        return f"Verify {self.version.model_name} v{self.version.version}"

    def compose_fields(self) -> Iterable[Widget]:
        version = self.version
        text = f"{size(version.archive_bytes)} in {counted(version.archive_files or 0, 'file')}"
        yield row("Archive", Static(safe(text), markup=False))
        yield row("", Static("Every file is read and compared with its sum.", markup=False))

    def on_mount(self) -> None:
        self._ok()

    async def send(self) -> str:
        version = self.version
        accepted = await self.program.client.begin_verification(version.registry_id, version.model_id, version.version)
        await self.follow(accepted.workflow, f"Version {version.version}")
        found = await self.program.client.version(version.registry_id, version.model_id, version.version)
        files = counted(found.archive_files or 0, "file")
        return f"version {found.version}: {files}, {size(found.archive_bytes)}, all as stored"
