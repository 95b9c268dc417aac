"""The policies of an environment's Ranger service, with a side panel that shows one in full."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.content import Content
from textual.widgets import Static

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.changing_items import chosen, listed
from registry_tui.screens.base.filter_bar import Filter
from registry_tui.screens.base.panel_list import PanelListScreen
from registry_tui.screens.ranger.policy_panel import panel, state_of
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.ranger import POLICIES
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch, Rows
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.policies import all_permissions, everybody, outside, paths
from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell

if TYPE_CHECKING:
    from registry_tui.schemas.ranger import RangerPolicy, RangerService, RangerSource, ServiceDefinition

ENABLED = (("yes", "enabled"), ("no", "disabled"))
#: Actions that change policies, which are possible in their own Ranger only.
_CHANGES = frozenset({"create", "edit", "enable", "delete"})
#: The sort key of each sortable column.
_ORDERS: dict[str, Callable[[RangerPolicy], Any]] = {
    "name": lambda row: row.name.casefold(),
    "priority": lambda row: -row.policy_priority,
    "resources": lambda row: paths(row).casefold(),
    "people": lambda row: everybody(row).casefold(),
    "id": lambda row: row.id or 0,
}


class PoliciesScreen(PanelListScreen):
    """The policies of an environment's service, by name."""

    SECTION = "environments"
    ACTIONS = POLICIES
    # An external Ranger's policies are the environment's: fetching them is an event of that.
    CONCERNS = frozenset({"environment", "policy", "registry"})
    BINDINGS = bindings(POLICIES)
    CSS_PATH = "../../styles/ranger/policies.tcss"
    FILTERS = (
        Filter("search", "search", placeholder="names, places, people, labels"),
        Filter("enabled", "enabled", ENABLED),
    )
    SORT = ("name", False)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", lambda row: row.name, 0, sort="name", max_width=44, keeps_end=True, floor=44),
        Column("enabled", "Enabled", state_of, 0, min_width=10),
        Column(
            "priority",
            "Priority",
            lambda row: Cell("override", "warn") if row.policy_priority else Cell("normal", "dim"),
            3,
            sort="priority",
        ),
        Column("resources", "Resources", paths, 2, max_width=60, sort="resources"),
        Column("people", "Users, groups", everybody, 1, max_width=60, sort="people", keeps_end=True),
        Column("permissions", "Permissions", all_permissions, 4, max_width=40, floor=25),
        Column("labels", "Labels", lambda row: Cell(", ".join(row.policy_labels), "dim"), 5),
        Column("id", "ID", lambda row: Cell(str(row.id or ""), "dim"), 6, right=True, sort="id"),
    )
    EMPTY = Empty("No policy", ("n creates one: without any, nobody reaches anything.",), action="create")

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.service: RangerService | None = None
        self.definition: ServiceDefinition | None = None
        #: Why the user may not see policies.
        self.refusal: str | None = None

    def crumbs(self) -> tuple[Crumb, ...]:
        above: Crumb = ("Environments", Place("environments"))
        if self.service is None:
            return (above, (f"Ranger of {self.place.args['environment']}", None))
        return (above, (f"{self.service.configs.get('environment', '')}: {self.service.name}", None))

    # -- the list -----------------------------------------------------------------------------------

    async def start(self) -> None:
        from registry_tui.client import Refused

        try:
            await super().start()
        except Refused as error:
            self.refusal = error.message
            self.query_one("#facts", Static).update("")
            self.table.say(Empty(error.message, (error.action,) if error.action else ()))
            self.show_crumbs()

    async def prepare(self) -> None:
        service = await self.client.ranger_service(self.place.args["environment"])
        kinds = await self.client.ranger_definitions()
        self.service, self.refusal = service, None
        self.definition = next((each for each in kinds if each.name == service.type), None)
        self.table.say(None)
        self.query_one("#facts", Static).update(_facts(service, self.definition))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client, environment = self.client, self.place.args["environment"]
        wanted, enabled = filters.get("search", "").strip().casefold(), filters.get("enabled")
        by = _ORDERS[(order or "name").removeprefix("-")]

        async def fetch(token: str | None, backwards: bool) -> Any:
            found = [
                each
                for each in await client.policies(environment)
                if wanted in _searched(each) and enabled in ("", None, "yes" if each.is_enabled else "no")
            ]
            found.sort(key=by, reverse=bool(order and order.startswith("-")))
            return Rows(found, total=len(found))

        return fetch

    def copied(self, row: RangerPolicy) -> str:
        return row.name

    # -- the side panel -----------------------------------------------------------------------------

    def do_back(self) -> None:
        closes = self.panel_open
        super().do_back()
        if closes:
            self.table.focus()

    def show_panel(self, row: RangerPolicy) -> None:
        definition = self.definition
        self.panel_text.show(lambda room: panel(row, definition, room))

    # -- actions ------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str | None:
        if self.refusal is not None:
            return self.refusal
        if action in _CHANGES and self.service is not None and self.service.source is not None:
            return f"they come from Ranger at {safe(self.service.source.url, 80)}, and are changed there"
        if action in ("create", "edit", "check") and (self.service is None or self.definition is None):
            return "the service's resources and permissions are not known"
        if action == "source":
            return None if self.service is not None else "the service is not known"
        return None if action == "check" else super().why_not(action)

    def do_create(self) -> None:
        self._open_form(None)

    def do_edit(self) -> None:
        self._open_form(self.current)

    def _open_form(self, policy: RangerPolicy | None) -> None:
        from registry_tui.screens.ranger.policy_form import PolicyForm

        assert self.service is not None and self.definition is not None
        self.app.push_screen(PolicyForm(self.service, self.definition, policy), self._saved)

    def do_check(self) -> None:
        from registry_tui.screens.ranger.check_form import CheckForm

        assert self.service is not None and self.definition is not None
        self.app.push_screen(CheckForm(self.service, self.definition))

    def do_source(self) -> None:
        from registry_tui.screens.base.dialogs import Menu
        from registry_tui.screens.ranger.source_form import choices

        assert self.service is not None
        source = self.service.source
        if source is None:
            self._source_chosen("change")
        else:
            menu = Menu(f"Policies from Ranger at {source.url}", choices(source), "change")
            self.app.push_screen(menu, self._source_chosen)

    def _source_chosen(self, choice: str | None) -> None:
        from registry_tui.screens.base.viewer import View
        from registry_tui.screens.ranger.source_form import SourceForm, as_text

        service = self.service
        if choice is None or service is None:
            return
        if choice == "change":
            self.app.push_screen(SourceForm(service), self._source_set)
        elif service.source is None:
            self.flash("the environment obeys its own policies already", "$warning")
        elif choice == "show":
            self.app.push_screen(View(f"Ranger at {service.source.url}", as_text(service.source)))
        else:
            self._ask_for_own(service, service.source)

    def _source_set(self, service: RangerService | None) -> None:
        if service is not None and service.source is not None:
            self.flash(f"The policies of Ranger at {safe(service.source.url, 80)} count; the next request obeys")
            self.refresh_data()

    def _ask_for_own(self, service: RangerService, source: RangerSource) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        environment, client = service.configs.get("environment", ""), self.client
        lines = (
            f"Environment {environment} obeys its own policies again, from the next request on.",
            f"Access that only Ranger at {source.url} gives is then refused. Its address and credentials are deleted.",
        )

        def done(_: RangerService) -> None:
            self.flash(f"Environment {safe(environment, 60)} obeys its own policies")
            self.refresh_data()

        def answered(ok: bool | None) -> None:
            if ok:
                self.change(f"{environment}: own policies", lambda: client.delete_ranger_source(environment), done)

        about = reference("ranger-source", environment)
        self.app.push_screen(
            Confirm("Bring back own policies", lines, "Bring back", danger=True, about=about), answered
        )

    def _saved(self, policy: RangerPolicy | None) -> None:
        if policy is not None:
            self.flash(f"Policy {safe(policy.name, 60)} is saved; the next request to the store obeys")
            self.refresh_data()

    def _chosen(self) -> list[RangerPolicy]:
        """The marked policies, else the selected one, in their current state in the list."""
        source = self.table.source
        now = {} if source is None else {self.key_of(row): row for row in source.loaded_rows()}
        return [now.get(self.key_of(row), row) for row in chosen(self.table)]

    def do_enable(self) -> None:
        rows = self._chosen()
        enable = not all(row.is_enabled for row in rows)
        changed = [row for row in rows if row.is_enabled is not enable]
        client = self.client

        async def send() -> None:
            for row in changed:
                after = row.model_copy(update={"is_enabled": enable})
                await client.update_policy(row.id or 0, after, version=row.version)

        self._change("enable" if enable else "disable", changed, send)

    def do_delete(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        rows = self._chosen()
        words = "1 policy" if len(rows) == 1 else f"{len(rows)} policies"
        lines = (
            f"Goes: {words}: {listed([row.name for row in rows])}.",
            "What only this gave is refused from the next request on, and what only this denied is let through.",
            "Disabling (!) does the same, and can be undone.",
        )
        client = self.client

        async def send() -> None:
            from registry_tui.client import NotFound

            for row in rows:
                try:
                    await client.delete_policy(row.id or 0)
                except NotFound:
                    # Another user deleted it meanwhile, or an earlier attempt did.
                    continue

        def answered(ok: bool | None) -> None:
            if ok:
                self._change("delete", rows, send)

        about = [reference("policy", str(row.id)) for row in rows]
        self.app.push_screen(Confirm(f"Delete {words}", lines, "Delete", danger=True, about=about), answered)

    def _change(self, verb: str, rows: Sequence[RangerPolicy], send: Callable[[], Any]) -> None:
        names = listed([row.name for row in rows])
        keys = {str(row.id) for row in rows}

        async def all_of_them() -> None:
            try:
                await send()
            finally:
                # Some may have changed although another was refused.
                if self.is_attached:
                    self.refresh_soon()

        def done(_: None) -> None:
            self.table.unmark(lambda row: self.key_of(row) in keys)
            self.flash(f"{names}: {verb}d")

        self.change(f"{names}: {verb}", all_of_them, done)


def _searched(policy: RangerPolicy) -> str:
    """The text that the filter searches."""
    parts = (policy.name, policy.description or "", paths(policy), everybody(policy), *policy.policy_labels)
    items = (*policy.allow_exceptions, *policy.deny_exceptions)
    excepted = (name for item in items for name in (*item.users, *item.groups, *item.roles))
    return "\n".join((*parts, *excepted)).casefold()


def _facts(service: RangerService, definition: ServiceDefinition | None) -> Content:
    kind = service.type if definition is None else definition.label
    where = f"{service.configs.get('environment', '')}, bucket {service.configs.get('bucket', '')}"
    own = Content.assemble(
        (safe(service.name, 80), "bold"),
        (f"   {safe(kind, 40)} of {safe(where, 200)}", ""),
        (f"   version {service.policy_version or 0}", "$foreground-muted"),
    )
    if service.source is None:
        return own
    words, failing = outside(service.source)
    return Content("\n").join([own, Content.assemble((words, "$warning" if failing else "$foreground-muted"))])
