"""API keys: created, shown once, listed, revoked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.widget import Widget

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.screens.base.named_for_days import NamedForDays
from registry_tui.screens.deployments.key_limits import LimitKey, limit_fields, limits_problem, limits_typed
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.deployments import KEYS
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.key_limits import in_table, limits_told
from registry_tui.wording.people import token_state
from registry_tui.wording.words import Cell, absolute, ago

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import ApiKey, NewApiKey


class KeysScreen(ListScreen):
    """The user's own API keys, newest first."""

    SECTION = "deployments"
    ACTIONS = KEYS
    CONCERNS = frozenset({"api-key", "api_key", "key"})
    BINDINGS = bindings(KEYS)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", lambda row: row.name, 0, max_width=40),
        Column("state", "State", token_state, 0, min_width=9),
        Column("id", "ID", lambda row: Cell(row.id, "dim"), 1),
        Column("owner", "Owner", lambda row: row.owner, 3),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 2),
        Column("expires", "Expires", lambda row: absolute(row.expires_at)[:10], 1),
        Column("limits", "Limits", in_table, 1, max_width=40),
        Column("used", "Last used", lambda row: "never" if row.last_used_at is None else ago(row.last_used_at), 1),
    )
    EMPTY = Empty(
        "No API keys",
        (
            "n makes one: callers of deployments with authentication show it.",
            "In a script: registry-tui keys create NAME",
        ),
        action="create",
    )

    def crumbs(self) -> tuple[Crumb, ...]:
        return (("Deployments", Place("deployments")), ("API keys", None))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client = self.client

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.keys(page_token=token)

        return fetch

    def copied(self, row: ApiKey) -> str:
        return row.id

    def row_why_not(self, action: str, row: ApiKey | None) -> str | None:
        if action in ("revoke", "edit") and row is not None and row.revoked_at is not None:
            return "it is revoked already"
        return None

    def do_lineage(self) -> None:
        from registry_tui.screens.base.lineage import show_lineage

        show_lineage(self, self.current.name, reference("key", self.current.id))

    def do_create(self) -> None:
        self.app.push_screen(NewKey(), self._made)

    def _made(self, made: NewApiKey | None) -> None:
        if made is not None:
            self.refresh_data()
            show_key(self.app, made)

    def do_edit(self) -> None:
        self.app.push_screen(LimitKey(self.current), self._limited)

    def _limited(self, found: ApiKey | None) -> None:
        if found is not None:
            self.flash(f"{found.name}: {limits_told(found.limits)}")
            self.refresh_data()

    def do_revoke(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        found: ApiKey = self.current
        lines = (f"Calls with the key {found.name} ({found.id}) are refused from now on.",)
        self.app.push_screen(
            Confirm("Revoke API key", lines, "Revoke", danger=True, about=reference("key", found.id)),
            lambda yes: self._revoke(found, yes),
        )

    def _revoke(self, found: ApiKey, confirmed: bool | None) -> None:
        if confirmed:
            client = self.client
            self.change(f"{found.name}: revoke", lambda: client.revoke_key(found.id), lambda _: self._revoked(found))

    def _revoked(self, found: ApiKey) -> None:
        self.flash(f"{found.name} is revoked")
        self.refresh_data()


def show_key(app: App[Any], made: NewApiKey) -> None:
    """Shows a new key, which is visible only once."""
    from registry_tui.screens.base.viewer import View

    note = f"The API key {made.api_key.name}. It is shown only now: copy it with c and keep it somewhere safe."
    app.push_screen(View("API key", made.key, note=note))


class NewKey(NamedForDays["NewApiKey"]):
    """The purpose of a key, its validity, and its limits of requests."""

    PLACEHOLDER = "what it is for: ci, dashboard …"
    AFTERWARDS = "the key is shown when it is there"

    TITLE_TEXT = "New API key"

    def compose_fields(self) -> Iterable[Widget]:
        yield from super().compose_fields()
        yield from limit_fields()

    def problem_of(self) -> str | None:
        return super().problem_of() or limits_problem(self)

    async def send(self) -> NewApiKey:
        from registry_tui.schemas.deployments import ApiKeyCreate

        request = ApiKeyCreate(name=self.named, days=self.days, limits=limits_typed(self))
        return await self.program.client.create_key(request)

    def answered_late(self, result: NewApiKey) -> None:
        """The key is shown anyway: it cannot be seen later."""
        show_key(self.app, result)
