"""Putting a model into a project as a logged model of a run, by MLflow's REST API, without MLflow."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx

from registry_tui.client.bundle_facts import RunFacts
from registry_tui.client.errors import RegistryError
from registry_tui.client.saving import Tell
from registry_tui.client.tls import context_of
from registry_tui.schemas.places import ProjectCredentials

_PIECE = 1 << 20
_EXPERIMENT = "imported models"
#: The folder of the model below the run's artifacts.
FOLDER = "model"
#: The tag of a run while its import is in progress: a digest of the name and the content.
_IMPORT = "import.unfinished"
#: Metrics and params of one request; MLflow takes 1 000 metrics and 100 params.
_BATCH = 100
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_TIMEOUT = httpx.Timeout(60.0, read=600.0)


@dataclass(frozen=True)
class Upload:
    """A file of a model: its size in bytes, and how to open it."""

    size: int
    open: Callable[[], BinaryIO]


async def log_files(
    credentials: ProjectCredentials,
    name: str,
    content: str,
    files: Mapping[str, Upload],
    facts: RunFacts,
    tell: Tell,
) -> str:
    """Creates a run in the project with these files in its folder `model`; returns the run's ID.

    An interrupted import of the same name and content (`Manifest.content`) is resumed, in its run, until `end` marks it
    as finished. A run with missing files is deleted. Raises RegistryError, OSError.
    """
    mark = _mark(name, content)
    async with _client(credentials) as http:
        experiment = await _experiment(http)
        info = await _begun(http, experiment, mark)
        if info is None:
            tags = [{"key": _IMPORT, "value": mark}, *_tags(facts.tags)]
            body = {"experiment_id": experiment, "run_name": f"import {name}"[:250], "tags": tags}
            info = (await _ask(http, "POST", "/api/2.0/mlflow/runs/create", json=body))["run"]["info"]
        run, root = str(info["run_id"]), str(info["artifact_uri"]).removeprefix("mlflow-artifacts:/")
        if info.get("status") == "FINISHED":
            return run
        try:
            total, done = sum(each.size for each in files.values()), 0
            for count, (path, each) in enumerate(files.items()):
                url = f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{root}/{FOLDER}/{path}')}"
                pieces = _pieces(each, lambda sent, done=done, count=count: tell(done + sent, total, count))  # type: ignore[misc]
                await _ask(http, "PUT", url, content=pieces, headers={"Content-Length": str(each.size)})
                done += each.size
            await _log(http, run, facts)
            ended = {"run_id": run, "status": "FINISHED"}
            await _ask(http, "POST", "/api/2.0/mlflow/runs/update", json=ended)
        except BaseException:
            with suppress(RegistryError):
                await _ask(http, "POST", "/api/2.0/mlflow/runs/delete", json={"run_id": run})
            raise
    return run


async def begun(credentials: ProjectCredentials, name: str, content: str) -> str | None:
    """The ID of the run of an interrupted import of this name and content. Raises RegistryError."""
    async with _client(credentials) as http:
        found = await _begun(http, await _experiment(http), _mark(name, content))
    return None if found is None else str(found["run_id"])


async def end(credentials: ProjectCredentials, run: str) -> None:
    """Marks an import as finished: the same one, started again, is another one. Raises RegistryError."""
    async with _client(credentials) as http:
        with suppress(RegistryError):  # it ended at the same time elsewhere
            await _ask(http, "POST", "/api/2.0/mlflow/runs/delete-tag", json={"run_id": run, "key": _IMPORT})


async def discard(credentials: ProjectCredentials, run: str) -> None:
    """Deletes a run whose model was not registered. Raises RegistryError."""
    async with _client(credentials) as http:
        await _ask(http, "POST", "/api/2.0/mlflow/runs/delete", json={"run_id": run})


def _mark(name: str, content: str) -> str:
    return hashlib.sha256(f"{content} {name}".encode()).hexdigest()


async def _begun(http: httpx.AsyncClient, experiment: str, mark: str) -> Mapping[str, Any] | None:
    """The run of an interrupted import."""
    body = {"experiment_ids": [experiment], "filter": f"tags.`{_IMPORT}` = '{mark}'", "max_results": 1}
    found = (await _ask(http, "POST", "/api/2.0/mlflow/runs/search", json=body)).get("runs", ())
    return found[0]["info"] if found else None


async def _log(http: httpx.AsyncClient, run: str, facts: RunFacts) -> None:
    """Logs metrics, params and data sets, so that a bill of materials made from the run has the same facts as the
    source."""
    at = int(time.time() * 1000)
    values = {key: value if math.isfinite(value) else _NOT_FINITE[str(value)] for key, value in facts.metrics.items()}
    metrics = [{"key": key, "value": value, "timestamp": at, "step": 0} for key, value in values.items()]
    params = _tags(facts.params)
    for start in range(0, max(len(metrics), len(params)), _BATCH):
        body = {"metrics": metrics[start : start + _BATCH], "params": params[start : start + _BATCH]}
        await _ask(http, "POST", "/api/2.0/mlflow/runs/log-batch", json={"run_id": run, **body})
    if facts.datasets:
        body = {"run_id": run, "datasets": list(facts.datasets)}
        await _ask(http, "POST", "/api/2.0/mlflow/runs/log-inputs", json=body)


def _tags(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


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
            message = str(answer.json().get("message", ""))
        except (ValueError, AttributeError):
            message = ""
        raise RegistryError(
            f"The project's MLflow server refuses that: {message[:500] or answer.reason_phrase}",
            action="`registry-tui projects show` prints your role there: an import needs the right to register",
        )
    return answer.json() if answer.content else {}
