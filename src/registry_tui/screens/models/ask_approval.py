"""The form that asks for an approval of a version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Select, Static

from registry_tui.screens.base.form import Form, row
from registry_tui.wording.approvals import comment_problem

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion
    from registry_tui.schemas.promotion import Approval

#: What an approval can be asked for: as `stages.purpose_of` and `models.promoting` name them.
_PURPOSES = (
    ("enter Production", "stage:Production"),
    ("enter PreProduction", "stage:PreProduction"),
    ("enter QA", "stage:QA"),
    ("enter Development", "stage:Development"),
    ("enter Archived", "stage:Archived"),
    ("be deployed", "deploy"),
    ("be promoted", "promote"),
)
#: Those that may have a name of their own behind them, as `deploy:canary`, for rules that ask for just that.
_NAMED = ("deploy", "promote")


class AskApproval(Form["Approval"]):
    """Asks whether a version may go on."""

    OK = "Ask"

    def __init__(self, version: ModelVersion) -> None:
        super().__init__()
        self.version = version

    def title_text(self) -> str:
        return f"Ask for approval of {self.version.model_name} version {self.version.version}"

    def compose_fields(self) -> Iterable[Widget]:
        yield row("May it", Select(_PURPOSES, value=_PURPOSES[0][1], allow_blank=False, compact=True, id="purpose"))
        name = "the registry it is promoted to; or a rule's own"
        yield row("Name", Input(compact=True, id="name", placeholder=name, max_length=50))
        yield row("Comment", Input(compact=True, id="comment", placeholder="why it may"))
        told = "MLAdmins of the environment decide; 6 Activity, Approvals shows what becomes of it"
        yield Static(told, classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#purpose").focus()

    @property
    def purpose(self) -> str:
        """What is chosen, with the name that is typed."""
        chosen, name = str(self.query_one("#purpose", Select).value), self.query_one("#name", Input).value.strip()
        return f"{chosen}:{name}" if name else chosen

    def problem_of(self) -> str | None:
        chosen, colon, _ = self.purpose.partition(":")
        if (colon and chosen not in (*_NAMED, "stage")) or self.purpose.count(":") > 1:
            return "only to be deployed or promoted has a name"
        return comment_problem(self.query_one("#comment", Input).value)

    async def send(self) -> Approval:
        from registry_tui.schemas.promotion import ApprovalAsk

        version, purpose = self.version, self.purpose
        request = ApprovalAsk(comment=self.query_one("#comment", Input).value)
        return await self.program.client.ask_approval(
            version.registry_id, version.model_name, version.version, purpose, request
        )
