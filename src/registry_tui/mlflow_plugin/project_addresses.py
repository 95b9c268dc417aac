"""`/projects/NAME` before every address of MLflow's server: for clients that cannot name a workspace in a header.

MLflow's clients before 3.10 send no `X-MLFLOW-WORKSPACE`; those in other languages and `curl` do not either. A tracking
URI with a path works with all of them. MLflow sees the same request with that header.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import anyio.to_thread
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND, INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST
from mlflow.server import handlers
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from registry_tui.contracts.mlflow_routes import PROJECTS_PATH, RouteError, RoutesFile
from registry_tui.mlflow_plugin.api_errors import error_response
from registry_tui.mlflow_plugin.artifacts import load_routes
from registry_tui.mlflow_plugin.asked import WORKSPACE_HEADER, asked

#: The web page's request for whether to offer a choice of workspaces. Not below a project's address.
_PAGE_ASKS = "/ajax-api/3.0/mlflow/server-info"


class ProjectAddresses:
    """Takes `/projects/NAME` off the path and names the project's MLflow workspace in the header instead."""

    def __init__(self, app: ASGIApp, routes: RoutesFile) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _raw_path(scope).startswith(f"{PROJECTS_PATH}/".encode()):
            await self._app(scope, receive, send)
            return
        segment, slash, rest = _raw_path(scope).removeprefix(f"{PROJECTS_PATH}/".encode()).partition(b"/")
        try:
            workspace = self._workspace(segment)
            inner = self._inside(scope, workspace, b"/" + rest)
        except MlflowException as error:
            await error_response(error)(scope, receive, send)
            return
        if not slash and scope["method"] in ("GET", "HEAD"):
            # The page's own addresses are relative to its folder.
            page = f"{PROJECTS_PATH}/{quote(workspace, safe='')}/"
            await RedirectResponse(page, HTTPStatus.TEMPORARY_REDIRECT)(scope, receive, send)
            return
        if inner["path"] == _PAGE_ASKS:
            payload: Mapping[str, Any] = await anyio.to_thread.run_sync(handlers.build_server_info_payload)
            await JSONResponse({**payload, "workspaces_enabled": False})(inner, receive, send)
            return
        await self._app(inner, receive, send)

    def _workspace(self, segment: bytes) -> str:
        try:
            name = unquote_to_bytes(segment).decode("utf-8")
        except UnicodeDecodeError as error:
            message = f"The project's name in the address {PROJECTS_PATH}/NAME is not UTF-8 text."
            raise MlflowException(message, error_code=INVALID_PARAMETER_VALUE) from error
        try:
            return load_routes(self._routes).project_named(name)
        except RouteError as error:
            raise MlflowException(str(error), error_code=RESOURCE_DOES_NOT_EXIST) from error

    def _inside(self, scope: Scope, workspace: str, raw_path: bytes) -> Scope:
        path = unquote_to_bytes(raw_path).decode("utf-8", "replace")
        if f"{path}/".startswith(f"{PROJECTS_PATH}/"):
            raise MlflowException("An address names one project only.", error_code=ENDPOINT_NOT_FOUND)
        inner = {**scope, "headers": list(scope["headers"]), "path": path, "raw_path": raw_path}
        inner["root_path"] = f"{PROJECTS_PATH}/{workspace}"
        headers = MutableHeaders(scope=inner)
        others = {given.strip() for given in headers.getlist(WORKSPACE_HEADER)} - {"", workspace}
        if others:
            message = (
                f"The address names the project with the MLflow workspace '{workspace}', and the header "
                f"X-MLFLOW-WORKSPACE (MLFLOW_WORKSPACE) names '{others.pop()}'. Leave one out, or let both name the "
                "same: `registry-tui env --project NAME` prints matching values."
            )
            raise MlflowException(message, error_code=INVALID_PARAMETER_VALUE)
        headers[WORKSPACE_HEADER] = workspace
        if (request := asked()) is not None:
            request.workspace, request.names_project = workspace, True
        return inner


def _raw_path(scope: Scope) -> bytes:
    """The path as it was sent: a `%2F` is part of a name."""
    raw = scope.get("raw_path")
    return raw if raw is not None else quote(scope["path"]).encode()
