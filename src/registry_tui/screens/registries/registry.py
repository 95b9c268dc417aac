"""One Model Registry: every field, its events with their log lines, its models, its storage."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from textual import on
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList, Static, TabbedContent, TabPane

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.delete_model import confirm_delete_model
from registry_tui.screens.base.every import Every
from registry_tui.screens.base.filter_bar import FilterBar
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.screens.base.list_pane import ListPane
from registry_tui.screens.base.tones import styled
from registry_tui.screens.registries.manage_access import manage_access
from registry_tui.screens.registries.models_pane import ModelsPane
from registry_tui.screens.registries.registries import registry_why_not
from registry_tui.screens.registries.registry_actions import confirm_delete, confirm_synchronize, sync_line
from registry_tui.screens.registries.registry_events import EventsPane
from registry_tui.screens.registries.registry_storage import StoragePane
from registry_tui.terminal.action import Action, bindings
from registry_tui.terminal.actions.registries import REGISTRY
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import Awaited
from registry_tui.widgets.facts import FactList
from registry_tui.widgets.pages import Pages
from registry_tui.wording.nfs import nfs_said
from registry_tui.wording.storage_access import registry_access_said
from registry_tui.wording.stores import checked_said
from registry_tui.wording.text import safe
from registry_tui.wording.words import CLOUDS, both, registry_status

if TYPE_CHECKING:
    from registry_tui.schemas.promotion import PromotionRules
    from registry_tui.schemas.registries import ModelRegistry

#: Actions that belong to some tabs only.
_TABS = {
    "open": ("events", "models", "storage"),
    "filter": ("events", "models", "storage"),
    "order": ("models", "storage"),
    "export": ("events", "models", "storage"),
    "save": ("events",),
    "clean_up": ("storage",),
    "measure": ("storage",),
}
#: Why the rows of a tab cannot be deleted one by one.
_STAY = {
    "events": "events are kept; the registry is deleted under Details (tab)",
    "storage": "an archive goes with its version; the registry is deleted under Details (tab)",
}
_TAB_WORDS = {"events": "Events & Logs", "models": "Models", "storage": "Storage"}


class RegistryScreen(FrameScreen):
    """Tabs over one registry."""

    SECTION = "registries"
    ACTIONS = REGISTRY
    CONCERNS = frozenset({"model", "registry", "version"})
    BINDINGS = bindings(REGISTRY)
    CSS_PATH = "../../styles/registries/registry.tcss"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.registry: ModelRegistry | None = None
        #: The text to copy for each line of the details, by its option's ID.
        self.values: dict[str, str] = {}

    def compose_content(self) -> Iterable[Widget]:
        yield Awaited(id="headline")
        with Pages(id="tabs", initial=self.place.state.get("tab", "details")):
            with TabPane("Details", id="details"):
                yield FactList(id="fields")
            with TabPane("Events & Logs", id="events"):
                yield EventsPane()
            with TabPane("Models", id="models"):
                yield ModelsPane()
            with TabPane("Storage", id="storage"):
                yield StoragePane()

    def crumbs(self) -> tuple[Crumb, ...]:
        name = "…" if self.registry is None else self.registry.name
        return (("Model Registries", Place("registries")), (name, None))

    def on_mount(self) -> None:
        Every(self, 1.0, self._ask, group="start", wanted=self._changes).begin()
        self.focus_content()

    @property
    def tab(self) -> str:
        """The tab in view."""
        return self.query_one("#tabs", TabbedContent).active or "details"

    @property
    def pane(self) -> ListPane | None:
        """The list in view; None for the details."""
        found = self.query_one(f"#{self.tab}").query(ListPane)
        return found.first() if found else None

    def focus_content(self) -> None:
        if self.pane is None:
            self.query_one("#fields").focus()
        else:
            self.pane.focus_content()

    def leave(self) -> None:
        self.place.state["tab"] = self.tab

    async def start(self) -> None:
        self.registry = await self.client.registry(self.place.args["registry"])
        self.show_crumbs()
        self._show(self.registry)
        self._show_pane()
        if self.registry.machine_user_workload_name is not None and not self._changes():
            await self._begin_to_try()

    async def _begin_to_try(self) -> None:
        """Starts the access check in the background; when a page is reopened, the earlier result is shown
        immediately."""
        from registry_tui.client.remembered import NotRemembered, recalls

        if recalls():
            with suppress(NotRemembered):
                await self._try_access()
        else:
            self.ask(self._try_access, "access", again=False)

    async def _try_access(self) -> None:
        """Checks the machine user's access and the NFS, unless that was just done; the known state stays in view."""
        tried = await self.client.storage_access(self.place.args["registry"])
        if self.registry is not None:
            known = {
                "storage_access": tried.access,
                "storage_access_tried_at": tried.tried_at,
                "storage_access_problem": tried.problem,
                "nfs": tried.nfs,
            }
            self.registry = self.registry.model_copy(update=known)
            self._show(self.registry)
            self.show_actions()

    def _changes(self) -> bool:
        """Whether a workflow works on the registry."""
        return self.registry is not None and self.registry.workflow_id is not None

    def _show_pane(self) -> None:
        if self.pane is not None and self.registry is not None:
            self.pane.show(self.registry)

    @on(TabbedContent.TabActivated)
    def _tab_chosen(self) -> None:
        self._show_pane()
        self.show_actions()

    # -- display ------------------------------------------------------------------------------------

    def _show(self, registry: ModelRegistry) -> None:
        status = registry_status(registry.status, registry.status.label)
        headline = Content.assemble((safe(registry.name, 60), "bold"), "   ", styled(status))
        self.query_one("#headline", Static).update(headline)
        details = _details(registry)
        synced = {f"workspace {sync.workspace_id}": sync for sync in registry.workspaces}
        self.values = {**dict(details), **{name: sync.workspace_name for name, sync in synced.items()}}
        workspaces = [(name, sync_line(sync, "Workspace")) for name, sync in synced.items()]
        self.query_one("#fields", FactList).show([*details, *workspaces])

    @on(OptionList.OptionSelected, "#fields")
    def _field_taken(self) -> None:
        self.do_copy()

    # -- actions ------------------------------------------------------------------------------------

    def all_actions(self) -> list[Action]:
        """The actions of other tabs stay in the help, but not in the status line."""
        tab = self.tab if self.is_mounted else "details"
        return [
            replace(action, footer=action.footer and tab in _TABS.get(action.id, (tab,)))
            for action in super().all_actions()
        ]

    def concerned(self, action: str) -> object | None:
        """The registry; under Models, delete applies to the selected model."""
        if self.registry is not None and action == "delete" and isinstance(self.pane, ModelsPane):
            model: object | None = self.pane.current
            return model
        return self.registry

    def why_not(self, action: str) -> str | None:
        if self.registry is None:
            return "the registry is not known yet"
        tabs = _TABS.get(action)
        if tabs is not None and self.tab not in tabs:
            return f"it belongs to {' and '.join(_TAB_WORDS[tab] for tab in tabs)} (tab)"
        pane = self.pane
        if action == "delete" and pane is not None:
            if not isinstance(pane, ModelsPane):
                return _STAY[self.tab]
            return None if pane.current is not None else "nothing is selected"
        if action in ("open", "copy", "save") and pane is not None and pane.current is None:
            return "nothing is selected"
        if action == "clean_up" and isinstance(pane, StoragePane):
            return pane.why_not_clean_up()
        return registry_why_not(action, self.registry)

    def do_tab_next(self) -> None:
        self._turn(1)

    def do_tab_previous(self) -> None:
        self._turn(-1)

    def _turn(self, by: int) -> None:
        tabs = self.query_one("#tabs", Pages)
        tabs.active = tabs.neighbour(by)
        self.focus_content()

    def do_back(self) -> None:
        if isinstance(self.pane, EventsPane) and self.pane.reading:
            self.pane.focus_content()
        else:
            super().do_back()

    def do_filter(self) -> None:
        assert self.pane is not None
        self.pane.query_one(FilterBar).focus_first()

    def do_open(self) -> None:
        assert self.pane is not None
        self.pane.open_row(self.pane.current)

    def do_order(self) -> None:
        from registry_tui.screens.base.list_screen import order_menu

        assert self.pane is not None
        order_menu(self, self.pane.table, self.pane.sort)

    def do_export(self) -> None:
        from registry_tui.screens.base.save import Export

        assert self.pane is not None
        name = f"{self.tab}-of-{self.registry.name if self.registry else self.tab}"
        self.app.push_screen(Export(self.pane.table, name, self.flash))

    def do_save(self) -> None:
        assert isinstance(self.pane, EventsPane)
        self.pane.save()

    def do_clean_up(self) -> None:
        assert isinstance(self.pane, StoragePane)
        self.pane.clean_up()

    def do_measure(self) -> None:
        assert isinstance(self.pane, StoragePane)
        self.pane.measure()

    @property
    def menu_of(self) -> str:
        return "" if self.registry is None else self.registry.name

    def in_menu(self, action: str) -> bool:
        return super().in_menu(action) and self.tab in _TABS.get(action, (self.tab,))

    def do_copy_crn(self) -> None:
        assert self.registry is not None
        self.program.copy_text(self.registry.crn)

    def do_synchronize(self) -> None:
        assert self.registry is not None
        confirm_synchronize(self, self.registry)

    def do_delete(self) -> None:
        """Deletes the registry, or under Models the selected model."""
        assert self.registry is not None
        if isinstance(self.pane, ModelsPane):
            confirm_delete_model(self, self.pane.current)
        else:
            confirm_delete(self, self.registry)

    def do_models(self) -> None:
        self.program.open(Place("models", {"registry": self.place.args["registry"]}))

    def do_signing_keys(self) -> None:
        """Shows those of its environment."""
        assert self.registry is not None
        self.program.open(Place("signing_keys", {"environment": self.registry.environment_name}))

    def do_manage_access(self) -> None:
        registry = self.registry
        assert registry is not None
        manage_access(self, registry.environment_name, registry.id, raz_enabled=registry.raz_enabled)

    def do_store_key(self) -> None:
        from registry_tui.screens.registries.store_key import ChangeStoreKey

        assert self.registry is not None
        self.app.push_screen(ChangeStoreKey(self.registry), self._store_key_changed)

    def _store_key_changed(self, found: ModelRegistry | None) -> None:
        from registry_tui.screens.registries.store_key import key_said

        if found is not None:
            self.flash(key_said(found))
            self.refresh_data()

    def do_promotion_rules(self) -> None:
        self.opening(self._promotion_rules(), "promotion rules")

    async def _promotion_rules(self) -> None:
        from registry_tui.screens.registries.promotion_rules import SetPromotionRules

        assert self.registry is not None
        rules = await self.client.promotion_rules(self.place.args["registry"])
        self.app.push_screen(SetPromotionRules(self.registry, rules), self._promotion_rules_set)

    def _promotion_rules_set(self, rules: PromotionRules | None) -> None:
        if rules is not None:
            self.flash("the rules of promotion are set")

    def do_grant(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm
        from registry_tui.wording.storage_access import grant_lines

        registry = self.registry
        assert registry is not None
        granted = registry.storage_access == "granted"
        lines = grant_lines(registry, granted=granted)
        title = "Revoke storage access" if granted else "Grant storage access"
        about = reference("storage-access", registry.id) if granted else ()
        confirm = Confirm(title, lines, "Revoke" if granted else "Grant", danger=granted, about=about)
        self.app.push_screen(confirm, lambda ok: self._grant(granted, ok))

    def _grant(self, granted: bool, confirmed: bool | None) -> None:
        if confirmed:
            client, registry = self.client, self.place.args["registry"]
            self.change(
                f"{registry}: {'revoke' if granted else 'grant'} storage access",
                lambda: (client.revoke_storage_access if granted else client.grant_storage_access)(registry),
                lambda found: self._granted(found, revoked=granted),
            )

    def _granted(self, found: ModelRegistry, *, revoked: bool) -> None:
        from registry_tui.wording.storage_access import still_granted

        if revoked and (remark := still_granted(found)):
            self.notify(remark, severity="warning", markup=False)
        self.refresh_data()

    def do_copy(self) -> None:
        if self.pane is not None:
            self.program.copy_text(self.pane.copied(self.pane.current))
            return
        fields = self.query_one("#fields", OptionList)
        if fields.highlighted is not None:
            option = fields.get_option_at_index(fields.highlighted)
            self.program.copy_text(self.values[str(option.id)])

    def do_view(self) -> None:
        from registry_tui.screens.base.viewer import View

        assert self.registry is not None
        shown = self.registry if self.pane is None or self.pane.current is None else self.pane.current
        self.app.push_screen(View(self.registry.name, shown.model_dump_json(indent=2)))


def _details(registry: ModelRegistry) -> list[tuple[str, str]]:
    """Every field of the documented Details tab, and our additional ones."""
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
        ("Storage access", _access(registry)),
        ("Storage", registry.archives),
        ("Endpoint", registry.archives_at or "–"),
        *([("Access there", registry.archives_access)] if registry.archives_access else []),
        *([] if registry.store is None else [("Store", checked_said(registry.store))]),
        ("Location", registry.location),
        ("MLflow workspace", registry.mlflow_workspace),
        ("Registered models", "–" if registry.model_count is None else str(registry.model_count)),
        ("ID", registry.id),
        ("Version", registry.version),
    ]
    if registry.existing_nfs:
        fields += [("Existing NFS", registry.existing_nfs), ("NFS protocol", registry.nfs_protocol_version or "–")]
        if registry.nfs is not None:
            fields.append(("NFS here", nfs_said(registry.nfs)))
    return fields


def _access(registry: ModelRegistry) -> str:
    """Whether the machine user may use its prefix; if not, where the cloud's administrator can grant it."""
    next_step = "p maps the machine user to the Data Access Role, @ shows where"
    if registry.raz_enabled:
        policies = {"aws": "cm_s3", "azure": "cm_adls"}.get(registry.cloud, "the store")
        next_step = f"p lets the workload user in, @ shows where ({policies} · all - bucket, path)"
    return registry_access_said(registry, next_step)
