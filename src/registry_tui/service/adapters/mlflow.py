"""MLflow's server over its REST API, as the service's own account."""

from __future__ import annotations

import json as json_
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import httpx
from pydantic_core import from_json

from registry_tui.platform.mlflow_account import MlflowAccount
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import Ports
from registry_tui.platform.secrets import Secrets
from registry_tui.schemas import mlflow_tags
from registry_tui.service.adapters.mlflow_rest import api_path, present, refusal_of, segment
from registry_tui.service.errors import AlreadyThere, Missing, PartUnavailable, ServiceError

#: The header that names the MLflow workspace (`mlflow.utils.workspace_utils`).
WORKSPACE_HEADER = "X-MLFLOW-WORKSPACE"

#: MLflow's own workspace: always there, never deleted.
DEFAULT_WORKSPACE = "default"

#: Seconds. A search over many runs may take long; SQLite's writer waits up to 20 s for its turn.
_TIMEOUT = httpx.Timeout(60.0, connect=3.0)
_LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=4.0)


class NotLetIn(ServiceError):
    """MLflow does not accept a name and password."""


class Mlflow:
    """Calls in any MLflow workspace. Threads may share it.

    Every method may raise a ServiceError: Missing, AlreadyThere, InvalidInput, NotPermitted or WrongState by MLflow's
    error code, PartUnavailable when MLflow does not respond (also while it restarts).
    """

    def __init__(self, ports: Ports, secrets: Secrets, home: Home | None = None) -> None:
        self._http = httpx.Client(
            base_url=ports.mlflow_url,
            auth=MlflowAccount(secrets, home),
            timeout=_TIMEOUT,
            limits=_LIMITS,
            # Connecting is retried once; a request that was sent is not sent again.
            transport=httpx.HTTPTransport(retries=1, limits=_LIMITS, verify=False, trust_env=False),
            trust_env=False,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        workspace: str | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        auth: tuple[str, str] | None = None,
        seen_by: str | None = None,
    ) -> dict[str, Any]:
        """One call, e.g. `call("POST", "runs/search", workspace="wine", json={…})`.

        A path without a leading slash is below `/api/2.0/mlflow/`. `auth` calls as somebody else. With `seen_by`
        registered models that this person may not see count as missing; nothing else changes.
        """
        content = self.call_for_bytes(
            method, path, workspace=workspace, params=params, json=json, auth=auth, seen_by=seen_by
        )
        if not content:
            return {}
        answer = from_json(content)  # three times as fast as `json`, and pages of runs are large
        return answer if isinstance(answer, dict) else {"items": answer}

    def call_for_bytes(
        self,
        method: str,
        path: str,
        *,
        workspace: str | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        auth: tuple[str, str] | None = None,
        seen_by: str | None = None,
    ) -> bytes:
        """As `call`: returns the unparsed JSON of the response."""
        headers = {WORKSPACE_HEADER: workspace} if workspace else {}
        if seen_by is not None:
            headers[mlflow_tags.ACTING_USER] = seen_by
        try:
            response = self._http.request(
                method,
                api_path(path),
                params=present(params),
                json=json,
                headers=headers,
                auth=auth if auth else httpx.USE_CLIENT_DEFAULT,
            )
        except httpx.HTTPError as error:
            raise _no_answer() from error
        if response.is_error:
            _raise(response)
        return response.content

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        workspace: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Iterator[httpx.Response]:
        """A GET whose body is read piece by piece. MLflow's artifact proxy does not support ranges."""
        headers = {WORKSPACE_HEADER: workspace} if workspace else {}
        try:
            with self._http.stream("GET", api_path(path), params=present(params), headers=headers) as response:
                if response.is_error:
                    response.read()
                    _raise(response)
                yield response
        except httpx.HTTPError as error:
            raise _no_answer() from error

    def answers(self) -> bool:
        """Whether MLflow's server is up and lets the service in; never raises."""
        try:
            self.call("GET", "users/current")
        except ServiceError:
            return False
        return True

    # -- workspaces ---------------------------------------------------------------------------

    def create_workspace(self, name: str, description: str = "") -> None:
        """Makes an MLflow workspace. One that already exists is kept."""
        if name == DEFAULT_WORKSPACE:
            return
        try:
            self.call("POST", "/api/3.0/mlflow/workspaces", json={"name": name, "description": description})
        except AlreadyThere:
            return

    def delete_workspace(self, name: str, *, cascade: bool = False) -> None:
        """Deletes an MLflow workspace; with `cascade` also its experiments and models.

        Raises WrongState when it holds any and `cascade` is off. Does nothing if it does not exist. MLflow's own
        `default` cannot be deleted; there `cascade` deletes the experiments and their runs.
        """
        if name == DEFAULT_WORKSPACE:
            if cascade:
                self._delete_experiments(name)
            return
        try:
            self.call(
                "DELETE",
                f"/api/3.0/mlflow/workspaces/{segment(name)}",
                params={"mode": "CASCADE" if cascade else "RESTRICT"},
            )
        except Missing:
            return

    def _delete_experiments(self, workspace: str) -> None:
        while found := self.call("POST", "experiments/search", workspace=workspace, json={"max_results": 1000}).get(
            "experiments", []
        ):
            for experiment in found:
                self.call(
                    "POST",
                    "experiments/delete",
                    workspace=workspace,
                    json={"experiment_id": experiment["experiment_id"]},
                )

    # -- the registry -------------------------------------------------------------------------

    def set_version_status(
        self, registry_workspace: str, name: str, version: int | str, status: str, message: str = ""
    ) -> None:
        """Sets a version's status with its reason, and whether it still waits for its archive."""
        self._set_version_tag(
            registry_workspace,
            name,
            version,
            mlflow_tags.SET_STATUS,
            json_.dumps({"status": status, "message": message}),
        )

    def set_version_tags(self, registry_workspace: str, name: str, version: int | str, tags: Mapping[str, str]) -> None:
        """Sets tags of a version, also those that only the service may write."""
        for key, value in tags.items():
            self._set_version_tag(registry_workspace, name, version, key, value)

    def _set_version_tag(self, workspace: str, name: str, version: int | str, key: str, value: str) -> None:
        body = {"name": name, "version": str(version), "key": key, "value": value}
        self.call("POST", "model-versions/set-tag", workspace=workspace, json=body)

    def search_pending_versions(self, registry_workspace: str) -> list[dict[str, Any]]:
        """MLflow's `ModelVersion` objects that wait for their archive, oldest first."""
        return list(
            self.search_versions(
                registry_workspace,
                filter=f"tags.`{mlflow_tags.PENDING}` = 'true'",
                order_by=["creation_timestamp ASC"],
            )
        )

    def search_versions(
        self, registry_workspace: str, *, filter: str = "", order_by: list[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """All versions of a registry that a filter of MLflow's language finds, page by page."""
        params: dict[str, Any] = {"filter": filter, "order_by": order_by or [], "max_results": 1000}
        while True:
            page = self.call("GET", "model-versions/search", workspace=registry_workspace, params=params)
            yield from page.get("model_versions", [])
            if not page.get("next_page_token"):
                return
            params["page_token"] = page["next_page_token"]


def _no_answer() -> PartUnavailable:
    return PartUnavailable(
        "MLflow's server does not answer",
        action="`registry-tui status` shows its state, `registry-tui logs mlflow` why",
    )


def _raise(response: httpx.Response) -> NoReturn:
    if response.status_code == 401:
        raise NotLetIn(
            "MLflow's server does not accept this user and password",
            action="The files secrets.json and mlflow/auth.db of this home do not belong together: restore both",
        )
    refusal = refusal_of(response.status_code, response.content)
    raise refusal.kind(refusal.message or f"MLflow's server answered {response.status_code}")
