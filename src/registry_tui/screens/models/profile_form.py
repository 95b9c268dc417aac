"""The form that makes the profile of a version's training data, on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.form import Form, row
from registry_tui.wording.text import safe
from registry_tui.wording.words import ago

if TYPE_CHECKING:
    from registry_tui.client.profiling import Training
    from registry_tui.schemas.drift import VersionProfile
    from registry_tui.schemas.models import ModelVersion

_FILE, _RUN, _EXAMPLE = "file", "run", "example"
_SOURCES = (
    ("a file of this machine", _FILE),
    ("the data set that its run logged", _RUN),
    ("its input example: few rows say little", _EXAMPLE),
)


class ProfileForm(Form["VersionProfile"]):
    """The form for a profile: the data that it is made from, and the data's column that the model predicts."""

    OK = "Make it"
    WORK = "The profile"

    def __init__(self, version: ModelVersion, found: VersionProfile | None) -> None:
        super().__init__()
        self.version, self._found = version, found

    def title_text(self) -> str:
        return f"Training data of {self.version.model_name} v{self.version.version}"

    def compose_fields(self) -> Iterable[Widget]:
        found = self._found
        now = (
            "No profile yet: drift of requests needs one."
            if found is None
            else f"Now: {counted(found.rows, 'row')} of {safe(found.source, 200)}, by {safe(found.author, 60)}, "
            f"{ago(found.made_at)}"
        )
        yield Static(now, classes="note", markup=False)
        yield row("From", Select(_SOURCES, value=_FILE, allow_blank=False, compact=True, id="source"))
        yield row("File", Input(compact=True, id="file", placeholder="CSV, Parquet, JSONL, JSON as deployments take"))
        yield row("Predicted column", Input(compact=True, id="target", placeholder="compared with answers"))
        yield row("Categories", Input(compact=True, id="categorical", placeholder="columns whose numbers are names"))
        yield Static("Only shares, quantiles and frequent categories leave this machine.", classes="hint")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#file").focus()

    @on(Select.Changed, "#source")
    def _chosen(self) -> None:
        self.query_one("#file", Input).disabled = self._source != _FILE
        self.check()

    @property
    def _source(self) -> object:
        return self.query_one("#source", Select).value

    def problem_of(self) -> str | None:
        if self._source != _FILE:
            return None
        typed = self._text("file")
        if not typed:
            return "type the path of a file"
        return None if Path(typed).expanduser().is_file() else f"there is no file {typed}"

    async def send(self) -> VersionProfile:
        from registry_tui.client.profiling import apart

        version, target = self.version, self._text("target") or None
        found = await self._training([each for part in self._text("categorical").split(",") if (each := part.strip())])
        change = await apart(lambda: found.profiled(target))
        return await self.program.client.set_profile(version.registry_id, version.model_id, version.version, change)

    async def _training(self, categorical: list[str]) -> Training:
        from registry_tui.client import profiling

        version, client = self.version, self.program.client
        if self._source == _FILE:
            file = Path(self._text("file"))
            return await profiling.apart(lambda: profiling.of_file(file, categorical))
        made = profiling.of_run if self._source == _RUN else profiling.of_example
        return await made(client, version.registry_id, version.model_id, version.version, categorical)

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()
