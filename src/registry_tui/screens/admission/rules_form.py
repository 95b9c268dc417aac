"""The form that sets the admission rules of an environment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from registry_tui.screens.base.form import UNDO, Form, row
from registry_tui.wording.admission import FIRST_RULES, rules_comment_problem

if TYPE_CHECKING:
    from registry_tui.schemas.admission import EnvironmentRules


class _Document(TextArea):
    """The YAML document: enter begins a line there, tab goes on to the next field."""

    BINDINGS: ClassVar[list[BindingType]] = [UNDO]


class SetRules(Form["EnvironmentRules"]):
    """Sets new rules, or an earlier revision again. Rules that others set in the meantime are not lost."""

    OK = "Set rules"

    def __init__(self, newest: EnvironmentRules, *, back_to: EnvironmentRules | None = None) -> None:
        super().__init__()
        self.newest, self.back_to = newest, back_to

    @property
    def edits(self) -> bool:
        return self.back_to is None and bool(self.newest.text)

    def title_text(self) -> str:
        name = self.newest.environment_name
        return f"Rules of {name}" if self.back_to is None else f"Back to rules {self.back_to.number} of {name}"

    def compose_fields(self) -> Iterable[Widget]:
        text = (self.back_to or self.newest).text or FIRST_RULES
        yield _Document(
            text,
            id="document",
            language=None,
            compact=True,
            soft_wrap=True,
            tab_behavior="focus",
            highlight_cursor_line=False,
        )
        why = "" if self.back_to is None else f"back to number {self.back_to.number}"
        yield row("Comment", Input(why, compact=True, id="comment", placeholder="why they change; kept with them"))
        hint = "docs/admission-rules.md lists every kind of rule"
        yield Static(hint, classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#document" if self.back_to is None else "#comment").focus()

    def problem_of(self) -> str | None:
        if not self.query_one("#document", TextArea).text.strip():
            return "type rules: `rules: []` takes all away"
        return rules_comment_problem(self.query_one("#comment", Input).value)

    async def send(self) -> EnvironmentRules:
        from registry_tui.schemas.admission import RulesChange

        request = RulesChange(
            text=self.query_one("#document", TextArea).text,
            comment=self.query_one("#comment", Input).value,
            instead_of=self.newest.number,
        )
        return await self.program.client.set_rules(self.newest.environment_id, request)
