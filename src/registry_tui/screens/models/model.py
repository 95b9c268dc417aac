"""One registered model: its versions, with a side panel that follows the cursor."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from textual.content import Content
from textual.widgets import Static

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.every import Every
from registry_tui.screens.base.filter_bar import Filter
from registry_tui.screens.base.list_screen import turned
from registry_tui.screens.models.life_cycle import LifeCycle
from registry_tui.screens.models.version_panel import panel
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.models import MODEL
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.approvals import stage_cell
from registry_tui.wording.scans import scan_verdict
from registry_tui.wording.signatures import signed_cell
from registry_tui.wording.text import safe
from registry_tui.wording.words import NOTHING, Cell, ago, size, version_status

if TYPE_CHECKING:
    from registry_tui.schemas.admission import RuleException
    from registry_tui.schemas.deployments import Deployment, DeploymentSuggestion
    from registry_tui.schemas.models import ModelVersion, RegisteredModel
    from registry_tui.schemas.tracking import RunDetails


STATUSES = (
    ("READY", "Ready"),
    ("PENDING_REGISTRATION", "Pending"),
    ("FAILED_REGISTRATION", "Failed"),
)


class ModelScreen(LifeCycle):
    """The versions of a model, newest first."""

    SECTION = "models"
    ACTIONS = MODEL
    CONCERNS = frozenset({"alias", "deployment", "model", "version"})
    BINDINGS = bindings(MODEL)
    CSS_PATH = "../../styles/models/model.tcss"
    FILTERS = (
        Filter("search", "search", placeholder="number, alias, notes, tags, creator"),
        Filter("status", "status", STATUSES),
    )
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("version", "Version", lambda row: str(row.version), 0, right=True),
        Column("status", "Status", lambda row: version_status(row.status), 0, min_width=9),
        Column("stage", "Stage", stage_cell, 1, max_width=24),
        Column("aliases", "Aliases", lambda row: Cell(", ".join(row.aliases), "accent"), 1),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 1),
        Column("creator", "Creator", lambda row: row.creator, 4),
        Column(
            "from",
            "From run",
            lambda row: row.origin.run_name or row.origin.run_id or NOTHING,
            2,
            max_width=28,
            keeps_end=True,
        ),
        Column("project", "Project", lambda row: Cell(row.origin.project_name or "–", "dim"), 5),
        Column("scan", "Scan", lambda row: scan_verdict(row.scan), 3, min_width=13),
        Column("signed", "Signed", signed_cell, 4, max_width=24),
        Column("size", "Size", lambda row: size(row.archive_bytes), 3, right=True),
        Column("notes", "Notes", lambda row: Cell(row.notes, "dim"), 6, max_width=40),
    )
    EMPTY = Empty("No versions", ("They were deleted; a further registration adds the next number.",))

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.model: RegisteredModel | None = None
        self.runs: dict[str, RunDetails] = {}
        self.described: dict[int, DeploymentSuggestion] = {}
        #: The deployments of each version.
        self.deployed: dict[int, list[Deployment]] = {}
        #: The version that is being loaded in more detail.
        self._asked_about: int | None = None

    def on_mount(self) -> None:
        Every(self, 1.0, self._ask, group="start", wanted=self._waits).begin()

    def _waits(self) -> bool:
        """Whether an archive of a version in the list is being stored."""
        return any(row.status == "PENDING_REGISTRATION" for row in self._rows())

    def crumbs(self) -> tuple[Crumb, ...]:
        name = self.place.args["model"] if self.model is None else self.model.name
        models = Place("models", {"registry": self.place.args["registry"]})
        return (("Registered Models", models), (name, None))

    async def prepare(self) -> None:
        self.model = await self.client.model(self.place.args["registry"], self.place.args["model"])
        self.query_one("#facts", Static).update(_facts(self.model))
        found = await self.client.deployments(registry=self.model.registry_id, model=self.model.id, page_size=200)
        self.deployed = {}
        for each in found.items:
            self.deployed.setdefault(each.version, []).append(each)
        if "deployed" not in [column.key for column in self.table.columns]:
            columns = list(self.table.columns)
            columns.insert(4, Column("deployed", "Deployed", self._deployed, 2, max_width=24))
            self.table.set_columns(columns)

    def _deployed(self, row: ModelVersion) -> Cell:
        """The deployments that serve a version."""
        found = self.deployed.get(row.version, ())
        good = all(each.state == "deployed" for each in found)
        return Cell(", ".join(each.name for each in found), "good" if good else "warn")

    def _rows(self) -> list[ModelVersion]:
        source = self.table.source
        return [] if source is None else source.loaded_rows()

    @property
    def reversible(self) -> bool:
        return True

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client, registry, model = self.client, self.place.args["registry"], self.place.args["model"]
        asked = {name: value or None for name, value in filters.items()}

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.versions(
                registry, model, **asked, order_by=turned(order or "-version", backwards), page_token=token
            )

        return fetch

    def key_of(self, row: ModelVersion) -> str:
        return str(row.version)

    def copied(self, row: ModelVersion) -> str:
        return f"models:/{row.model_name}/{row.version}"

    def do_webhooks(self) -> None:
        if (model := self.model) is not None:
            self.program.open(Place("webhooks", {"registry": model.registry_id, "model": model.name}))

    # -- the side panel -----------------------------------------------------------------------------

    def row_changed(self, row: ModelVersion | None) -> None:
        super().row_changed(row)
        if self.panel_open and row is not None:
            self.ask_chosen(lambda: self._learn(row), "panel", (row.version, row.archive_uri))

    async def _learn(self, row: ModelVersion) -> None:
        """Shows the version's signature and its run's metrics in the panel too, if they still exist."""
        self._ask_about(row, row.version)
        try:
            await self._learn_more(row)
        except Exception:
            self._ask_about(row, None)
            raise
        self._ask_about(row, None)

    def _ask_about(self, row: ModelVersion, version: int | None) -> None:
        """Shows whether more details of a row are being loaded."""
        self._asked_about = version
        self._show_again(row)

    async def _learn_more(self, row: ModelVersion) -> None:
        from registry_tui.client import ServiceProblem

        project, run = row.origin.project_id, row.origin.run_id
        if row.version not in self.described and row.archive_uri is not None:
            with suppress(ServiceProblem):  # the archive is unreadable at the moment: the version is shown without it
                self.described[row.version] = await self.client.suggest_deployment(
                    row.registry_id, row.model_id, row.version
                )
                self._show_again(row)
        if project is not None and run is not None and run not in self.runs:
            with suppress(ServiceProblem):  # the run or its project was deleted, or is not accessible
                self.runs[run] = await self.client.run(project, run)
                self._show_again(row)

    def _show_again(self, row: ModelVersion) -> None:
        current = self.current
        if current is not None and current.id == row.id:
            self.show_panel(row)

    def show_panel(self, row: ModelVersion) -> None:
        self.panel_text.show(
            lambda room: panel(
                row,
                room,
                run=self.runs.get(row.origin.run_id or ""),
                described=self.described.get(row.version),
                deployments=self.deployed.get(row.version, ()),
                asking=self._asked_about == row.version,
            )
        )

    # -- actions ------------------------------------------------------------------------------------

    def row_why_not(self, action: str, row: ModelVersion | None) -> str | None:
        if row is None:
            return None
        if action in ("project", "experiment") and row.origin.project_id is None:
            return "it did not come from a project here"
        if action == "experiment" and row.origin.experiment_id is None:
            return "its experiment is not known"
        if action in ("scan", "signatures") and row.status != "READY":
            return "its archive is not stored"
        if action == "download" and row.archive_uri is None:
            return "its archive is not stored"
        if action == "run" and (row.origin.run_id is None or row.origin.project_id is None):
            return "it did not come from a run"
        if action in ("verify", "promote") and row.archive_uri is None:
            return "its archive is not stored"
        if action in ("alias", "deploy") and row.status != "READY":
            return "it is not ready"
        if action == "deploy" and not row.servable:
            return f"it cannot be served: {safe(row.not_servable_reason or '', 300)}"
        return None

    def named(self, row: ModelVersion) -> str:
        return f"{row.model_name} v{row.version}"

    def concerned(self, action: str) -> object | None:
        """Changing versions and aliases requires the right to change their model."""
        return self.model

    def why_not(self, action: str) -> str | None:
        if action == "diff":
            marked = len(self.table.marked)
            return None if marked == 2 else f"mark two versions with space first; {marked} are marked"
        return super().why_not(action)

    def do_diff(self) -> None:
        one, other = sorted(int(version) for version in self.table.marked)
        args = {**self.place.args, "one": str(one), "other": str(other)}
        self.program.open(Place("diff", args))

    def do_lineage(self) -> None:
        from registry_tui.screens.base.lineage import show_lineage

        row: ModelVersion = self.current
        ref = reference("version", row.registry_id, row.model_name, str(row.version))
        show_lineage(self, self.named(row), ref)

    def do_download(self) -> None:
        from registry_tui.client.saving import archive_files
        from registry_tui.screens.base.download import DownloadForm

        row: ModelVersion = self.current
        name = f"{row.model_name}-v{row.version}"
        self.app.push_screen(DownloadForm(name, lambda: archive_files(self.client, row)), self._downloaded)

    def _downloaded(self, folder: str | None) -> None:
        if folder is not None:
            self.flash(f"saved to {folder}, every file with the sum of its manifest")

    def do_project(self) -> None:
        self.program.open(Place("project", {"project": self.current.origin.project_id}))

    def do_experiment(self) -> None:
        origin = self.current.origin
        self.program.open(Place("experiment", {"project": origin.project_id, "experiment": origin.experiment_id}))

    def do_run(self) -> None:
        origin = self.current.origin
        self.program.open(Place("run", {"project": origin.project_id, "run": origin.run_id}))

    def do_deploy(self) -> None:
        from registry_tui.screens.deployments.deploy import choose_project

        if self.model is not None:
            choose_project(self, self.model, self.current)

    def do_alias(self) -> None:
        from registry_tui.screens.models.edit_model import SetAlias

        self.app.push_screen(SetAlias(self.current), self._changed)

    def do_edit(self) -> None:
        from registry_tui.screens.models.edit_model import EditVersion

        self.app.push_screen(EditVersion(self.current), self._changed)

    def do_edit_model(self) -> None:
        from registry_tui.screens.models.edit_model import EditModel

        if self.model is not None:
            self.app.push_screen(EditModel(self.model), self._changed)

    def _changed(self, changed: bool | None) -> None:
        if changed:
            self.refresh_data()

    def do_verify(self) -> None:
        from registry_tui.screens.models.verify import VerifyForm

        self.app.push_screen(VerifyForm(self.current), self._verified)

    def _verified(self, text: str | None) -> None:
        if text is not None:
            self.flash(text, "$success")
        self.program.look_now()
        self.refresh_data()

    def do_promote(self) -> None:
        from registry_tui.screens.models.promote import PromoteForm

        self.app.push_screen(PromoteForm(self.current), self._promoted)

    def _promoted(self, place: Place | None) -> None:
        if place is not None:
            self.program.open(place)

    def do_rules(self) -> None:
        self.opening(self._rules(self.current), "rules")

    async def _rules(self, row: ModelVersion) -> None:
        from registry_tui.screens.base.viewer import View
        from registry_tui.screens.models.exception_forms import LetThrough, may_except
        from registry_tui.wording.admission import check_lines, check_summary

        found = await self.client.check_rules(self.place.args["registry"], self.place.args["model"], row.version)
        me = self.program.me or await self.client.whoami()
        if found.refused and may_except(me, found.environment_name):
            self.app.push_screen(LetThrough(row, found), self._let_through)
            return
        text = "\n".join(check_lines(found))
        self.app.push_screen(View(f"rules for {row.model_name} v{row.version}", text, note=check_summary(found)))

    def _let_through(self, found: RuleException | None) -> None:
        if found is not None:
            self.flash(f"version {found.version} passes {found.rule}")
            self.refresh_data()

    def do_delete(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        row: ModelVersion = self.current
        lines = (f"Version {row.version} of {row.model_name} goes, with its archive.", "Its number is not used again.")
        about = reference("version", row.registry_id, row.model_name, str(row.version))
        question = Confirm("Delete version", lines, "Delete", danger=True, about=about)
        self.app.push_screen(question, lambda ok: self._delete(row, ok))

    def _delete(self, row: ModelVersion, confirmed: bool | None) -> None:
        if confirmed:
            client = self.client
            self.change(
                f"{row.model_name} version {row.version}: delete",
                lambda: client.delete_version(row.registry_id, row.model_name, row.version),
                lambda _: self._deleted(row),
            )

    def _deleted(self, row: ModelVersion) -> None:
        self.flash(f"version {row.version} is being deleted")
        self.program.look_now()
        self.refresh_data()


def _facts(model: RegisteredModel) -> Content:
    parts: list[tuple[str, str]] = [
        (safe(model.name, 120), "bold"),
        (f"   {model.id}   owner {safe(model.owner, 60)}   {model.visibility.value}", "$foreground-muted"),
    ]
    if model.description:
        parts.append((f"\n{safe(model.description, 400)}", ""))
    return Content.assemble(*parts)
