"""The findings of the newest scan of a version, and the question for another one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Static, TextArea

from registry_tui.screens.base.form import Form
from registry_tui.wording.scans import scan_lines, scan_summary
from registry_tui.wording.text import safe_lines

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion
    from registry_tui.schemas.scans import VersionScan


class ScanForm(Form["VersionScan"]):
    """Shows formats and findings; OK scans the archive again, and shows the new findings."""

    OK = "Scan again"
    WORK = "The scan"

    def __init__(self, version: ModelVersion, found: VersionScan) -> None:
        super().__init__()
        self.version, self.found = version, found

    def title_text(self) -> str:
        return f"Scan of {self.version.model_name} v{self.version.version}"

    def compose_fields(self) -> Iterable[Widget]:
        yield Static("", classes="note", id="verdict", markup=False)
        yield TextArea(id="findings", read_only=True, compact=True, highlight_cursor_line=False)

    def on_mount(self) -> None:
        self._show()
        # Enter alone starts no scan.
        self.query_one("#findings").focus()

    def _show(self) -> None:
        self.query_one("#verdict", Static).update(safe_lines(scan_summary(self.found)))
        self.query_one("#findings", TextArea).text = safe_lines(
            "\n".join(scan_lines(self.found)) or "No file was scanned."
        )

    async def send(self) -> VersionScan:
        version = self.version
        return await self.program.client.scan_version(version.registry_id, version.model_id, version.version)

    def sent(self, result: VersionScan) -> None:
        """The findings stay in view."""
        self.found = result
        self._show()
        self.query_one("#findings").focus()
        self.program.frame.refresh_soon()
