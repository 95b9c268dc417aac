"""Saving all evidence about a version, for an audit without access to the registry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Static

from registry_tui.screens.base.download import DownloadForm
from registry_tui.screens.base.form import Tick, row

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient
    from registry_tui.client.saving import Remote
    from registry_tui.schemas.models import ModelVersion


class EvidenceForm(DownloadForm):
    """Asks for a folder, then shows the progress; Cancel leaves no files behind."""

    def __init__(self, client: RegistryClient, version: ModelVersion) -> None:
        super().__init__(f"{version.model_name}-v{version.version}-evidence", self._files)
        self.client, self.version = client, version

    def title_text(self) -> str:
        return f"Evidence pack of {self.version.model_name} v{self.version.version}"

    def compose_fields(self) -> Iterable[Widget]:
        yield from super().compose_fields()
        yield row("", Tick("Also the files of the model", id="with-model"))
        note = (
            "Card, bill of materials, manifest, scan, run, approvals, stages, rules, signatures with their keys, "
            "lineage, and the events with their hash chain. Its README.md says how to verify it without a network."
        )
        yield Static(note, classes="note", markup=False)

    def _files(self) -> AsyncIterator[Remote]:
        from registry_tui.client.evidence import evidence_files

        return evidence_files(self.client, self.version, with_model=self.query_one("#with-model", Tick).value)
