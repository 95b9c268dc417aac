"""The Register Model dialog: a new name or a known one, notes, tags, visibility; then the archive's progress."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Select, Static

from registry_tui.contracts.counts import counted
from registry_tui.schemas.names import model_name_problem
from registry_tui.schemas.stages import Stage
from registry_tui.screens.base.form import Lines, row
from registry_tui.screens.base.model_names import KnownModels
from registry_tui.screens.base.name_field import Choice, NameField, named_row
from registry_tui.screens.base.working_form import WorkingForm
from registry_tui.screens.models.edit_model import parse_tags
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import LOADING
from registry_tui.wording.text import safe
from registry_tui.wording.words import size

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion, Tag
    from registry_tui.schemas.operations import Accepted
    from registry_tui.schemas.places import Project
    from registry_tui.schemas.tracking import RunDetails


class RegisterModelForm(WorkingForm[Place]):
    """Registers one model folder of a run; the result is the registered model's place."""

    # Of constant height, so that nothing moves while typing.
    DEFAULT_CSS = """
    RegisterModelForm #adds { height: 2; margin: 0 0 0 18; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    TITLE_TEXT = "Register Model"
    TELLS_ITSELF = True
    WORK = "The registration"

    def __init__(self, project: Project, run: RunDetails, path: str) -> None:
        super().__init__()
        self.project, self.run_details, self.path = project, run, path
        self.names = KnownModels()

    def compose_fields(self) -> Iterable[Widget]:
        name = NameField(id="name", find=self._find, placeholder="a new name, or one from the list")
        yield named_row("Name", name, Static("", id="adds", classes="hint", markup=False))
        yield row("Description", Lines(id="description"))
        yield row("Version notes", Lines(id="notes"))
        yield row("Version tags", Input(compact=True, id="tags", placeholder="stage=candidate, team=fraud"))
        choices = (("private", "private"), ("public", "public"))
        yield row("Visibility", Select(choices, value="private", allow_blank=False, compact=True, id="visibility"))
        stages = [("none yet", ""), *((stage.value, stage.value) for stage in Stage if stage is not Stage.NONE)]
        yield row("Stage", Select(stages, value="", allow_blank=False, compact=True, id="stage"))
        yield row("From", Static(f"{self._from()} · {LOADING}", id="from", markup=False))

    def on_mount(self) -> None:
        self.query_one("#name").focus()
        self.work_on(self._count(), "count")

    def _from(self) -> str:
        run = self.run_details
        return safe(f"run {run.name or run.id} · {self.path or 'the root of its artifacts'}", 200)

    async def _count(self) -> None:
        """Shows how much would be stored."""
        from registry_tui.client import ServiceProblem

        text = self._from()
        try:
            totals = await self.program.client.artifact_totals(self.project.id, self.run_details.id, self.path)
            more = "" if totals.complete else "at least "
            files, bytes_ = totals.model_files or totals.files, totals.model_bytes or totals.bytes
            text = f"{self._from()} · {more}{counted(files, 'file')}, {size(bytes_)}"
            if totals.outside_model_files:
                named = ", ".join(safe(name, 60) for name in totals.outside_model[:3])
                others = totals.outside_model_files - len(totals.outside_model[:3])
                text += f"\n⚠ not part of the model: {named}" + (f" and {others} more" if others > 0 else "")
        except ServiceProblem:
            pass  # it cannot be counted now; registering reports the reason
        finally:
            if self.is_attached:
                self.query_one("#from", Static).update(text)

    async def _find(self, name: str) -> list[Choice]:
        await self._learn(name)
        return self.names.choices

    async def _learn(self, name: str) -> None:
        assert self.project.registry_id is not None
        known = name if self._name_problem(name) is None else ""
        try:
            await self.names.ask(self.program.client, self.project.registry_id, known)
        finally:
            if self.is_attached:
                self.check()

    # -- input --------------------------------------------------------------------------------------

    @property
    def typed_name(self) -> str:
        return self.query_one("#name", Input).value

    def check(self) -> None:
        super().check()
        hint = self.query_one("#adds", Static)
        typed = self.typed_name
        model = self.names.found.get(typed)
        why = self.problem_of()
        others = ", ".join(safe(name, 40) for name in self.names.similar_to(typed))
        if model is not None:
            text, style = f"adds version {(model.latest_version or 0) + 1} to {safe(typed, 60)}", "-good"
        elif why is not None and typed:
            text, style = why, "-bad"
        elif not typed:
            text, style = (f"there are {others}" if others else LOADING if self.names.waits else ""), ""
        elif typed not in self.names.found:
            text = "the name could not be checked; OK tries again" if self.names.failed else "checking the name …"
            style = ""
        else:
            text, style = "a new model, version 1" + (f"\nsimilar: {others}" if others else ""), ""
        hint.update(text)
        hint.set_class(style == "-good", "-good")
        hint.set_class(style == "-bad", "-bad")
        # The model's properties are set when it is created; later its owner edits them there.
        self.query_one("#visibility", Select).disabled = model is not None
        self.query_one("#description", Lines).disabled = model is not None

    def problem_of(self) -> str | None:
        return self._name_problem(self.typed_name) or self._tags_problem()

    def _name_problem(self, name: str) -> str | None:
        if not name:
            return "type a name"
        problem = model_name_problem(name)
        return None if problem is None else f"the name {problem}"

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

        name = self.typed_name
        if name not in self.names.found:  # OK came before the pause was over
            await self._learn(name)
        new = self.names.found[name] is None
        request = RegisterModel(
            name=name,
            run_id=self.run_details.id,
            artifact_path=self.path,
            description=self.query_one("#description", Lines).text if new else "",
            notes=self.query_one("#notes", Lines).text,
            tags=self._tags(),
            visibility=Visibility(str(self.query_one("#visibility", Select).value)) if new else None,
            stage=Stage(stage) if (stage := str(self.query_one("#stage", Select).value)) else None,
        )
        accepted = await self.program.client.register_model(self.project.id, request)
        await self.follow(accepted.workflow, f"Version {accepted.resource.version} was not stored")
        return self._place(accepted)

    def _place(self, accepted: Accepted[ModelVersion]) -> Place:
        version = accepted.resource
        return Place("model", {"registry": version.registry_id, "model": version.model_name})
