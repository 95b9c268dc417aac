"""Forms that attach an MLflow server, and change how an attached one is reached."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import on
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from registry_tui.screens.base.form import Form, Tick, row
from registry_tui.screens.base.names import name_problem
from registry_tui.wording.attached import signed_in
from registry_tui.wording.mistakes import mistakes
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.attached import AttachedServer

#: Characters.
MOST_CERTIFICATE = 200_000
#: The ways to sign in, with the fields that each needs.
_WAYS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("nobody has to sign in", "none", ()),
    ("a user and a password", "user", ("user", "password")),
    ("a bearer token", "token", ("token",)),
    ("AWS Signature V4", "aws", ("aws-profile", "aws-region")),
)
_AS_BEFORE = "before"
#: The problem of each empty field.
_MISSING = {
    "user": "type the user's name",
    "password": "type the user's password",
    "token": "type the token",
    "aws-profile": "type the name of the AWS profile",
    "aws-region": "type the server's region, e.g. eu-west-1",
    "certificate": "type the name of the file with the certificates",
}
#: The usual authorities, a file's certificates; of a server that has some, those too.
_TRUST = (("the usual authorities", "usual"), ("those of a PEM file on this machine", "file"))


class _ServerForm(Form["AttachedServer"]):
    """The rows that attaching and changing have in common; problems are shown at their fields."""

    # The first field would complain before anybody typed.
    AUTO_FOCUS = ""
    #: The server that is changed.
    server: AttachedServer | None = None

    def way_rows(self) -> Widget:
        """The rows for a server's address and how it is reached, close together: 24 lines are few."""
        return Vertical(*self._way_rows(), classes="close")

    def _way_rows(self) -> Iterable[Widget]:
        known = self.server
        url = "" if known is None else known.url
        yield from self._field("url", "Address", Input(url, compact=True, id="url", placeholder="https://host/prefix"))
        ways = [(words, way) for words, way, _ in _WAYS]
        if known is not None:
            ways.insert(0, (f"as before: {safe(signed_in(known), 60) or 'nobody'}", _AS_BEFORE))
        chosen = Select(ways, value=ways[0][1], allow_blank=False, compact=True, id="way")
        yield from self._field("way", "Sign in with", chosen)
        yield from self._field("user", "User", Input(compact=True, id="user"))
        for secret in ("password", "token"):
            masked = Input(compact=True, id=secret, password=True, placeholder="never shown again")
            yield from self._field(secret, secret.capitalize(), masked)
        profile, region = ("default", "") if known is None else (known.aws_profile or "default", known.aws_region or "")
        of_account = "of the account that runs the service"
        yield from self._field(
            "aws-profile", "AWS profile", Input(profile, compact=True, id="aws-profile", placeholder=of_account)
        )
        yield from self._field(
            "aws-region", "AWS region", Input(region, compact=True, id="aws-region", placeholder="eu-west-1")
        )
        reached = known is not None and (known.has_certificate or known.proxy is not None)
        yield row("", Tick("certificates, a proxy, or no TLS", reached, id="more"))
        trust = list(_TRUST)
        if known is not None and known.has_certificate:
            trust.insert(0, ("its own certificates, as before", _AS_BEFORE))
        choice = Select(trust, value=trust[0][1], allow_blank=False, compact=True, id="trust")
        yield self._named("trust", row("Trusts", choice))
        yield from self._field(
            "certificate", "PEM file", Input(compact=True, id="certificate", placeholder="/etc/ssl/our-ca.pem")
        )
        proxy = "" if known is None else known.proxy or ""
        yield from self._field(
            "proxy", "Proxy", Input(proxy, compact=True, id="proxy", placeholder="empty: none on the way there")
        )
        allowed = Tick("credentials may travel without TLS", id="allow-http")
        yield self._named("allow-http", row("", allowed))

    @staticmethod
    def _named(name: str, widget: Widget) -> Widget:
        widget.id = f"row-{name}"
        return widget

    def _field(self, name: str, label: str, field: Widget) -> Iterable[Widget]:
        """A row, with its problem below."""
        wrong = Static("", id=f"wrong-{name}", classes="hint -bad", markup=False)
        wrong.display = False
        yield self._named(name, Vertical(row(label, field), wrong, classes="named"))

    def on_mount(self) -> None:
        self._show_fields()
        self.query_one("#url" if self.server is not None else "#name").focus()

    # -- typed values ---------------------------------------------------------------------------------

    def typed(self, name: str) -> str:
        """The text of a field."""
        return self.query_one(f"#{name}", Input).value.strip()

    def _chosen(self, name: str) -> str:
        return str(self.query_one(f"#{name}", Select).value)

    @property
    def way(self) -> str:
        """How to sign in, as it is chosen."""
        return self._chosen("way")

    def _needed(self) -> tuple[str, ...]:
        fields = next((fields for _, way, fields in _WAYS if way == self.way), ())
        more = self.query_one("#more", Tick).value
        return (*fields, *(("certificate",) if more and self._chosen("trust") == "file" else ()))

    def _shown(self) -> set[str]:
        more = ("trust", "proxy", "allow-http") if self.query_one("#more", Tick).value else ()
        return {"name", "url", *self._needed(), *more}

    @on(Select.Changed)
    @on(Tick.Changed, "#more")
    def _show_fields(self) -> None:
        """Shows the fields that count for this way to sign in."""
        shown = self._shown()
        for each in (*_MISSING, "trust", "proxy", "allow-http"):
            self.query_one(f"#row-{each}").display = each in shown
        self.fit()

    def problem_of(self) -> str | None:
        if not self.typed("url"):
            return "type the server's address: its tracking URI, with its path prefix"
        return next((_MISSING[each] for each in self._needed() if not self.query_one(f"#{each}", Input).value), None)

    async def reached(self) -> dict[str, Any]:
        """The fields of a request for the server's address and how it is reached. Raises RegistryError."""
        way, shown = self.way, self._shown()
        secret = self.query_one("#password", Input).value if way == "user" else None
        return {
            "url": self.typed("url"),
            "user": self.typed("user") if way == "user" else None,
            "secret": self.typed("token") if way == "token" else secret,
            "certificate": await self._certificate() if "certificate" in shown else None,
            "proxy": (self.typed("proxy") or None) if "proxy" in shown else None,
            "aws_profile": self.typed("aws-profile") if way == "aws" else None,
            "aws_region": self.typed("aws-region") if way == "aws" else None,
            "allow_http": "allow-http" in shown and self.query_one("#allow-http", Tick).value,
        }

    async def _certificate(self) -> str:
        from registry_tui.client import RegistryError

        file = self.typed("certificate")
        try:
            return await asyncio.to_thread(_read, file)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            self._wrong("certificate", f"{file} cannot be read: {why}")
            raise RegistryError(f"The certificates cannot be read: {why}", action="Type where they are here") from error

    # -- problems -------------------------------------------------------------------------------------

    def check(self) -> None:
        """Removes the problems at fields once something else is typed."""
        super().check()
        if self.query_one("#problem").display and not self.complaint_holds():
            self._forget()

    def begin(self) -> None:
        self._forget()
        super().begin()

    def _forget(self) -> None:
        for each in self.query(".-bad").results(Static):
            each.display = False

    def _wrong(self, name: str, words: str) -> None:
        """Shows a problem at its field."""
        line = self.query_one(f"#wrong-{name}", Static)
        line.update(safe(words, 300))
        line.display = True

    def failed(self, error: Exception) -> None:
        """Like every form; also shows problems at their fields, and focuses the first of these."""
        from pydantic import ValidationError

        if isinstance(error, ValidationError):
            self.complain("\n".join(mistakes(error)))
            return
        super().failed(error)
        for field, words in super().elsewhere(error):
            if (name := self._field_of(field)) in self._said_at():
                self._wrong(name, words)
                self._focused = self.query_one(f"#{name}")

    def elsewhere(self, error: Exception) -> Iterable[tuple[str, str]]:
        found = super().elsewhere(error)
        return [(field, words) for field, words in found if self._field_of(field) not in self._said_at()]

    def _said_at(self) -> set[str]:
        """The visible rows that can show a problem."""
        return {each for each in (*self._shown(), "way") if self.query(f"#wrong-{each}")}

    def _field_of(self, name: str) -> str:
        """The field of this form that a field of the request comes from."""
        fields = {"secret": self.way if self.way == "token" else "password", "allow_http": "url"}
        found = fields.get(name, name.replace("_", "-"))
        return found if found in self._shown() or found not in _MISSING else "way"


