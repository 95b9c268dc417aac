"""The Register Model dialog: a name with completion, notes, tags, visibility; then the archive's progress."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import on
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Button, Input, ProgressBar, Select, Static

from registry_tui.commands import Place
from registry_tui.screens.edit_model import parse_tags
from registry_tui.screens.form import Form, row
from registry_tui.widgets.text import safe
from registry_tui.widgets.words import size

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion, RegisteredModel, Tag
    from registry_tui.schemas.operations import Accepted, Workflow
    from registry_tui.schemas.places import Project
    from registry_tui.schemas.tracking import RunDetails

#: Seconds between looks at the archive's progress.
EVERY = 0.3
#: Names that are offered while typing.
MAX_NAMES = 1000


class RegisterModelForm(Form[Place]):
    """Registers one model folder of a run; the result is the registered model's place."""

    TITLE_TEXT = "Register Model"

    def __init__(self, project: Project, run: RunDetails, path: str) -> None:
        super().__init__()
        self.project, self.run_details, self.path = project, run, path
        self.known: dict[str, RegisteredModel] = {}
        self.version: ModelVersion | None = None

    def compose_fields(self) -> Iterable[Widget]:
        yield row("Name", Input(compact=True, id="name", placeholder="a new name, or one that is there"))
        yield Static("", id="adds", classes="hint", markup=False)
        yield row("Description", Input(compact=True, id="description"))
        yield row("Version notes", Input(compact=True, id="notes"))
        yield row("Version tags", Input(compact=True, id="tags", placeholder="stage=candidate, team=fraud"))
        choices = (("private", "private"), ("public", "public"))
        yield row("Visibility", Select(choices, value="private", allow_blank=False, compact=True, id="visibility"))
        run = self.run_details
        yield row("From", Static(safe(f"run {run.name or run.id} · {self.path}", 200), markup=False))
        yield ProgressBar(id="progress", show_eta=False)
        yield Static("", id="step", classes="hint", markup=False)

    def on_mount(self) -> None:
        for name in ("#progress", "#step"):
            self.query_one(name).display = False
        self.query_one("#name").focus()
        self.work_on(self._learn_names(), "names")

    async def _learn_names(self) -> None:
        assert self.project.registry_id is not None
        page = await self.program.client.models(self.project.registry_id, page_size=MAX_NAMES)
        self.known = {model.name: model for model in page.items}
        self.query_one("#name", Input).suggester = SuggestFromList(sorted(self.known), case_sensitive=True)
        self.check()

    # -- input --------------------------------------------------------------------------------------

    @property
    def typed_name(self) -> str:
        return self.query_one("#name", Input).value

    def check(self) -> None:
        super().check()
        hint = self.query_one("#adds", Static)
        model = self.known.get(self.typed_name)
        why = self.problem_of()
        if model is not None:
            text, style = f"adds version {(model.latest_version or 0) + 1}", "-good"
        elif why is not None and self.typed_name:
            text, style = why, "-bad"
        else:
            text, style = ("a new model, version 1" if self.typed_name else ""), ""
        hint.update(text)
        hint.set_class(style == "-good", "-good")
        hint.set_class(style == "-bad", "-bad")
        # What belongs to the model is set when it is made; later its owner edits it there.
        self.query_one("#visibility", Select).disabled = model is not None
        self.query_one("#description", Input).disabled = model is not None

    def problem_of(self) -> str | None:
        name = self.typed_name
        if not name:
            return "type a name"
        if name != name.strip():
            return "a name has no spaces around it"
        if len(name) > 250:
            return "a name has 250 characters at most"
        if any(sign in name for sign in ("/", ":", "..")) or not name.isprintable():
            return "a name has no / : .. or control characters"
        return self._tags_problem()

    def _tags_problem(self) -> str | None:
        try:
            parse_tags(self.query_one("#tags", Input).value)
        except ValueError as error:
            return str(error)
        return None

    def _tags(self) -> list[Tag]:
        from registry_tui.schemas.models import Tag

        return [Tag(key=key, value=value) for key, value in parse_tags(self.query_one("#tags", Input).value).items()]

    # -- registering --------------------------------------------------------------------------------

    async def send(self) -> Place:
        from registry_tui.schemas.models import RegisterModel, Visibility

        new = self.typed_name not in self.known
        request = RegisterModel(
            name=self.typed_name,
            run_id=self.run_details.id,
            artifact_path=self.path,
            description=self.query_one("#description", Input).value if new else "",
            notes=self.query_one("#notes", Input).value,
            tags=self._tags(),
            visibility=Visibility(str(self.query_one("#visibility", Select).value)) if new else None,
        )
        accepted = await self.program.client.register_model(self.project.id, request)
        self.version = accepted.resource
        await self._follow(accepted)
        return self._place(accepted)

    def _place(self, accepted: Accepted[ModelVersion]) -> Place:
        version = accepted.resource
        return Place("model", {"registry": version.registry_id, "model": version.model_name})

    async def _follow(self, accepted: Accepted[ModelVersion]) -> None:
        """Turns the dialog into the archive's progress, until it is stored. Raises RegistryError when it is not."""
        from registry_tui.client import RegistryError

        self.query_one(".fields").disabled = True
        for name in ("#progress", "#step"):
            self.query_one(name).display = True
        self.query_one("#cancel", Button).label = "Leave"
        began = time.monotonic()
        ended = await self.program.client.wait_for_workflow(
            accepted.workflow.id, lambda work: self._show_progress(work, began), EVERY
        )
        if ended.status != "succeeded":
            self.query_one(".fields").disabled = False
            raise RegistryError(
                f"Version {accepted.resource.version} was not stored: {ended.error or ended.status.value}",
                action=ended.action or "See Activity for its log lines",
                request_id=ended.request_id,
            )

    def _show_progress(self, work: Workflow, began: float) -> None:
        progress = work.progress
        bar = self.query_one("#progress", ProgressBar)
        share = progress.bytes_done / progress.bytes_total if progress.bytes_total else 0.0
        bar.update(total=len(work.steps), progress=min(len(work.steps), work.steps_done + share))
        text = f"{work.step or work.status.value}"
        if progress.bytes_total:
            rate = progress.bytes_done / max(0.2, time.monotonic() - began)
            left = (progress.bytes_total - progress.bytes_done) / rate if rate else 0.0
            text += f" {size(progress.bytes_done)} of {size(progress.bytes_total)}, {size(round(rate))}/s"
            text += f", {left:.0f} s left" if left >= 1 else ""
            text += f", {progress.files_done} of {progress.files_total} files"
        self.query_one("#step", Static).update(text)

    @on(Button.Pressed, "#cancel")
    def _leave(self, event: Button.Pressed) -> None:
        """Leaving does not stop the registration: it goes on, and Activity shows it."""
        event.stop()
        if self.version is not None:
            self.app.notify("The registration goes on; 6 Activity shows it", markup=False)
        self.dismiss(None)

    def action_leave(self) -> None:
        if self.version is not None:
            self.app.notify("The registration goes on; 6 Activity shows it", markup=False)
        self.dismiss(None)
