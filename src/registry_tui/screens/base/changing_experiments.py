"""Creating, renaming, deleting and restoring experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.changing_items import DeleteItems, Then, ask_to_delete, send
from registry_tui.screens.base.form import Form, Lines, row
from registry_tui.wording.text import safe
from registry_tui.wording.words import DEFAULT_EXPERIMENT

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import Experiment, ItemChanges
    from registry_tui.screens.base.frame import FrameScreen


class _Named(Form["Experiment"]):
    """A form with an experiment's name."""

    def __init__(self, project: str, name: str = "") -> None:
        super().__init__()
        self.project, self.name_before = project, name

    def compose_fields(self) -> Iterable[Widget]:
        yield row("Name", Input(self.name_before, compact=True, id="name"))

    def on_mount(self) -> None:
        self.query_one("#name").focus()

    @property
    def typed_name(self) -> str:
        return self.query_one("#name", Input).value.strip()

    def problem_of(self) -> str | None:
        from registry_tui.contracts import names
        from registry_tui.schemas.tracking import MAX_EXPERIMENT_NAME

        name = self.typed_name
        if not name:
            return "type a name"
        if len(name) > MAX_EXPERIMENT_NAME:
            return f"the name has {len(name)} characters; at most {MAX_EXPERIMENT_NAME} are possible"
        problem = names.problem(name)
        return None if problem is None else f"the name {problem}"


class CreateExperiment(_Named):
    """Creates an experiment."""

    TITLE_TEXT = "Create experiment"

    def compose_fields(self) -> Iterable[Widget]:
        yield from super().compose_fields()
        yield row("Note", Lines(id="note"))

    async def send(self) -> Experiment:
        from registry_tui.schemas.tracking import ExperimentCreate

        request = ExperimentCreate(name=self.typed_name, note=self.query_one("#note", Lines).text)
        return await self.program.client.create_experiment(self.project, request)


class RenameExperiment(_Named):
    """Renames an experiment; its ID and its runs stay."""

    def __init__(self, project: str, experiment: Experiment) -> None:
        super().__init__(project, experiment.name)
        self.experiment = experiment

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        return f"Rename experiment {self.experiment.name}"

    async def send(self) -> Experiment:
        from registry_tui.schemas.tracking import ExperimentUpdate

        request = ExperimentUpdate(name=self.typed_name)
        return await self.program.client.update_experiment(self.project, self.experiment.id, request)


def open_form(screen: FrameScreen, form: _Named, done: str, then: Callable[[Experiment], None]) -> None:
    """Opens a form; `done` is the verb for the outcome in the message about the resulting experiment."""

    def answered(experiment: Experiment | None) -> None:
        if experiment is not None:
            screen.flash(f"{done} {safe(experiment.name, 200)}")
            then(experiment)

    screen.app.push_screen(form, answered)


def delete_experiments(screen: FrameScreen, project: str, experiments: Sequence[Experiment], then: Then) -> None:
    """Asks before experiments are deleted with their runs."""
    client, items = screen.client, [(each.id, each.name) for each in experiments]
    ids = {id_ for id_, _ in items}

    async def delete(ids: list[str]) -> ItemChanges:
        from registry_tui.schemas.tracking import ExperimentsChosen

        return await client.delete_experiments(project, ExperimentsChosen(experiment_ids=ids))

    async def learn() -> Sequence[str]:
        return [DEFAULT_EXPERIMENT] if (await client.experiment(project, "0")).id in ids else []

    lines = (
        "All runs in it go too. Restoring it brings them back.",
        "Stays: what was registered from the runs, with its archive.",
    )
    about = [reference("experiment", project, id_) for id_, _ in items]
    question = DeleteItems("experiment", items, lines, about, learn)
    ask_to_delete(screen, question, lambda: send(screen, "delete", "experiment", items, delete, then))


def restore_experiments(screen: FrameScreen, project: str, experiments: Sequence[Experiment], then: Then) -> None:
    """Restores deleted experiments with their runs."""
    client = screen.client

    async def restore(ids: list[str]) -> ItemChanges:
        from registry_tui.schemas.tracking import ExperimentsChosen

        return await client.restore_experiments(project, ExperimentsChosen(experiment_ids=ids))

    send(screen, "restore", "experiment", [(each.id, each.name) for each in experiments], restore, then)
