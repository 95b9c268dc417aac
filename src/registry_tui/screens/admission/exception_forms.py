"""The forms of the page of exceptions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input

from registry_tui.screens.base.form import row, whole
from registry_tui.screens.base.name_field import Choice, NameField, named_row, once
from registry_tui.screens.models.exception_forms import ExceptionForm

if TYPE_CHECKING:
    from registry_tui.schemas.admission import RuleException
    from registry_tui.schemas.registries import ModelRegistry

_MOST_MODELS = 1000


class CreateException(ExceptionForm):
    """Takes the version and the rule."""

    TITLE_TEXT = "Let a version through a rule"

    def __init__(self, registry: ModelRegistry) -> None:
        super().__init__()
        self.registry = registry

    def compose_fields(self) -> Iterable[Widget]:
        yield named_row("Model", NameField(id="model", find=once(self._models), placeholder="a registered model"))
        yield row("Version", Input(compact=True, id="version", type="integer", placeholder="its number"))
        yield named_row("Rule", NameField(id="rule", find=once(self._rules), placeholder="a rule of the environment"))
        yield from self.reason_rows()

    def on_mount(self) -> None:
        self.query_one("#model").focus()

    async def _models(self) -> Sequence[Choice]:
        found = await self.program.client.models(self.registry.id, page_size=_MOST_MODELS)
        return [Choice(each.name) for each in found.items]

    async def _rules(self) -> Sequence[Choice]:
        found = await self.program.client.rules(self.registry.environment_id)
        return [Choice(each.name, f"requires {each.requires}") for each in found.rules]

    def problem_of(self) -> str | None:
        if not self.typed("model"):
            return "type the name of a model"
        if not whole(self.typed("version")):
            return "type the number of a version"
        if not self.typed("rule"):
            return "type the name of a rule"
        return super().problem_of()

    async def send(self) -> RuleException:
        number = whole(self.typed("version"))
        assert number is not None
        model, rule = self.typed("model"), self.typed("rule")
        return await self.program.client.set_exception(self.registry.id, model, number, rule, self.exception_change)


class ChangeException(ExceptionForm):
    """Changes the reason or the end."""

    OK = "Change"

    def __init__(self, exception: RuleException) -> None:
        super().__init__()
        self.exception = exception

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        found = self.exception
        return f"{found.model_name} v{found.version} passes {found.rule}"

    def compose_fields(self) -> Iterable[Widget]:
        ends = self.exception.expires_at
        yield from self.reason_rows(self.exception.reason, "" if ends is None else ends.isoformat())

    def on_mount(self) -> None:
        self.query_one("#reason").focus()

    async def send(self) -> RuleException:
        found, client = self.exception, self.program.client
        return await client.set_exception(
            found.registry_id, found.model_name, found.version, found.rule, self.exception_change
        )
