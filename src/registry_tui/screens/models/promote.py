"""Promoting a version: the registry that gets a copy, the model's name there; then the progress of copying."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Static

from registry_tui.contracts.counts import counted
from registry_tui.schemas.names import model_name_problem
from registry_tui.screens.base.form import row
from registry_tui.screens.base.name_field import Choice, NameField, named_row, once
from registry_tui.screens.base.working_form import WorkingForm
from registry_tui.terminal.commands import Place
from registry_tui.wording.text import safe
from registry_tui.wording.words import size

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion


class PromoteForm(WorkingForm[Place]):
    """Copies a version into another registry; the result is the model's place there."""

    WORK = "The promotion"

    def __init__(self, version: ModelVersion) -> None:
        super().__init__()
        self.version = version

    def title_text(self) -> str:
        return f"Promote {self.version.model_name} v{self.version.version}"

    def compose_fields(self) -> Iterable[Widget]:
        version = self.version
        yield named_row("To registry", NameField(id="to", find=once(self._registries), placeholder="a Model Registry"))
        yield row("Model there", Input(version.model_name, compact=True, id="name"))
        text = f"{counted(version.archive_files or 0, 'file')}, {size(version.archive_bytes)}"
        yield row("Copies", Static(f"{safe(text)}, signatures and notes", markup=False))
        note = "The same content is one version there. Rules of both environments are asked."
        yield Static(note, classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#to").focus()

    async def _registries(self) -> Sequence[Choice]:
        client = self.program.client
        return [
            Choice(each.name, f"environment {each.environment_name}")
            async for each in client.every(client.registries)
            if each.id != self.version.registry_id
        ]

    def problem_of(self) -> str | None:
        if not self.query_one("#to", Input).value:
            return "type the name of a registry"
        problem = model_name_problem(self.query_one("#name", Input).value)
        return None if problem is None else f"the name {problem}"

    async def send(self) -> Place:
        from registry_tui.schemas.promotion import VersionPromotion

        version, client = self.version, self.program.client
        request = VersionPromotion(to=self.query_one("#to", Input).value, name=self.query_one("#name", Input).value)
        accepted = await client.promote_version(version.registry_id, version.model_id, version.version, request)
        made = accepted.resource
        await self.follow(accepted.workflow, f"Version {made.version} was not stored there")
        return Place("model", {"registry": made.registry_id, "model": made.model_name})
