"""The MLflow server of a project's tracking: this installation's, or an attached one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic_core import from_json

from registry_tui.contracts import run_rows
from registry_tui.contracts.run_origins import OriginRow
from registry_tui.schemas.base import Page
from registry_tui.schemas.tracking import Run
from registry_tui.service.adapters import mlflow_words
from registry_tui.service.adapters.attached_mlflow import Abilities, AttachedMlflow, abilities_of
from registry_tui.service.adapters.mlflow import Mlflow
from registry_tui.service.adapters.run_origins import origins_of_row, origins_of_run
from registry_tui.service.core.context import Service
from registry_tui.service.tracking.project import Attached, ProjectPlace

#: MLflow's server here is the newest that is supported, and has our plugin.
OWN = Abilities(reduced_curves=True)


@dataclass(frozen=True)
class FoundRuns:
    """A page of runs: the fields of each `schemas.tracking.Run`, and the token of the next page."""

    fields: list[dict[str, Any]]
    next_page_token: str | None

    def page(self) -> Page[Run]:
        """A page for responses, without validating MLflow's values again: that would double the time."""
        return Page(
            items=[Run.model_construct(**fields) for fields in self.fields], next_page_token=self.next_page_token
        )


class TrackingServer(Protocol):
    """Reads a project's experiments and runs, in the format of MLflow's REST API."""

    @property
    def abilities(self) -> Abilities:
        """The optional features of this server."""

    def call(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None
    ) -> dict[str, Any]:
        """One call. Raises Missing, InvalidInput, NotPermitted, WrongState, PartUnavailable."""

    def search_origins(self, asked: Mapping[str, Any]) -> list[OriginRow]:
        """The origins of runs, one page; `asked` are the fields of MLflow's `runs/search`. Raises as `call`."""

    def search_runs(self, asked: Mapping[str, Any]) -> FoundRuns:
        """A page of runs; `asked` are the fields of MLflow's `runs/search`. Raises as `call`."""

    def page_of_runs(self, asked: Mapping[str, Any]) -> bytes:
        """As `search_runs`: the JSON of a `Page[Run]`."""


@dataclass(frozen=True)
class _Own:
    mlflow: Mlflow
    workspace: str
    abilities: Abilities = OWN

    def call(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None
    ) -> dict[str, Any]:
        return self.mlflow.call(method, path, workspace=self.workspace, params=params, json=json)

    def search_origins(self, asked: Mapping[str, Any]) -> list[OriginRow]:
        answer = self.call("POST", run_rows.PATH, json={**asked, "origins": True})
        return [origins_of_row(row) for row in answer["runs"]]

    def search_runs(self, asked: Mapping[str, Any]) -> FoundRuns:
        page = from_json(self.page_of_runs(asked))
        return FoundRuns([mlflow_words.fields_of_item(item) for item in page["items"]], page["next_page_token"])

    def page_of_runs(self, asked: Mapping[str, Any]) -> bytes:
        return self.mlflow.call_for_bytes("POST", run_rows.PATH, workspace=self.workspace, json=asked)


@dataclass(frozen=True)
class _Elsewhere:
    client: AttachedMlflow
    abilities: Abilities

    def call(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None
    ) -> dict[str, Any]:
        return self.client.call(method, path, params=params, json=json)

    def search_origins(self, asked: Mapping[str, Any]) -> list[OriginRow]:
        answer = self.call("POST", "runs/search", json=asked)
        return [origins_of_run(run) for run in answer.get("runs", ())]

    def search_runs(self, asked: Mapping[str, Any]) -> FoundRuns:
        # A server elsewhere reads more runs at once slower than in parts, and a person waits for the first ones.
        most = min(asked["max_results"], run_rows.SMALL_PAGE)
        answer = self.call("POST", "runs/search", json={**asked, "max_results": most})
        fields = [mlflow_words.fields_of_run(run) for run in answer.get("runs", ())]
        return FoundRuns(fields, answer.get("next_page_token") or None)

    def page_of_runs(self, asked: Mapping[str, Any]) -> bytes:
        return self.search_runs(asked).page().model_dump_json().encode()


class Connections:
    """The client of each attached server in use, so that its connections stay open for a while."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._clients: dict[str, AttachedMlflow] = {}

    def to(self, attached: Attached) -> AttachedMlflow:
        """The client of a server; a new one after a change of its address or credentials."""
        with self._guard:
            client = self._clients.get(attached.id)
            if client is None or client.address != attached.address:
                # Requests under way finish with the old one.
                client = self._clients[attached.id] = AttachedMlflow(attached.address)
            return client


def client_of(service: Service, place: ProjectPlace) -> AttachedMlflow | None:
    """The client of the server elsewhere that a project shows; None for a project of this installation."""
    return None if place.attached is None else service.kept.of(Connections).to(place.attached)


def server_of(service: Service, place: ProjectPlace) -> TrackingServer:
    """The server that a project's experiments and runs are read from."""
    client = client_of(service, place)
    if client is None or place.attached is None:
        return _Own(service.mlflow, place.workspace)
    return _Elsewhere(client, abilities_of(place.attached.version))
