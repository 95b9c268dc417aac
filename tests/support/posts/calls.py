"""The POSTs of the API as calls: a running service, and one call with how often its result exists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from registry_tui.schemas.base import Page
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Project
from support.issuer import Provider
from support.little_mlflow import Server
from support.platforms import PATIENCE, PLAIN, Platform, wait_for
from support.registered import LoggedRun

Items = list[dict[str, Any]]

#: Of replicas that hold a small model.
MEMORY = 600 << 20


@dataclass
class Place:
    """A platform's service as plain HTTP, and the subjects of the calls."""

    platform: Platform
    http: httpx.Client
    project: Project
    run: LoggedRun
    registry: str
    #: Where people sign in.
    issuer: Provider
    #: A server that can be attached.
    stock: Server
    #: A model whose version 1 can be served, and a deployment that has served something else before.
    model: str
    deployment: str

    def send(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.http.post(path, json=body, headers=headers)

    def get(self, path: str, **params: Any) -> Any:
        return self.http.get(path, params=params).raise_for_status().json()

    def items(self, path: str, **params: Any) -> Items:
        found = self.get(path, page_size=200, **params)
        return list(found if isinstance(found, list) else Page[dict[str, Any]].model_validate(found).items)

    def finished(self, workflow: str) -> dict[str, Any]:
        """The workflow once it has ended."""

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = self.get(f"/workflows/{workflow}")
            return found if WorkflowStatus(found["status"]).finished else None

        return wait_for(ended, what=f"workflow {workflow}")

    def workflows(self, kind: str, resource: str | None = None) -> Items:
        found = self.items("/workflows", kind=kind)
        return [each for each in found if resource in (None, each["resource_id"], each["resource_name"])]


def connect(platform: Platform) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket), verify=PLAIN)
    return httpx.Client(transport=transport, base_url="http://registry-tui/api/v1", timeout=PATIENCE)


@dataclass(frozen=True)
class Call:
    """One POST: its address, its body, and how often its result exists afterwards."""

    path: str
    body: Any
    count: Callable[[], int]


def changes_of(place: Place, action: str, resource: str) -> Items:
    return [each for each in place.items("/events", action=action) if each["resource_id"] == resource]
