"""One Model Registry: every field, its events with their log lines, its workspaces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from textual import on
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList, Static, TabbedContent, TabPane
from textual.widgets.option_list import Option

from registry_tui.actions import REGISTRY, bindings
from registry_tui.commands import Place
from registry_tui.screens.frame import FrameScreen
from registry_tui.screens.registries import CLOUDS, registry_why_not
from registry_tui.screens.registry_actions import confirm_delete, confirm_synchronize, registry_menu
from registry_tui.widgets.frame import Crumb
from registry_tui.widgets.page_cache import PageCache
from registry_tui.widgets.pages import Pages
from registry_tui.widgets.text import safe
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.widgets.words import Cell, absolute, both, duration, registry_status, work_status

if TYPE_CHECKING:
    from registry_tui.schemas.operations import Event
    from registry_tui.schemas.registries import ModelRegistry

_EVENTS: tuple[Column[Any], ...] = (
    Column("time", "Time", lambda row: Cell(absolute(row.created_at), "dim"), 0),
    Column("who", "Who", lambda row: row.actor, 1),
    Column("action", "Action", lambda row: row.action, 0),
    Column("resource", "Resource", lambda row: row.resource_name, 2),
    Column("outcome", "Outcome", lambda row: work_status(row.outcome), 0, min_width=11),
    Column("took", "Took", lambda row: "" if row.duration_ms is None else duration(row.duration_ms / 1000), 4),
    Column("detail", "Detail", lambda row: Cell(row.detail, "dim"), 3, max_width=60),
)
_TONES = {"good": "$success", "busy": "$accent", "bad": "$error"}


class RegistryScreen(FrameScreen):
    """Tabs over one registry."""

    SECTION = "registries"
    ACTIONS = REGISTRY
    BINDINGS = bindings(REGISTRY)
    CSS_PATH = "../styles/registry.tcss"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.registry: ModelRegistry | None = None
        #: What each line of the details copies, by its option's ID.
        self.values: dict[str, str] = {}

    def compose_content(self) -> Iterable[Widget]:
        yield Static("", id="headline", markup=False)
        with Pages(id="tabs", initial=self.place.state.get("tab", "details")):
            with TabPane("Details", id="details"):
                yield OptionList(id="fields", compact=True)
            with TabPane("Events & Logs", id="events"):
                yield VirtualTable(_EVENTS, id="event-table", empty=Empty("No events yet"))
                with VerticalScroll(id="log"):
                    yield Static("", id="lines", markup=False)
            with TabPane("Workspaces", id="workspaces"), VerticalScroll():
                yield Static("", id="syncs", markup=False)

    def crumbs(self) -> tuple[Crumb, ...]:
        name = "…" if self.registry is None else self.registry.name
        return (("Model Registries", Place("registries")), (name, None))

    def on_mount(self) -> None:
        self.query_one("#fields").focus()

    def focus_content(self) -> None:
        self.query_one("#fields").focus()

    def leave(self) -> None:
        self.place.state["tab"] = self.query_one("#tabs", TabbedContent).active

    async def start(self) -> None:
        self.registry = await self.client.registry(self.place.args["registry"])
        self.show_crumbs()
        self._show(self.registry)
        table = self.query_one("#event-table", VirtualTable)
        if table.source is None:
            client, registry = self.client, self.registry.id

            async def fetch(token: str | None, backwards: bool) -> Any:
                return await client.events(registry=registry, page_token=token)

            table.set_source(PageCache(fetch, lambda row: str(row.id)))
        else:
            table.reload()
        if self.registry.workflow_id is not None:
            self.set_timer(1.0, self._look_again, name="look-again")

    def _look_again(self) -> None:
        if self.is_current and self.program.answering:
            self.refresh_data()

    # -- what is shown ------------------------------------------------------------------------------

    def _show(self, registry: ModelRegistry) -> None:
        status = registry_status(registry.status, registry.status.label)
        headline = Content.assemble(
            (safe(registry.name, 60), "bold"), "   ", (status.text, _TONES.get(status.tone, ""))
        )
        self.query_one("#headline", Static).update(headline)
        fields = self.query_one("#fields", OptionList)
        at = fields.highlighted
        fields.clear_options()
        self.values = {}
        for name, value in _details(registry):
            self.values[name] = value
            text = Content.assemble((f"{name:<24}", "$foreground-muted"), (safe(value, 300), ""))
            fields.add_option(Option(text, id=name))
        fields.highlighted = at or 0
        self.query_one("#syncs", Static).update(_syncs(registry))

    @on(VirtualTable.Highlighted, "#event-table")
    def _event_chosen(self, event: VirtualTable.Highlighted) -> None:
        if event.row is not None:
            self.work_on(self._read_log(event.row), "log")

    @on(VirtualTable.Failed, "#event-table")
    def _events_failed(self, event: VirtualTable.Failed) -> None:
        self.failed(event.error)

    async def _read_log(self, event: Event) -> None:
        page = await self.client.event_logs(event.id, page_size=1000)
        parts: list[tuple[str, str]] = []
        if event.detail:
            parts.append((f"{safe(event.detail, 2000)}\n", "$error" if event.outcome == "failed" else ""))
        for line in page.items:
            style = {"error": "$error", "warning": "$warning"}.get(line.level, "")
            parts += [(f"{absolute(line.created_at)[11:]}  ", "$foreground-muted"), (f"{safe(line.text)}\n", style)]
        parts.append((f"request {event.request_id}", "$foreground-muted"))
        self.query_one("#lines", Static).update(Content.assemble(*parts))

    # -- actions ------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str | None:
        if self.registry is None:
            return "the registry is not known yet"
        return registry_why_not(action, self.registry)

    def do_tab_next(self) -> None:
        tabs = self.query_one("#tabs", TabbedContent)
        order = [str(pane.id) for pane in tabs.query(TabPane)]
        tabs.active = order[(order.index(tabs.active) + 1) % len(order)]
        content = {"details": "#fields", "events": "#event-table"}.get(tabs.active)
        if content is not None:
            self.query_one(content).focus()

    def do_menu(self) -> None:
        assert self.registry is not None
        registry_menu(self, self.registry)

    def do_synchronize(self) -> None:
        assert self.registry is not None
        confirm_synchronize(self, self.registry)

    def do_delete(self) -> None:
        assert self.registry is not None
        confirm_delete(self, self.registry)

    def do_models(self) -> None:
        self.program.open(Place("models", {"registry": self.place.args["registry"]}))

    def do_grant(self) -> None:
        from registry_tui.screens.dialogs import Confirm

        registry = self.registry
        assert registry is not None
        granted = registry.storage_access == "granted"
        place = f"s3://{registry.bucket}/{registry.prefix}/"
        lines = (
            f"Machine user {registry.machine_user_workload_name}",
            f"{'may no longer use' if granted else 'will be able to use'} {place}",
            "Nothing can be registered until it is granted again." if granted else "and read run artifacts.",
        )
        title = "Revoke storage access" if granted else "Grant storage access"
        self.app.push_screen(Confirm(title, lines), lambda ok: self._grant(granted, ok))

    def _grant(self, granted: bool, confirmed: bool | None) -> None:
        if confirmed:
            self.work_on(self._granting(granted), "change", exclusive=False)

    async def _granting(self, granted: bool) -> None:
        registry = self.place.args["registry"]
        if granted:
            await self.client.revoke_storage_access(registry)
        else:
            await self.client.grant_storage_access(registry)
        self.refresh_data()

    def do_copy(self) -> None:
        fields = self.query_one("#fields", OptionList)
        if fields.highlighted is not None:
            option = fields.get_option_at_index(fields.highlighted)
            self.program.copy_text(self.values[str(option.id)])

    def do_view(self) -> None:
        from registry_tui.screens.dialogs import View

        assert self.registry is not None
        self.app.push_screen(View(self.registry.name, self.registry.model_dump_json(indent=2)))


def _details(registry: ModelRegistry) -> list[tuple[str, str]]:
    """Every field of the documented Details tab, and what ours has besides."""
    raz = "RAZ-enabled" if registry.raz_enabled else "without RAZ"
    fields = [
        ("Environment", f"{registry.environment_name} ({CLOUDS.get(registry.cloud, registry.cloud)}, {raz})"),
        ("Environment CRN", registry.environment_crn),
        ("CRN", registry.crn),
        ("Machine user CRN", registry.machine_user_crn or "–"),
        ("Workload user name", registry.machine_user_workload_name or "–"),
        ("Creator", registry.creator),
        ("Owner", registry.owner),
        ("Created", both(registry.created_at)),
        ("Last updated", both(registry.updated_at)),
        ("Status", f"{registry.status.label} ({registry.status.value})"),
        ("Storage access", registry.storage_access.value),
        ("Storage", f"s3://{registry.bucket}/{registry.prefix}/"),
        ("Endpoint", registry.endpoint),
        ("Location", registry.location),
        ("MLflow workspace", registry.mlflow_workspace),
        ("Registered models", "–" if registry.model_count is None else str(registry.model_count)),
        ("ID", registry.id),
        ("Version", registry.version),
    ]
    if registry.existing_nfs:
        fields += [("Existing NFS", registry.existing_nfs), ("NFS protocol", registry.nfs_protocol_version or "–")]
    return fields


def _syncs(registry: ModelRegistry) -> Content:
    if not registry.workspaces:
        return Content.assemble(("The environment has no workspace yet", "$foreground-muted"))
    parts: list[tuple[str, str]] = []
    for sync in registry.workspaces:
        style = {"completed": "$success", "failed": "$error", "running": "$accent"}.get(sync.state, "$foreground-muted")
        mark = {"completed": "✓", "failed": "✗", "running": "◐"}.get(sync.state, "○")
        when = f"  {both(sync.finished_at)}" if sync.finished_at else ""
        parts += [
            (f"{mark} ", style),
            (f"{safe(sync.workspace_name, 40):<24}", "bold"),
            (f"{sync.state.value:<12}", style),
            (f"{sync.project_count} projects{when}\n", "$foreground-muted"),
        ]
        if sync.error:
            parts.append((f"    {safe(sync.error, 500)}\n", "$error"))
    return Content.assemble(*parts)
