"""Renaming, tagging, annotating, deleting and restoring one or many runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Static

from registry_tui.contracts.counts import counted
from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.changing_items import DeleteItems, Then, ask_to_delete, listed, send, show_outcome
from registry_tui.screens.base.form import Form, Lines, row
from registry_tui.screens.models.edit_model import parse_tags, tag_changes, tags_text

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import ItemChanges, Run, RunsUpdate
    from registry_tui.screens.base.frame import FrameScreen

NOTE = "mlflow.note.content"


class EditRuns(Form[object]):
    """Name, note and tags of one run; or the common ones of several, where an empty field changes nothing.

    Tags whose text cannot be typed on one line stay unchanged.
    """

    def __init__(self, project: str, runs: Sequence[Run]) -> None:
        super().__init__()
        self.project, self.runs = project, list(runs)
        self.one = self.runs[0] if len(self.runs) == 1 else None
        tags: Mapping[str, str] = {} if self.one is None else self.one.tags
        self.note = tags.get(NOTE, "")
        self.typable = {
            key: value
            for key, value in tags.items()
            if not key.startswith("mlflow.")
            and not set(",=") & set(key)
            and "," not in value
            and value == value.strip()
            and value.isprintable()
            and len(value) < 200
        }

    @property
    def edits(self) -> bool:
        return self.one is not None

    def title_text(self) -> str:
        if self.one is not None:
            return f"Run {self.one.name or self.one.id}"
        return f"{counted(len(self.runs), 'run')}: {listed([run.name or run.id for run in self.runs])}"

    def compose_fields(self) -> Iterable[Widget]:
        one = self.one
        same = "" if one is not None else "stays"
        yield row("Name", Input("" if one is None else one.name, compact=True, id="name", placeholder=same))
        yield row("Note", Lines(self.note, id="note", placeholder=same))
        yield row(
            "Tags" if one is not None else "Set tags",
            Input(tags_text(self.typable), compact=True, id="tags", placeholder="key=value, key=value"),
        )
        if one is None:
            yield row("Remove tags", Input(compact=True, id="untag", placeholder="key, key"))
            yield Static("applied to each run; an empty field changes nothing", classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#name").focus()

    def problem_of(self) -> str | None:
        try:
            request = self.request()
        except ValueError as error:
            return str(error).splitlines()[0]
        if self.one is not None and not self.query_one("#name", Input).value.strip():
            return "type a name"
        return "type a name, a note or tags" if request is None and self.one is None else None

    def request(self) -> RunsUpdate | None:
        """The change, for the first run, or None if there is no change. Raises ValueError with a message for people."""
        from registry_tui.schemas.tracking import MAX_NOTE, MAX_RUN_NAME, RunsUpdate

        name, note = self.query_one("#name", Input).value.strip(), self.query_one("#note", Lines).text
        if len(name) > MAX_RUN_NAME:
            raise ValueError(f"the name has {len(name)} characters; at most {MAX_RUN_NAME} are possible")
        if len(note) > MAX_NOTE:
            raise ValueError(f"the note has {len(note)} characters; at most {MAX_NOTE} are possible")
        set_tags, delete_tags = tag_changes(self.typable, parse_tags(self.query_one("#tags", Input).value))
        if self.one is None:
            typed = self.query_one("#untag", Input).value.split(",")
            delete_tags = list(dict.fromkeys(key.strip() for key in typed if key.strip()))
        before = "" if self.one is None else self.one.name
        change = RunsUpdate(
            run_ids=[self.runs[0].id],
            name=name if name and name != before else None,
            note=note if note != self.note else None,
            set_tags=set_tags,
            delete_tags=delete_tags,
        )
        nothing = change.name is None and change.note is None and not set_tags and not delete_tags
        return None if nothing else change

    async def send(self) -> object:
        from registry_tui.client.parts import in_parts

        request, client = self.request(), self.program.client
        if request is None:
            return False
        return await in_parts(
            [run.id for run in self.runs],
            lambda ids: client.update_runs(self.project, request.model_copy(update={"run_ids": ids})),
        )


def edit_runs(screen: FrameScreen, project: str, runs: Sequence[Run], then: Then) -> None:
    """Opens the form for the name, note and tags of runs."""
    from registry_tui.schemas.tracking import ItemChanges

    def answered(result: object) -> None:
        if isinstance(result, ItemChanges):
            show_outcome(screen, "change", "run", result)
            then(result)

    screen.app.push_screen(EditRuns(project, runs), answered)


def delete_runs(screen: FrameScreen, project: str, runs: Sequence[Run], then: Then) -> None:
    """Asks before runs are deleted, and shows their dependents."""
    client, items = screen.client, [(run.id, run.name or run.id) for run in runs]

    async def delete(ids: list[str]) -> ItemChanges:
        from registry_tui.schemas.tracking import RunsChosen

        return await client.delete_runs(project, RunsChosen(run_ids=ids))

    lines = [f"Restoring brings {'it' if len(items) == 1 else 'them'} back, until somebody purges deleted runs."]
    question = DeleteItems("run", items, lines, [reference("run", project, id_) for id_, _ in items])
    ask_to_delete(screen, question, lambda: send(screen, "delete", "run", items, delete, then))


def restore_runs(screen: FrameScreen, project: str, runs: Sequence[Run], then: Then) -> None:
    """Restores deleted runs."""
    client = screen.client

    async def restore(ids: list[str]) -> ItemChanges:
        from registry_tui.schemas.tracking import RunsChosen

        return await client.restore_runs(project, RunsChosen(run_ids=ids))

    send(screen, "restore", "run", [(run.id, run.name or run.id) for run in runs], restore, then)
