"""Downloads of artifacts through MLflow's server: sent while they are read, in constant memory.

MLflow's own route fetches the whole file into a temporary folder before it sends the first byte.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse
from mlflow.exceptions import MlflowException
from starlette.types import Receive, Scope, Send

from registry_tui.mlflow_plugin.addresses import ARTIFACTS_DESTINATION
from registry_tui.mlflow_plugin.artifact_paths import checked_path
from registry_tui.mlflow_plugin.artifacts import EnvironmentArtifactRepository
from registry_tui.mlflow_plugin.mlflow_private import file_headers, scoped_path


def install(router: APIRouter) -> None:
    """Puts our route before MLflow's own at the same addresses; call it before MLflow's app is made."""
    own = APIRouter()
    for prefix in ("/api", "/ajax-api"):
        own.add_api_route(f"{prefix}/2.0/mlflow-artifacts/artifacts/{{artifact_path:path}}", _download, methods=["GET"])
    router.routes[:0] = own.routes


async def _download(artifact_path: str) -> Response:
    try:
        path = scoped_path(checked_path(artifact_path))
        return await asyncio.to_thread(_answer, path)
    except MlflowException as error:
        return JSONResponse(json.loads(error.serialize_as_json()), error.get_http_status_code())


def _answer(path: str) -> Response:
    """The response, started: errors of reading the file are raised before its first byte."""
    with ExitStack() as until_sent:
        size, pieces = until_sent.enter_context(EnvironmentArtifactRepository(ARTIFACTS_DESTINATION).opened(path))
        first = next(pieces, b"")
        held = until_sent.pop_all()

    def sent() -> Iterator[bytes]:
        with held:
            yield first
            yield from pieces

    # The length lets a client detect a truncated file.
    return _Download(sent(), held, headers={**file_headers(path), "Content-Length": str(size)})


class _Download(StreamingResponse):
    """Releases the store also when the client has left."""

    def __init__(self, pieces: Iterator[bytes], held: ExitStack, *, headers: dict[str, str]) -> None:
        super().__init__(pieces, headers=headers)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await asyncio.to_thread(self._held.close)