class AttachServer(_ServerForm):
    """Attaches a server, which is contacted first; the result is the attached server."""

    TITLE_TEXT = "Attach MLflow server"
    OK = "Attach"
    WORK = "Attaching the server"

    def __init__(self, environments: Sequence[str]) -> None:
        super().__init__()
        self.environments = list(environments)

    def compose_fields(self) -> Iterable[Widget]:
        words = "Its experiments, runs and models appear as a project of this name. Nothing changes there."
        yield Static(words, classes="note", markup=False)
        placeholder = "lowercase letters, digits, hyphens"
        choices = [(name, name) for name in self.environments]
        chosen = Select(choices, value=self.environments[0], allow_blank=False, compact=True, id="environment")
        yield Vertical(
            *self._field("name", "Name", Input(compact=True, id="name", placeholder=placeholder)),
            row("Environment", chosen),
            classes="close",
        )
        yield self.way_rows()

    def problem_of(self) -> str | None:
        return name_problem(self.typed("name")) or super().problem_of()

    async def send(self) -> AttachedServer:
        from registry_tui.schemas.attached import AttachedServerCreate

        request = AttachedServerCreate(
            name=self.typed("name"), environment=self._chosen("environment"), **await self.reached()
        )
        return await self.program.client.attach_server(request)


class ChangeServer(_ServerForm):
    """Reads an attached server at another address or with other credentials; it is contacted there first."""

    OK = "Change"
    WORK = "Changing the server"

    def __init__(self, server: AttachedServer) -> None:
        super().__init__()
        self.server = server

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        return f"Change {self.title_name}"

    @property
    def title_name(self) -> str:
        """The name of the server's workspace."""
        return "" if self.server is None else self.server.name

    def compose_fields(self) -> Iterable[Widget]:
        words = "It has to be the same server: runs are known by their IDs there. It is asked first."
        yield Static(words, classes="note", markup=False)
        yield self.way_rows()

    async def send(self) -> AttachedServer:
        from registry_tui.schemas.attached import AttachedServerChange

        assert self.server is not None
        reached = await self.reached()
        without = []
        if self.way == "none" and signed_in(self.server):
            without.append("credentials")
        if self.server.has_certificate and self._chosen("trust") == "usual":
            without.append("certificate")
        if self.server.proxy is not None and not self.typed("proxy"):
            without.append("proxy")
        if reached["proxy"] == self.server.proxy:
            reached["proxy"] = None
        request = AttachedServerChange.model_validate({**reached, "without": without})
        return await self.program.client.change_server(self.server.workspace_id, request)


def _read(file: str) -> str:
    with Path(file).expanduser().open(encoding="utf-8") as opened:
        # The schema refuses more than that.
        return opened.read(MOST_CERTIFICATE + 1)
