"""The form of a registry's rules of promotion: the users who may move each alias, the stages that need an approval."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Static

from registry_tui.schemas.stages import Stage
from registry_tui.screens.base.form import Form, Lines, Tick, row
from registry_tui.wording.approvals import protected_lines, protected_of

if TYPE_CHECKING:
    from registry_tui.schemas.promotion import PromotionRules
    from registry_tui.schemas.registries import ModelRegistry

#: The stages that can need an approval, two rows of them.
_STAGES = tuple(stage for stage in Stage if stage is not Stage.NONE)


class SetPromotionRules(Form["PromotionRules"]):
    """Replaces all rules of a registry at once; they apply in every interface from then on."""

    OK = "Set rules"

    def __init__(self, registry: ModelRegistry, rules: PromotionRules) -> None:
        super().__init__()
        self.registry, self.rules = registry, rules

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        return f"Who may promote in {self.registry.name}"

    def compose_fields(self) -> Iterable[Widget]:
        lines = protected_lines(self.rules.protected_aliases)
        placeholder = "champion: ann, group releasers"
        yield row("Protected aliases", Lines("\n".join(lines), id="aliases", placeholder=placeholder))
        hint = "Who may move an alias; alt+enter begins a line. Nobody named: only the administrator."
        yield Static(hint, classes="hint", markup=False)
        for label, stages in (("With approval", _STAGES[:3]), ("", _STAGES[3:])):
            ticks = (Tick(each.value, each in self.rules.approved_stages, id=each.value.lower()) for each in stages)
            yield row(label, *ticks)
        yield row("Four eyes", Tick("somebody else than the asker decides", self.rules.four_eyes, id="four-eyes"))

    def on_mount(self) -> None:
        self.query_one("#aliases").focus()

    def problem_of(self) -> str | None:
        try:
            protected_of(self.query_one("#aliases", Lines).text)
        except ValueError as error:
            return str(error)
        return None

    async def send(self) -> PromotionRules:
        from registry_tui.schemas.promotion import PromotionRules, ProtectedAlias

        named = protected_of(self.query_one("#aliases", Lines).text)
        rules = PromotionRules(
            protected_aliases=[ProtectedAlias(alias=alias, users=list(u), groups=list(g)) for alias, u, g in named],
            approved_stages=[each for each in _STAGES if self.query_one(f"#{each.value.lower()}", Tick).value],
            four_eyes=self.query_one("#four-eyes", Tick).value,
        )
        return await self.program.client.set_promotion_rules(self.registry.id, rules)
