"""Forms that grant one version an exception from one rule: with a reason, and an end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Select, Static, TextArea

from registry_tui.contracts.permissions import RULES, Action, Holder
from registry_tui.screens.base.form import Form, row
from registry_tui.wording.admission import check_lines, check_summary, end_of, reason_problem
from registry_tui.wording.text import safe, safe_lines

if TYPE_CHECKING:
    from registry_tui.schemas.admission import ExceptionChange, RuleException, RulesCheck
    from registry_tui.schemas.models import ModelVersion
    from registry_tui.schemas.people import User


def may_except(me: User, environment: str) -> bool:
    """Whether a user may grant exceptions: as `service/admission/exceptions.py: set_exception`.

    `environment` is its name.
    """
    held = {Holder(role.value) for each in me.roles if each.environment_name == environment for role in each.roles}
    return me.administrator or RULES[Action.RULES_CHANGE].allows(held)


class ExceptionForm(Form["RuleException"]):
    """Subclasses send `exception_change` for a version and a rule."""

    OK = "Let it through"

    def reason_rows(self, reason: str = "", ends: str = "") -> Iterable[Widget]:
        """The common rows."""
        yield row("Reason", Input(reason, compact=True, id="reason", placeholder="why it may pass; the event has it"))
        yield row("Ends", Input(ends, compact=True, id="ends", placeholder="never; or a day, 2027-01-31"))

    def typed(self, name: str) -> str:
        """The text in a field."""
        return self.query_one(f"#{name}", Input).value.strip()

    def problem_of(self) -> str | None:
        if problem := reason_problem(self.typed("reason")):
            return problem
        try:
            end_of(self.typed("ends"))
        except ValueError as error:
            return str(error)
        return None

    @property
    def exception_change(self) -> ExceptionChange:
        """The typed exception, once `problem_of` finds no problem."""
        from registry_tui.schemas.admission import ExceptionChange

        return ExceptionChange(reason=self.typed("reason"), expires_at=end_of(self.typed("ends")))


class LetThrough(ExceptionForm):
    """The rules' verdict on a version, and an exception from one that refuses it."""

    def __init__(self, version: ModelVersion, found: RulesCheck) -> None:
        super().__init__()
        self.version, self.found = version, found

    def title_text(self) -> str:
        return f"Rules for {self.version.model_name} v{self.version.version}"

    def compose_fields(self) -> Iterable[Widget]:
        yield Static(safe(check_summary(self.found), 300), classes="note", markup=False)
        text = safe_lines("\n".join(check_lines(self.found)))
        yield TextArea(text, id="verdicts", read_only=True, compact=True, highlight_cursor_line=False)
        refused = [(safe(each.rule, 64), each.rule) for each in self.found.refused]
        yield row("Exception from", Select(refused, value=refused[0][1], allow_blank=False, compact=True, id="rule"))
        yield from self.reason_rows()

    def on_mount(self) -> None:
        # Enter alone grants no exception.
        self.query_one("#verdicts").focus()

    async def send(self) -> RuleException:
        version, rule = self.version, str(self.query_one("#rule", Select).value)
        return await self.program.client.set_exception(
            version.registry_id, version.model_name, version.version, rule, self.exception_change
        )
