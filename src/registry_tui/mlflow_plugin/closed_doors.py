"""Endpoints of MLflow's server that reach beyond the caller's projects. They are closed for everybody.

MLflow runs them with the server's own rights, and checks only that the caller is signed in, or may change one thing of
their own.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import urlsplit

from flask import Flask, Response, request
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.server.assistant.api import assistant_router
from mlflow.store.artifact.artifact_repository_registry import get_registered_artifact_repositories
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from registry_tui.mlflow_plugin.addresses import ARTIFACTS_DESTINATION

#: Writes experiments, traces, prompts and more into whichever workspace the request names.
_DEMO = "/mlflow/demo/generate"
#: The registry of skills, which MLflow has from 3.18 on.
_SKILLS = re.compile(r"/(ajax-)?api/3\.0/mlflow/skills(/|$)")


class ClosedSkills:
    """Wraps MLflow's application to close its registry of skills.

    Its roles do not exist here, so MLflow itself would only report "denied".

    The routes are outside Flask's app, so its hooks do not see them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _SKILLS.match(scope["path"]) is None:
            await self._app(scope, receive, send)
            return
        message = (
            "MLflow's registry of skills is closed here: no role of a project says who may read or change skills. "
            "Keep them as a run's artifacts, or in another server."
        )
        fields = {"error_code": "PERMISSION_DENIED", "message": message}
        await JSONResponse(fields, HTTPStatus.FORBIDDEN)(scope, receive, send)


def install(app: Flask) -> None:
    """Closes them in MLflow's Flask app and in this process."""
    # It runs shell commands as the account of the server, for any caller on this machine.
    assistant_router.routes.clear()
    app.before_request(_refuse_demo)
    keep_to_own_artifacts()


def keep_to_own_artifacts() -> None:
    """Restricts this process to artifacts at our own address.

    MLflow opens any address that it finds in a trace, run or version, also one that a person set as a tag: files of
    this machine, other hosts, other stores.
    """
    repositories = get_registered_artifact_repositories()
    own = urlsplit(ARTIFACTS_DESTINATION).scheme
    repositories.update({scheme: _refuse_address for scheme in repositories if scheme != own})


def _refuse_address(artifact_uri: str, *_: Any, **__: Any) -> NoReturn:
    raise MlflowException(
        f"The server does not open '{artifact_uri}': it reads and writes only artifacts that lie in its own projects. "
        "Log the file again with `mlflow.log_artifact`.",
        error_code=PERMISSION_DENIED,
    )


def _refuse_demo() -> Response | None:
    if not request.path.endswith(_DEMO):
        return None
    error = MlflowException(
        "MLflow makes its demo inside the server, without asking who may do that, so it is closed here. "
        "`registry-tui demo` loads one.",
        error_code=PERMISSION_DENIED,
    )
    return Response(error.serialize_as_json(), error.get_http_status_code(), mimetype="application/json")
