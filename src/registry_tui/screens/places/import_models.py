"""Importing registered models of the MLflow server that a project shows: all or chosen ones; then the progress."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Static

from registry_tui.screens.base.name_field import Choice
from registry_tui.screens.base.several_names import Names
from registry_tui.screens.base.working_form import WorkingForm
from registry_tui.terminal.commands import Place
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.places import Project
    from registry_tui.screens.base.frame import FrameScreen

#: Names of models that are requested at a time; typing narrows further.
MOST = 100


class ImportModels(WorkingForm[Place]):
    """Imports models into the project's registry; the result is the workflow, whose log lists the ones left out."""

    TITLE_TEXT = "Import models"
    OK = "Import"
    WORK = "The import"

    def __init__(self, project: Project) -> None:
        super().__init__()
        self.project = project

    def compose_fields(self) -> Iterable[Widget]:
        project = self.project
        url, registry = safe(project.attached_url or "", 100), safe(project.registry_name or "", 40)
        words = (
            f"Brings registered models of {url} into {registry}: versions, aliases, tags, notes and stages. "
            "Each version gets an archive. What exists already stays as it is."
        )
        yield Static(words, classes="note", markup=False)
        yield Names(
            "Models", (), id="models", find=self._find, max_length=256, placeholder="all, or names: ↓ lists them"
        )

    def on_mount(self) -> None:
        self.query_one(Names).focus_field()

    async def _find(self, name: str) -> Sequence[Choice]:
        found = await self.program.client.attached_models(self.project.id, name=name or None, page_size=MOST)
        return [
            Choice(each.name, "" if each.latest_version is None else f"version {each.latest_version}")
            for each in found.items
        ]

    @property
    def chosen(self) -> list[str]:
        """The given names, with a typed one that is not added yet; none means all models."""
        names = self.query_one(Names)
        return list(dict.fromkeys(filter(None, [*names.given, names.left_over])))

    async def send(self) -> Place:
        from registry_tui.schemas.attached import AttachedImport

        # The registry that the form names: refused if the workspace is synchronized with another one by now.
        request = AttachedImport(models=self.chosen, registry=self.project.registry_id)
        accepted = await self.program.client.import_attached(self.project.id, request)
        await self.follow(accepted.workflow, "Not everything was imported")
        return Place("workflow", {"workflow": accepted.workflow.id})


def open_form(screen: FrameScreen, project: Project) -> None:
    """Opens the form; once the import has ended, its page, whose log lists the models left out."""

    def imported(place: Place | None) -> None:
        screen.program.look_now()
        if place is not None:
            screen.program.open(place)

    screen.app.push_screen(ImportModels(project), imported)
