"""The fields of a form for a store's address and credentials; those of its kind are shown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Select, Static

from registry_tui.screens.base.form import Tick, row
from registry_tui.wording.mistakes import mistakes
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.stores import EnvironmentStore, Store, StoreSettings

#: The ways to sign in at each kind of store, with the fields that each needs in addition to the address.
_WAYS: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "s3": (
        ("machine", "the role of the service's machine", ()),
        ("profile", "a profile of the service's account", ("profile",)),
        ("key", "an access key", ("access-key-id", "secret")),
    ),
    "az": (
        ("machine", "a managed identity of the service's machine", ("client-id",)),
        ("key", "the account key", ("secret",)),
        ("sas", "a SAS", ("secret",)),
        ("principal", "a service principal", ("tenant-id", "client-id", "secret")),
    ),
    "gs": (
        ("machine", "the account of the service's machine", ()),
        ("key", "a service account's key", ("key-file",)),
    ),
}
#: The label of the secret of each way.
_SECRETS = {"s3": "Secret key", "sas": "SAS", "principal": "Client secret", "key": "Account key"}
_OF_S3 = ("region",)
_MORE_OF_S3 = ("addressing", "encryption", "kms-key")
_KINDS_OF = {"s3": ("s3",), "azure": ("az",), "google": ("gs",), "directory": ("file",)}
#: The endpoint where none is typed.
_ENDPOINTS = {"s3": "empty: AWS's own", "az": "empty: the account's own", "gs": "empty: Google's own"}
ADDRESSES = "s3://bucket/prefix, az://account/container/prefix, gs://bucket/prefix, or a directory: /mnt/models"


class StoreFields(Vertical):
    """A store's address, how to sign in there, and a button that tries it. Secrets are masked and never shown again."""

    def __init__(self, known: EnvironmentStore | None = None, *, key_only: bool = False) -> None:
        """`known`: the existing store, whose address stays; `key_only` changes only its credentials."""
        super().__init__(id="store-fields")
        self.known, self.key_only = known, key_only

    def compose(self) -> ComposeResult:
        known = self.known
        if known is None:
            yield row("Store", Input(compact=True, id="store", placeholder="empty: the embedded one"))
        else:
            yield row("Store", Static(safe(self.address, 400), id="store-there", markup=False))
        yield Static(ADDRESSES, id="addresses", classes="note", markup=False)
        settings = None if known is None else known.settings
        yield from self._fields(settings)
        there = Tick("run artifacts of new projects lie there too", known is None or known.artifacts, id="artifacts")
        yield self._named("artifacts", row("", there))
        button = Button("Try the store", id="try", compact=True)
        yield self._named("try", row("", button))

    def _fields(self, known: StoreSettings | None) -> Iterator[Widget]:
        def text(name: str, label: str, value: str, placeholder: str = "") -> Widget:
            return self._named(name, row(label, Input(value, compact=True, id=name, placeholder=placeholder)))

        yield text("region", "Region", known.region if known else "us-east-1", "the bucket's region")
        yield text("endpoint", "Endpoint", known.endpoint if known else "")
        for kind, ways in _WAYS.items():
            options = [(words, way) for way, words, _ in ways]
            now = self._way_of(kind) or ways[0][0]
            select = Select(options, value=now, allow_blank=False, compact=True, id=f"{kind}-way")
            yield self._named(f"{kind}-way", row("Sign in with", select))
        yield text("profile", "Profile", known.profile if known else "", "in the AWS configuration of that account")
        yield text("access-key-id", "Access key ID", known.access_key_id if known and not self.key_only else "")
        yield text("tenant-id", "Tenant ID", known.tenant_id if known else "")
        yield text("client-id", "Client ID", known.client_id if known else "", "empty: the machine's only one")
        kept = "never shown again" if known is None or self.key_only else "type it again: it is never shown"
        secret = Input(compact=True, id="secret", password=True, placeholder=kept)
        yield self._named("secret", row("Secret", secret))
        yield text("key-file", "Key file", "", "the JSON file on this machine")
        yield self._named(
            "more", row("", Tick("certificates, addressing, encryption", self._sets_more(known), id="more"))
        )
        yield text("ca-bundle", "CA bundle", known.ca_bundle if known else "", "a PEM file on the service's machine")
        chosen = (("automatic", "auto"), ("in the path", "path"), ("in the host's name", "virtual"))
        yield self._choice("addressing", "Bucket named", chosen, known.addressing.value if known else "auto")
        ways_to = (("as the bucket says", "bucket"), ("with S3's keys", "s3"), ("with a key of KMS", "kms"))
        yield self._choice("encryption", "Encrypted", ways_to, known.encryption.value if known else "bucket")
        yield text("kms-key", "KMS key", known.kms_key if known else "", "ID or ARN; empty: the account's own")

    @staticmethod
    def _named(name: str, widget: Widget) -> Widget:
        widget.id = f"row-{name}"
        return widget

    def _choice(self, name: str, label: str, options: Sequence[tuple[str, str]], value: str) -> Widget:
        return self._named(name, row(label, Select(options, value=value, allow_blank=False, compact=True, id=name)))

    def _way_of(self, kind: str) -> str | None:
        """The way to sign in that is in use; None for another kind of store. A new credential is most likely a key."""
        if self.key_only:
            return "sas" if kind == "az" else "key"
        if self.known is None or self.known.signs_in is None or kind not in _KINDS_OF.get(self.known.kind, ()):
            return None
        return self.known.signs_in.value

    @staticmethod
    def _sets_more(known: StoreSettings | None) -> bool:
        return known is not None and bool(
            known.ca_bundle or known.kms_key or known.addressing.value != "auto" or known.encryption.value != "bucket"
        )

    def on_mount(self) -> None:
        self.show_kind()

    def focus_first(self) -> None:
        """Focuses the address, or where that stays, the way to sign in."""
        wanted = "store" if self.known is None else "try" if self.kind == "file" else f"{self.kind}-way"
        self.query_one(f"#{wanted}").focus()

    # -- display -----------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The typed address, or that of the existing store."""
        if self.known is not None:
            return self.known.uri.removeprefix("file://").rstrip("/")
        return self._entered("store")

    @property
    def kind(self) -> str:
        """The scheme of the address; empty while it names no kind of store."""
        from registry_tui.schemas.store_addresses import scheme_of

        return scheme_of(self.address)

    @property
    def way(self) -> str:
        """The chosen way to sign in."""
        return str(self.query_one(f"#{self.kind}-way", Select).value) if self.kind in _WAYS else ""

    @on(Input.Changed, "#store")
    @on(Select.Changed)
    @on(Tick.Changed, "#more")
    def show_kind(self) -> None:
        """Shows the fields for this kind of store and this way to sign in."""
        shown = self._shown()
        for each in self.query(".row"):
            name = (each.id or "row-store").removeprefix("row-")
            each.display = name == "store" or name in shown
        self.query_one("#addresses").display = not self.kind
        self.query_one("#endpoint", Input).placeholder = _ENDPOINTS.get(self.kind, "")
        label = _SECRETS.get("s3" if self.kind == "s3" else self.way, "Secret")
        self.query_one("#row-secret > Label", Label).update(label)

    def _shown(self) -> set[str]:
        if not self.kind:
            return set()
        if self.kind == "file":
            return {"artifacts", "try"}
        needed = next(fields for way, _, fields in _WAYS[self.kind] if way == self.way)
        if self.key_only:
            return {f"{self.kind}-way", *needed}
        names = {
            "endpoint",
            f"{self.kind}-way",
            *needed,
            "more",
            "artifacts",
            "try",
            *(_OF_S3 if self.kind == "s3" else ()),
        }
        if self.query_one("#more", Tick).value:
            names |= {"ca-bundle", *(_MORE_OF_S3 if self.kind == "s3" else ())}
        return names

    def _entered(self, field: str) -> str:
        return self.query_one(f"#{field}", Input).value.strip()

    # -- values ------------------------------------------------------------------------------------

    @property
    def changed_artifacts(self) -> bool | None:
        """The new location of artifacts; None while unchanged here: another user may have changed it meanwhile."""
        as_before = self.known is not None and self.known.artifacts is self.artifacts
        return None if as_before else self.artifacts

    @property
    def artifacts(self) -> bool:
        """Whether the run artifacts of new projects are in the store too."""
        return self.query_one("#artifacts", Tick).value

    def problem(self) -> str | None:
        """Why the fields do not describe a store, or None; nothing typed means the embedded one."""
        if not self.address:
            return None
        for field, words in (
            ("profile", "type the name of the profile"),
            ("access-key-id", "type the access key's ID"),
            ("tenant-id", "type the tenant's ID"),
            ("key-file", "type the name of the key file"),
            ("secret", "type the secret"),
        ):
            if field in self._shown() and not self.query_one(f"#{field}", Input).value:
                return words
        if self.way == "principal" and not self._entered("client-id"):
            return "type the client ID of the service principal"
        from pydantic import ValidationError

        from registry_tui.schemas.store_addresses import NotAnAddress

        try:
            self._store("a key" if self.way == "key" and self.kind == "gs" else self._secret())
        except NotAnAddress as error:
            return safe(str(error), 300)
        except ValidationError as error:
            return mistakes(error)[0]
        return None

    def _secret(self) -> str:
        return self.query_one("#secret", Input).value.strip() if "secret" in self._shown() else ""

    async def store(self) -> Store | None:
        """The described store; None for the embedded one. Raises RegistryError if a key file is not valid."""
        if not self.address:
            return None
        if "key-file" not in self._shown():
            return self._store(self._secret())
        from pydantic import ValidationError

        from registry_tui.client import RegistryError

        file, action = self._entered("key-file"), "Type where it is here"
        try:
            return self._store(await asyncio.to_thread(_read, file))
        except (OSError, UnicodeDecodeError) as error:
            raise RegistryError(f"The key file {file} cannot be read", action=action) from error
        except ValidationError as error:
            # Not as the cause: its text contains parts of the file.
            detail = f"The key file {file} is not the key of a service account: {mistakes(error)[0]}"
            raise RegistryError(detail, action=action) from None

    def _store(self, secret: str) -> Store:
        from registry_tui.schemas.store_addresses import store_at
        from registry_tui.schemas.stores import StoreSettings

        shown = self._shown()
        texts = ("endpoint", "region", "profile", "access-key-id", "tenant-id", "client-id", "ca-bundle", "kms-key")
        given = {name: self._entered(name) for name in texts if name in shown}
        given |= {
            name: str(self.query_one(f"#{name}", Select).value)
            for name in ("addressing", "encryption")
            if name in shown
        }
        fields = {name.replace("-", "_"): value for name, value in given.items()}
        return store_at(self.address, StoreSettings.model_validate({**fields, "sas": self.way == "sas"}), secret)


def _read(file: str) -> str:
    return Path(file).expanduser().read_text(encoding="utf-8").strip()
