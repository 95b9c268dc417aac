"""The keys that an environment trusts; one of them signs new versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from registry_tui.contracts.lineage_refs import reference
from registry_tui.contracts.signatures import short
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.known import SIGNING_KEYS
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.signatures import key_note, key_signs
from registry_tui.wording.words import Cell, ago

if TYPE_CHECKING:
    from registry_tui.schemas.places import Environment
    from registry_tui.schemas.signatures import SigningKey


class SigningKeysScreen(ListScreen):
    """The trust store of an environment, the oldest key first."""

    SECTION = "environments"
    ACTIONS = SIGNING_KEYS
    CONCERNS = frozenset({"environment", "signing-key"})
    BINDINGS = bindings(SIGNING_KEYS)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", lambda row: row.name, 0, max_width=40),
        Column("signs", "Signs", key_signs, 0, min_width=11),
        Column("of", "Of", lambda row: "the registry" if row.own else "somebody else", 1),
        Column("fingerprint", "Fingerprint", lambda row: Cell(short(row.fingerprint), "dim"), 2),
        Column("creator", "By", lambda row: row.creator, 3),
        Column("added", "Added", lambda row: Cell(ago(row.created_at), "dim"), 4),
    )
    EMPTY = Empty(
        "No key yet",
        ("The first version that is registered makes one, and so does ctrl+n.", "n trusts a key of somebody else."),
        action="create",
    )

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.environment: Environment | None = None

    def crumbs(self) -> tuple[Crumb, ...]:
        name = self.environment.name if self.environment is not None else self.place.args["environment"]
        return (("Environments", Place("environments")), (f"Signing keys of {name}", None))

    async def prepare(self) -> None:
        self.environment = await self.client.environment(self.place.args["environment"])

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client, environment = self.client, self.place.args["environment"]

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.signing_keys(environment, page_token=token)

        return fetch

    def key_of(self, row: SigningKey) -> str:
        return row.fingerprint

    def copied(self, row: SigningKey) -> str:
        return row.fingerprint

    def open_row(self, row: SigningKey) -> None:
        from registry_tui.screens.base.viewer import View

        self.app.push_screen(View(f"{row.name}.pem", row.public_key, note=key_note(row)))

    # -- actions ------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str | None:
        if action in ("create", "rotate"):
            return None if self.environment is not None else "the environment is not known yet"
        return super().why_not(action)

    def do_create(self) -> None:
        from registry_tui.screens.known.signing_forms import TrustKey

        assert self.environment is not None
        self.app.push_screen(TrustKey(self.environment.name), self._trusted)

    def _trusted(self, key: SigningKey | None) -> None:
        if key is not None:
            self._done(f"{key.environment_name} trusts {key.name} ({short(key.fingerprint)}) now")

    def do_rotate(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        assert self.environment is not None
        client, name = self.client, self.environment.name
        lines = (
            f"A new key signs what is registered in {name} from now on.",
            "What earlier keys signed stays valid until they are removed.",
        )

        def answered(ok: bool | None) -> None:
            if ok:
                send = lambda: client.rotate_signing_key(name)  # noqa: E731
                self.change(f"{name}: new signing key", send, self._rotated)

        self.app.push_screen(Confirm(f"New signing key of {name}", lines, "New key", danger=True), answered)

    def _rotated(self, key: SigningKey) -> None:
        self._done(f"{key.name} ({short(key.fingerprint)}) signs in {key.environment_name} now")

    def do_delete(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        row: SigningKey = self.current
        client, environment = self.client, row.environment_id
        lines = (
            f"{row.environment_name} trusts {row.name} ({short(row.fingerprint)}) no more.",
            "Versions that only it signed are neither downloaded nor deployed,",
            "and their replicas do not start again, until they are signed again.",
        )

        def answered(ok: bool | None) -> None:
            if ok:
                send = lambda: client.remove_signing_key(environment, row.fingerprint)  # noqa: E731
                self.change(f"{row.name}: remove", send, lambda _: self._done(f"{row.name} is not trusted any more"))

        about = reference("signing-key", environment, row.fingerprint)
        self.app.push_screen(Confirm(f"Remove the key {row.name}", lines, "Remove", danger=True, about=about), answered)

    def _done(self, words: str) -> None:
        self.flash(words)
        self.refresh_data()
