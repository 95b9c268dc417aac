"""The form that sets where the deployments of an environment run: on the registry's machine, or in a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import on
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from registry_tui.screens.base.form import Form, row, whole
from registry_tui.wording.backends import backend_said
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.places import Environment

#: The kinds of `schemas.places.BackendKind`.
_LOCAL, _RAY = "local", "ray"
_KINDS = (("on the registry's machine", _LOCAL), ("in a Ray cluster", _RAY))
#: The fields of clusters only.
_OF_CLUSTER = ("address", "token", "http-port")
_TRIED = "The cluster is tried first: address, token, and its version."


class ChangeBackend(Form["Environment"]):
    """Has the service try a cluster, and let the environment's deployments run there."""

    OK = "Change"
    WORK = "Changing where deployments run"

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self.environment = environment

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        return f"Deployments of {self.environment.name}"

    def compose_fields(self) -> Iterable[Widget]:
        now = self.environment.backend
        yield Static(f"They run {safe(backend_said(now), 300)}.", classes="note", markup=False)
        yield row("Run", Select(_KINDS, value=now.kind.value, allow_blank=False, compact=True, id="kind"))
        address = Input(now.address, compact=True, id="address", placeholder="http://HOST:8265, the dashboard's")
        yield row("Address", address)
        hint = "kept where none is typed" if now.address else "what `ray get-auth-token` prints; never shown again"
        yield row("Token", Input(compact=True, id="token", password=True, placeholder=hint))
        port = str(now.http_port or 8000)
        yield row("Port of calls", Input(port, compact=True, id="http-port", type="integer"))
        yield Static(_TRIED, id="tried", classes="hint", markup=False)
        yield Static("Stop deployments before they move.", id="about", classes="hint", markup=False)

    def on_mount(self) -> None:
        self._show_rows()
        self.query_one("#kind").focus()

    @property
    def _kind(self) -> str:
        return str(self.query_one("#kind", Select).value)

    @on(Select.Changed, "#kind")
    def _show_rows(self) -> None:
        """Shows the rows that have an effect."""
        for id_ in _OF_CLUSTER:
            parent = self.query_one(f"#{id_}").parent
            assert isinstance(parent, Widget)
            parent.display = self._kind == _RAY
        self.query_one("#tried").display = self._kind == _RAY
        self.check()
        self.fit()

    def _text(self, id_: str) -> str:
        return self.query_one(f"#{id_}", Input).value.strip()

    def problem_of(self) -> str | None:
        if self._kind == _LOCAL:
            return None
        if not self._text("address"):
            return "address: that of the cluster's dashboard, http://HOST:8265"
        if not self._text("token") and self._text("address").rstrip("/") != self.environment.backend.address:
            return "token: the output of `ray get-auth-token` on the cluster"
        if not 1 <= (whole(self._text("http-port")) or 0) <= 65_535:
            return "port of calls: a number from 1 to 65535"
        return None

    async def send(self) -> Environment:
        from registry_tui.schemas.places import BackendChange, BackendKind

        kind = BackendKind(self._kind)
        request = BackendChange(kind=kind)
        if kind is BackendKind.RAY:
            request = BackendChange(
                kind=kind,
                address=self._text("address"),
                token=self._text("token"),
                http_port=int(self._text("http-port")),
            )
        return await self.program.client.change_backend(self.environment.id, request)
