"""The form that requests an approval of a version."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING

from textual import on
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from registry_tui.screens.base.form import Form, row
from registry_tui.wording.approvals import comment_problem

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion
    from registry_tui.schemas.promotion import Approval

#: The possible purposes of an approval: as `stages.purpose_of` and `models.promoting` name them.
_PURPOSES = (
    ("enter Production", "stage:Production"),
    ("enter PreProduction", "stage:PreProduction"),
    ("enter QA", "stage:QA"),
    ("enter Development", "stage:Development"),
    ("enter Archived", "stage:Archived"),
    ("be deployed", "deploy"),
    ("be promoted", "promote"),
)
#: Those that may be followed by a name, as `deploy:canary`, for rules that require exactly that.
_NAMED = MappingProxyType(
    {"deploy": "only where a rule asks for one", "promote": "the registry it is promoted to; or as a rule asks"}
)


class AskApproval(Form["Approval"]):
    """Requests an approval for a version."""

    OK = "Ask"

    def __init__(self, version: ModelVersion) -> None:
        super().__init__()
        self.version = version

    def title_text(self) -> str:
        return f"Ask for approval of {self.version.model_name} version {self.version.version}"

    def compose_fields(self) -> Iterable[Widget]:
        yield row("May it", Select(_PURPOSES, value=_PURPOSES[0][1], allow_blank=False, compact=True, id="purpose"))
        name = row("Name", Input(compact=True, id="name", max_length=50))
        name.display = False
        yield name
        yield row("Comment", Input(compact=True, id="comment", placeholder="why it may"))
        hint = "MLAdmins of the environment decide; 6 Activity, Approvals shows what becomes of it"
        yield Static(hint, classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#purpose").focus()

    @property
    def purpose(self) -> str:
        """The chosen purpose, with the typed name where one is allowed."""
        chosen, name = str(self.query_one("#purpose", Select).value), self.query_one("#name", Input).value.strip()
        return f"{chosen}:{name}" if name and chosen in _NAMED else chosen

    @on(Select.Changed, "#purpose")
    def _chosen(self, event: Select.Changed) -> None:
        named = _NAMED.get(str(event.value))
        field = self.query_one("#name", Input)
        if field.parent is not None:
            field.parent.display = named is not None
        field.placeholder = named or ""
        self.check()

    def problem_of(self) -> str | None:
        if self.purpose.count(":") > 1:
            return "the name may not hold a colon"
        return comment_problem(self.query_one("#comment", Input).value)

    async def send(self) -> Approval:
        from registry_tui.schemas.promotion import ApprovalAsk

        version, purpose = self.version, self.purpose
        request = ApprovalAsk(comment=self.query_one("#comment", Input).value)
        return await self.program.client.ask_approval(
            version.registry_id, version.model_name, version.version, purpose, request
        )
