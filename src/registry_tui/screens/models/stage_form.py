"""The form that moves a version to another stage, with its earlier stages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Select, Static

from registry_tui.contracts.permissions import RULES, Action, Holder
from registry_tui.schemas.stages import EARLY, Stage, StageStatus
from registry_tui.screens.base.form import Form, row
from registry_tui.wording.approvals import comment_problem, stage_change
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion, RegisteredModel
    from registry_tui.schemas.people import User
    from registry_tui.schemas.promotion import PromotionRules, StageEntry

#: Earlier changes that are shown.
SHOWN = 5


def allowed(me: User, model: RegisteredModel, version: ModelVersion, environment: str) -> list[Stage]:
    """The stages that a user may move a version to: as `service/promotion/admission.py: check_stage`."""
    held = {Holder(role.value) for each in me.roles if each.environment_id == environment for role in each.roles}

    def may(target: Stage) -> bool:
        early = version.stage in EARLY and target in EARLY
        own = me.name == model.owner or (early and me.name == version.creator)
        holds = held | {Holder.MODEL_OWNER} if own else held
        action = Action.VERSION_STAGE if early else Action.VERSION_RELEASE
        return me.administrator or RULES[action].allows(holds)

    return [stage for stage in Stage if may(stage)]


class SetStage(Form["ModelVersion"]):
    """Stage, status and description of a version."""

    OK = "Set stage"

    def __init__(
        self,
        version: ModelVersion,
        stages: Collection[Stage],
        rules: PromotionRules,
        history: Sequence[StageEntry],
    ) -> None:
        super().__init__()
        self.version, self.stages, self.rules, self.history = version, stages, rules, history

    @property
    def edits(self) -> bool:
        return self.version.stage in self.stages

    def title_text(self) -> str:
        return f"Stage of {self.version.model_name} version {self.version.version}"

    def compose_fields(self) -> Iterable[Widget]:
        version = self.version
        choices = [(self._words(stage), stage.value) for stage in self.stages]
        now = version.stage.value if version.stage in self.stages else choices[0][1]
        yield row("Stage", Select(choices, value=now, allow_blank=False, compact=True, id="stage"))
        statuses = [
            ("as the stage asks", ""),
            *((each.value, each.value) for each in StageStatus),
        ]
        status = version.stage_status.value if version.stage_status is not None else ""
        yield row("Status", Select(statuses, value=status, allow_blank=False, compact=True, id="status"))
        yield row("Description", Input(version.stage_description, compact=True, id="description"))
        yield row("Comment", Input(compact=True, id="comment", placeholder="why; kept in its history"))
        lines = [stage_change(each) for each in self.history[:SHOWN]]
        before = "\n".join(safe(line, 200) for line in lines) or "Its stage was never changed."
        yield Static(before, classes="hint", markup=False)

    def _words(self, stage: Stage) -> str:
        asks = stage in self.rules.approved_stages and stage is not self.version.stage
        return f"{stage.value}, with an approval" if asks else stage.value

    def on_mount(self) -> None:
        self.query_one("#stage").focus()

    def problem_of(self) -> str | None:
        values = (self.query_one(name, Input).value for name in ("#description", "#comment"))
        return next((problem for value in values if (problem := comment_problem(value))), None)

    async def send(self) -> ModelVersion:
        from registry_tui.schemas.promotion import StageChange

        version, status = self.version, str(self.query_one("#status", Select).value)
        request = StageChange(
            stage=Stage(str(self.query_one("#stage", Select).value)),
            status=StageStatus(status) if status else None,
            description=self.query_one("#description", Input).value,
            comment=self.query_one("#comment", Input).value,
        )
        return await self.program.client.set_stage(version.registry_id, version.model_name, version.version, request)
