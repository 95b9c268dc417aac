"""The actions of the page of versions on a version's life cycle: stage, approvals, scan, and the pages about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.panel_list import PanelListScreen
from registry_tui.terminal.commands import Place
from registry_tui.wording.approvals import purpose_words, stage_cell

if TYPE_CHECKING:
    from registry_tui.schemas.drift import VersionProfile
    from registry_tui.schemas.models import ModelVersion, RegisteredModel
    from registry_tui.schemas.promotion import Approval


class LifeCycle(PanelListScreen):
    """Subclasses set the model whose versions are listed."""

    model: RegisteredModel | None

    def do_ask_approval(self) -> None:
        from registry_tui.screens.models.ask_approval import AskApproval

        self.app.push_screen(AskApproval(self.current), self._asked_approval)

    def _asked_approval(self, asked: Approval | None) -> None:
        if asked is not None:
            self.flash(f"version {asked.version}: asked whether it may {purpose_words(asked.purpose)}")
            self.program.count_approvals()
            self.refresh_data()

    def do_stage(self) -> None:
        self.opening(self._stage(self.current), "stage")

    async def _stage(self, row: ModelVersion) -> None:
        from registry_tui.screens.models.stage_form import SHOWN, SetStage, allowed

        registry, model = self.place.args["registry"], self.place.args["model"]
        me = self.program.me or await self.client.whoami()
        environment = (await self.client.registry(registry)).environment_id
        assert self.model is not None
        stages = allowed(me, self.model, row, environment)
        if not stages:
            owner = self.model.owner or "the administrator"
            self.flash(f"stage: not now, only {owner} and MLAdmins may move it on from {row.stage.value}", "$warning")
            return
        rules = await self.client.promotion_rules(registry)
        history = await self.client.stages(registry, model, row.version, page_size=SHOWN)
        self.app.push_screen(SetStage(row, stages, rules, history.items), self._staged)

    def _staged(self, changed: ModelVersion | None) -> None:
        if changed is not None:
            self.flash(f"version {changed.version}: {stage_cell(changed).text}")
            self.refresh_data()

    def do_scan(self) -> None:
        self.opening(self._scan(self.current), "scan")

    async def _scan(self, row: ModelVersion) -> None:
        from registry_tui.screens.models.scan_form import ScanForm

        found = await self.client.scan(self.place.args["registry"], self.place.args["model"], row.version)
        self.app.push_screen(ScanForm(row, found))

    def do_drift(self) -> None:
        self.opening(self._profile(self.current), "profile")

    async def _profile(self, row: ModelVersion) -> None:
        from registry_tui.client import NotFound
        from registry_tui.screens.models.profile_form import ProfileForm

        try:
            found = await self.client.profile(self.place.args["registry"], self.place.args["model"], row.version)
        except NotFound:
            found = None
        self.app.push_screen(ProfileForm(row, found), self._profiled)

    def _profiled(self, made: VersionProfile | None) -> None:
        if made is not None:
            self.flash(f"profile of {counted(made.rows, 'row')} of {made.source}; deployments show drift from it")

    # -- pages about it -----------------------------------------------------------------------------

    def _open_about(self, kind: str, **more: str) -> None:
        names = {"registry": self.place.args["registry"], "model": self.place.args["model"]}
        self.program.open(Place(kind, {**names, **more}))

    def do_signatures(self) -> None:
        self._open_about("signatures", version=str(self.current.version))

    def do_card(self) -> None:
        self._open_about("card", version=str(self.current.version))

    def do_components(self) -> None:
        """Shows the differences between two marked versions, otherwise the components of the selected one."""
        if len(self.table.marked) == 2:
            one, other = sorted(int(version) for version in self.table.marked)
            self._open_about("bom", version=str(other), against=str(one))
        else:
            self._open_about("bom", version=str(self.current.version))

    def do_evidence(self) -> None:
        from registry_tui.screens.known.evidence import EvidenceForm

        self.app.push_screen(EvidenceForm(self.client, self.current), self._evidence_saved)

    def _evidence_saved(self, folder: str | None) -> None:
        if folder is not None:
            self.flash(f"saved to {folder}; its README.md says how to verify it")
