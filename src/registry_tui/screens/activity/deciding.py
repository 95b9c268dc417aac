"""The form that decides about an approval."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Select, Static

from registry_tui.screens.base.form import Form, row
from registry_tui.wording.approvals import comment_problem, purpose_words
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.promotion import Approval

_ANSWERS = {
    "approve": "approve: it may go on",
    "reject": "reject: it may not",
    "withdraw": "withdraw: nobody has to decide any more",
}


class Decide(Form["Approval"]):
    """Approves, rejects or withdraws with a comment, once."""

    OK = "Answer"

    def __init__(self, approval: Approval) -> None:
        super().__init__()
        self.approval = approval

    def title_text(self) -> str:
        found = self.approval
        return f"{found.model_name} version {found.version}: {purpose_words(found.purpose)}"

    def compose_fields(self) -> Iterable[Widget]:
        found = self.approval
        asked = f"{safe(found.asked_by, 60)} asks" + (f": {safe(found.question)}" if found.question else "")
        yield Static(asked, classes="note", markup=False)
        choices = [(_ANSWERS[each.value], each.value) for each in found.decisions]
        first = found.decisions[0].value
        yield row("Answer", Select(choices, value=first, allow_blank=False, compact=True, id="decision"))
        yield row("Comment", Input(compact=True, id="comment", placeholder="why; everybody concerned reads it"))

    def on_mount(self) -> None:
        self.query_one("#decision").focus()

    def problem_of(self) -> str | None:
        return comment_problem(self.query_one("#comment", Input).value)

    async def send(self) -> Approval:
        from registry_tui.schemas.promotion import ApprovalDecision, Decision

        decision = Decision(str(self.query_one("#decision", Select).value))
        request = ApprovalDecision(decision=decision, comment=self.query_one("#comment", Input).value)
        return await self.program.client.decide_approval(self.approval.id, request)
