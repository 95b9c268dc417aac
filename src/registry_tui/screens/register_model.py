"""The Register Model dialog: a name with completion, notes, tags, visibility; then the archive's progress."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from registry_tui.commands import Place
from registry_tui.screens.edit_model import parse_tags
from registry_tui.screens.form import row
from registry_tui.screens.working_form import WorkingForm
from registry_tui.widgets.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion, RegisteredModel, Tag
    from registry_tui.schemas.operations import Accepted
    from registry_tui.schemas.places import Project
    from registry_tui.schemas.tracking import RunDetails

#: Names that are offered while typing.
MAX_NAMES = 1000


class RegisterModelForm(WorkingForm[Place]):
    """Registers one model folder of a run; the result is the registered model's place."""

    TITLE_TEXT = "Register Model"
    WORK = "The registration"

    def __init__(self, project: Project, run: RunDetails, path: str) -> None:
        super().__init__()
        self.project, self.run_details, self.path = project, run, path
        self.known: dict[str, RegisteredModel] = {}

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
        yield from self.progress_rows()

    def on_mount(self) -> None:
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
        await self.follow(accepted.workflow, f"Version {accepted.resource.version} was not stored")
        return self._place(accepted)

    def _place(self, accepted: Accepted[ModelVersion]) -> Place:
        version = accepted.resource
        return Place("model", {"registry": version.registry_id, "model": version.model_name})
