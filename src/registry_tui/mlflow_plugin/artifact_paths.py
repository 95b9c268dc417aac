"""Paths of artifacts as MLflow's server receives them: kept byte by byte, and refused where they cannot be stored.

MLflow's own check decodes a path until nothing changes, so that a file named `a%20b` would be stored as `a b`.
"""

from __future__ import annotations

import json
import re
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from starlette.types import ASGIApp, Receive, Scope, Send

from registry_tui.contracts import file_paths

#: Routes whose path ends with an artifact's path, and the one that lists the folder in its query.
_ARTIFACT = re.compile(r"/mlflow-artifacts/(?:artifacts|presigned|mpu/[a-z]+)/", re.ASCII)
_FOLDER = re.compile(r"/mlflow-artifacts/artifacts", re.ASCII)
#: MLflow's Python client puts a file's name into the address as it is, so that a `?` in it begins the query.
_PYTHON_CLIENT = b"mlflow-python-client/"


def checked_path(path: str) -> str:
    """An artifact's path unchanged, in place of MLflow's `validate_path_is_safe`. Raises MlflowException."""
    given = re.sub("/+", "/", path.rstrip("/"))
    if (given or path) and (found := file_paths.problem(given)):
        raise _invalid(found, path)
    return path


def install(*modules: ModuleType) -> None:
    """Has MLflow's handlers and its permission checks use `checked_path`: all must read a path alike."""
    for module in modules:
        if not hasattr(module, "validate_path_is_safe"):
            raise RuntimeError(f"{module.__name__} of this MLflow checks paths in another way")
        vars(module)["validate_path_is_safe"] = checked_path


class ArtifactAddresses:
    """Around MLflow's app: the address of an artifact becomes the path that the client meant."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                scope = _checked(scope)
            except MlflowException as error:
                await _refuse(error, send)
                return
        await self._app(scope, receive, send)


def _checked(scope: Scope) -> Scope:
    """The request as it was meant. Raises MlflowException before MLflow's permission checks, which answer 403."""
    if found := _ARTIFACT.search(scope["path"]):
        scope = _meant(scope)
        checked_path(scope["path"][found.end() :])
    elif _FOLDER.search(scope["path"]):
        for folder in parse_qs(scope["query_string"].decode("latin-1")).get("path", ()):
            checked_path(folder)
    return scope


def _meant(scope: Scope) -> Scope:
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    query: bytes = scope["query_string"]
    agent = dict(scope["headers"]).get(b"user-agent", b"")
    try:
        path = unquote(raw.decode("utf-8"), errors="strict")
        if query and agent.startswith(_PYTHON_CLIENT):
            path, raw, query = f"{path}?{unquote(query.decode(), errors='strict')}", raw + b"%3F" + query, b""
    except UnicodeDecodeError as error:
        raise _invalid("must be UTF-8", scope["path"]) from error
    if scope["method"] == "PUT" and path.endswith("/"):
        raise _invalid("must end with a file's name", path)
    return {**scope, "path": path, "raw_path": raw, "query_string": query}


def _invalid(problem: str, path: str) -> MlflowException:
    return MlflowException(f"Invalid path: it {problem}: {path[-100:]!r}", error_code=INVALID_PARAMETER_VALUE)


async def _refuse(error: MlflowException, send: Send) -> None:
    body: dict[str, Any] = {"error_code": error.error_code, "message": error.message}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": error.get_http_status_code(), "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
