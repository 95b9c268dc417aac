"""Refuses everybody but the service while an upgrade may still be rolled back, which would lose their changes."""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from registry_tui.platform.unfinished import Doors

#: The end of the address at which the service checks a person's password; nothing is changed there.
_TRYING = "/mlflow/users/current"


class ShutDoors:
    """Around MLflow's application, which checks the passwords itself."""

    def __init__(self, app: ASGIApp, doors: Doors, administrator: str) -> None:
        self._app = app
        self._doors = doors
        self._administrator = administrator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._doors.problem() if scope["type"] == "http" else None
        trying = problem is not None and scope["method"] == "GET" and scope["path"].endswith(_TRYING)
        if problem is None or trying or _user(Headers(scope=scope)) == self._administrator:
            await self._app(scope, receive, send)
            return
        fields = {"error_code": "TEMPORARILY_UNAVAILABLE", "message": f"{problem.message}. {problem.action}"}
        answer = JSONResponse(fields, HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})
        await answer(scope, receive, send)


def _user(headers: Headers) -> str:
    _, _, credentials = headers.get("authorization", "").strip().partition(" ")
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode("utf-8").partition(":")[0]
    except (binascii.Error, ValueError):
        return ""
