"""Exceptions from the admission rules: the versions of a registry that an administrator admitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.content import Content

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.panel_list import PanelListScreen
from registry_tui.screens.base.tones import styled
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.admission import EXCEPTIONS
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import Awaited
from registry_tui.widgets.facts import facts
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.admission import exception_end
from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell, ago, both

if TYPE_CHECKING:
    from registry_tui.schemas.admission import RuleException
    from registry_tui.schemas.registries import ModelRegistry


class ExceptionsScreen(PanelListScreen):
    """Each version that passes a rule without meeting it: who admitted it, why, and until when."""

    SECTION = "environments"
    ACTIONS = EXCEPTIONS
    CONCERNS = frozenset({"version"})
    BINDINGS = bindings(EXCEPTIONS)
    CSS_PATH = "../../styles/admission/rules.tcss"
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("version", "Version", lambda row: f"{row.model_name} v{row.version}", 0, keeps_end=True, max_width=60),
        Column("rule", "Rule", lambda row: row.rule, 0, max_width=40),
        Column("ends", "Ends", lambda row: exception_end(row), 1),
        Column("reason", "Reason", lambda row: row.reason, 1, max_width=60),
        Column("creator", "By", lambda row: row.creator, 2, max_width=30),
        Column("made", "Made", lambda row: Cell(ago(row.created_at), "dim"), 3),
    )
    EMPTY = Empty(
        "No exceptions", ("n lets one version through one rule, with a reason.", "V shows the rules."), action="create"
    )

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.registry: ModelRegistry | None = None

    def crumbs(self) -> tuple[Crumb, ...]:
        name, rules = self.place.args["registry"], None
        if self.registry is not None:
            name, rules = self.registry.environment_name, self._rules
        return (("Environments", Place("environments")), (name, None), ("Admission rules", rules), ("Exceptions", None))

    @property
    def _rules(self) -> Place:
        assert self.registry is not None
        return Place("rules", {"environment": self.registry.environment_id})

    async def prepare(self) -> None:
        self.registry = found = await self.client.registry(self.place.args["registry"])
        text = f"What passes in {found.name} although a rule refuses it"
        self.query_one("#facts", Awaited).update(Content(safe(text, 200)))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client, registry = self.client, self.place.args["registry"]

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.exceptions(registry, page_token=token)

        return fetch

    def key_of(self, row: RuleException) -> str:
        return f"{row.version_id} {row.rule}"

    def named(self, row: RuleException) -> str:
        return f"{row.model_name} v{row.version}: {row.rule}"

    def copied(self, row: RuleException) -> str:
        return row.rule

    def why_not(self, action: str) -> str | None:
        if action in ("create", "rules"):
            return None if self.registry is not None else "the registry is not known yet"
        return super().why_not(action)

    def show_panel(self, row: RuleException) -> None:
        self.panel_text.show(lambda room: _panel(row, room))

    # -- actions ------------------------------------------------------------------------------------

    def do_create(self) -> None:
        from registry_tui.screens.admission.exception_forms import CreateException

        assert self.registry is not None
        self.app.push_screen(CreateException(self.registry), self._changed)

    def do_edit(self) -> None:
        from registry_tui.screens.admission.exception_forms import ChangeException

        self.app.push_screen(ChangeException(self.current), self._changed)

    def _changed(self, found: RuleException | None) -> None:
        if found is not None:
            self.flash(f"{found.model_name} v{found.version} passes {found.rule}")
            self.refresh_data()

    def do_delete(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        row: RuleException = self.current
        client = self.client
        lines = (
            f"The rule {row.rule} counts for {row.model_name} v{row.version} again.",
            "Deployments, promotions and aliases made meanwhile stay.",
        )

        def answered(ok: bool | None) -> None:
            if ok:
                self.change(
                    f"{self.named(row)}: end the exception",
                    lambda: client.delete_exception(row.registry_id, row.model_name, row.version, row.rule),
                    lambda _: self._ended(row),
                )

        about = reference("exception", row.registry_id, row.model_name, str(row.version), row.rule)
        self.app.push_screen(Confirm("End the exception", lines, "End it", danger=True, about=about), answered)

    def _ended(self, row: RuleException) -> None:
        self.flash(f"the rule {row.rule} counts for {row.model_name} v{row.version} again")
        self.refresh_data()

    def do_model(self) -> None:
        row: RuleException = self.current
        self.program.open(Place("model", {"registry": row.registry_id, "model": row.model_name}))

    def do_rules(self) -> None:
        self.program.jump(self._rules)


def _panel(row: RuleException, room: int) -> Content:
    known = [
        ("Rule", row.rule),
        ("Reason", row.reason),
        ("By", row.creator),
        ("Made", both(row.created_at)),
        ("Ends", both(row.expires_at) if row.expires_at else "never"),
    ]
    title = (f"{safe(row.model_name, 80)} version {row.version}\n", "bold")
    *listed, (last, style) = facts(known, 8, room)
    return Content.assemble(title, styled(exception_end(row)), ("\n\n", ""), *listed, (last.rstrip("\n"), style))
