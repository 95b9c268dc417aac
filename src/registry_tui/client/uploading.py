"""Putting a model into a project as a run logs it, by MLflow's REST API, without MLflow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx

from registry_tui.client.errors import RegistryError
from registry_tui.client.saving import Tell
from registry_tui.client.tls import context_of
from registry_tui.schemas.places import ProjectCredentials

_PIECE = 1 << 20
_EXPERIMENT = "imported models"
#: The folder of the model below the run's artifacts.
FOLDER = "model"
_TIMEOUT = httpx.Timeout(60.0, read=600.0)


@dataclass(frozen=True)
class Upload:
    """A file of a model: its size in bytes, and how to open it."""

    size: int
    open: Callable[[], BinaryIO]


async def log_files(credentials: ProjectCredentials, name: str, files: Mapping[str, Upload], tell: Tell) -> str:
    """Makes a run in the project that holds these files in its folder `model`; returns the run's ID.

    A run whose files did not all come is deleted again. Raises RegistryError, OSError.
    """
    async with _client(credentials) as http:
        experiment = await _experiment(http)
        body = {"experiment_id": experiment, "run_name": f"import {name}"[:250]}
        info = (await _ask(http, "POST", "/api/2.0/mlflow/runs/create", json=body))["run"]["info"]
        run, root = str(info["run_id"]), str(info["artifact_uri"]).removeprefix("mlflow-artifacts:/")
        try:
            total, done = sum(each.size for each in files.values()), 0
            for count, (path, each) in enumerate(files.items()):
                url = f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{root}/{FOLDER}/{path}')}"
                content = _pieces(each, lambda sent, done=done, count=count: tell(done + sent, total, count))  # type: ignore[misc]
                await _ask(http, "PUT", url, content=content, headers={"Content-Length": str(each.size)})
                done += each.size
            ended = {"run_id": run, "status": "FINISHED"}
            await _ask(http, "POST", "/api/2.0/mlflow/runs/update", json=ended)
        except BaseException:
            with suppress(RegistryError):
                await _ask(http, "POST", "/api/2.0/mlflow/runs/delete", json={"run_id": run})
            raise
    return run


async def discard(credentials: ProjectCredentials, run: str) -> None:
    """Deletes a run whose model was not registered. Raises RegistryError."""
    async with _client(credentials) as http:
        await _ask(http, "POST", "/api/2.0/mlflow/runs/delete", json={"run_id": run})


def _client(credentials: ProjectCredentials) -> httpx.AsyncClient:
    headers = {"X-MLFLOW-WORKSPACE": credentials.mlflow_workspace}
    auth = None
    if credentials.token:
        headers["Authorization"] = f"Bearer {credentials.token}"
    else:
        auth = (credentials.username, credentials.password)
    tls = context_of(credentials.certificate) if credentials.tracking_uri.startswith("https:") else False
    return httpx.AsyncClient(
        base_url=credentials.tracking_uri,
        auth=auth,
        headers=headers,
        timeout=_TIMEOUT,
        verify=tls,
        trust_env=tls is not False,
    )


async def _experiment(http: httpx.AsyncClient) -> str:
    params = {"experiment_name": _EXPERIMENT}
    with suppress(RegistryError):
        found = await _ask(http, "GET", "/api/2.0/mlflow/experiments/get-by-name", params=params)
        return str(found["experiment"]["experiment_id"])
    made = await _ask(http, "POST", "/api/2.0/mlflow/experiments/create", json={"name": _EXPERIMENT})
    return str(made["experiment_id"])


async def _pieces(upload: Upload, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
    done = 0
    with await asyncio.to_thread(upload.open) as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
            done += len(piece)
            sent(done)


async def _ask(http: httpx.AsyncClient, method: str, path: str, **options: Any) -> Any:
    try:
        answer = await http.request(method, path, **options)
    except httpx.HTTPError as error:
        raise RegistryError(
            f"The project's MLflow server does not answer ({type(error).__name__})",
            action="See `registry-tui status`, then import it again",
        ) from error
    if answer.is_error:
        try:
            said = str(answer.json().get("message", ""))
        except (ValueError, AttributeError):
            said = ""
        raise RegistryError(
            f"The project's MLflow server refuses that: {said[:500] or answer.reason_phrase}",
            action="`registry-tui projects show` tells your role there: who imports needs to register",
        )
    return answer.json() if answer.content else {}
