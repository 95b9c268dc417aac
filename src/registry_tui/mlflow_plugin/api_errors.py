"""Every error of MLflow's API as JSON with `error_code` and `message`, which all of its clients read.

MLflow itself returns some as bare text or HTML, and "Permission denied" for a missing resource: its auth app looks for
the permission before a handler looks for the resource.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any

import anyio.to_thread
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry_tui.contracts import request_ids, web_pages
from registry_tui.contracts.bodies import PIECE_SECONDS, UNREAD_SECONDS, Unread, in_time, taken_in_time
from registry_tui.contracts.counts import counted
from registry_tui.mlflow_plugin.asked import DEFAULT_WORKSPACE, REACHED_HEADER, WORKSPACE_HEADER, Asked, answering
from registry_tui.mlflow_plugin.database_errors import refused

_logger = logging.getLogger(__name__)

#: For responses without a code. Only names that MLflow 2.14 knows: its client fails at any other.
_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    405: "ENDPOINT_NOT_FOUND",
    409: "RESOURCE_CONFLICT",
    422: "INVALID_PARAMETER_VALUE",
    429: "REQUEST_LIMIT_EXCEEDED",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
#: Headers that describe the body, so they go with a body that is replaced.
_OF_BODY = frozenset({b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"})
#: Bytes. A longer body is sent on as it is; no error of MLflow's is that long.
_LONGEST = 1 << 20
#: With which MLflow answers where its code expects no refusal of a database: its auth app the first two.
_HIDE_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.INTERNAL_SERVER_ERROR)
#: Headers that MLflow decodes as UTF-8 before anything else.
_DECODED = ("host", "origin")
#: Below it, `Authorization` may hold the key of a language model's provider.
#: The whole text of a refusal by MLflow's auth app.
_BARE_REFUSAL = "Permission denied"
_MODEL_GATEWAY = "/gateway/"


class Stalled(MlflowException):  # type: ignore[misc]
    """The rest of a request's body does not arrive."""

    def __init__(self, seconds: float) -> None:
        passed = counted(seconds, "second")
        super().__init__(
            f"No more of the request's body came for {passed}. Send it again over a better connection.",
            error_code=BAD_REQUEST,
        )

    def get_http_status_code(self) -> int:
        """408, for which MLflow has no code."""
        return HTTPStatus.REQUEST_TIMEOUT


class ApiErrors:
    """The outermost part of MLflow's server.

    It waits for so many `seconds` for the next piece of a body, and `unread` for a client to take one of a response.

    `explain` returns the error that a 403 stands for, or None if the response has the reason itself; its second
    argument is whether the response gives no reason. It runs in a thread.
    `hosts` returns names under which this machine is known besides its own.
    """

    def __init__(
        self,
        app: ASGIApp,
        explain: Callable[[Asked, bool], MlflowException | None],
        hosts: Callable[[], Collection[str]],
        seconds: float = PIECE_SECONDS,
        unread: float = UNREAD_SECONDS,
    ) -> None:
        self._app = app
        self._explain = explain
        self._hosts = hosts
        self._seconds = seconds
        self._unread = unread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = MutableHeaders(scope=scope)
        number = request_ids.request_id(headers.get(request_ids.HEADER, ""))
        send = _with_id(taken_in_time(send, self._unread), number)
        if (unreadable := _unreadable(headers)) is not None:
            message = f"The header {unreadable} is not UTF-8 text."
            await _json_error(HTTPStatus.BAD_REQUEST, message)(scope, receive, send)
            return
        if (refusal := _foreign_page(scope["method"], headers, self._hosts())) is not None:
            await _json_error(HTTPStatus.FORBIDDEN, refusal)(scope, receive, send)
            return
        if not _is_basic(headers.get("authorization")) and not scope["path"].startswith(_MODEL_GATEWAY):
            # MLflow answers 500 to other schemes. Without the header, it requires name and password.
            del headers["authorization"]
        workspace = headers.get(WORKSPACE_HEADER, "").strip()
        length = headers.get("content-length", "")
        request = Asked(
            workspace or DEFAULT_WORKSPACE,
            names_project=bool(workspace),
            length=int(length) if length.isdecimal() else None,
            elsewhere=REACHED_HEADER in headers,
            id=number,
        )
        held_back = _HeldBack(self._replace, request, scope, receive, send)

        def stalled() -> Exception:
            request.stalled = Stalled(self._seconds)
            return request.stalled

        with answering(request):
            try:
                await self._app(scope, in_time(receive, self._seconds, stalled), held_back.send)
            except Stalled as error:
                if not held_back.begun:
                    await error_response(error)(scope, receive, send)
            except Unread:
                pass  # uvicorn aborts an unfinished response
            except Exception as error:
                if held_back.begun or (refusal := refused(error)) is None:
                    raise
                _logger.warning("Request %s: %s", number, error)
                await error_response(refusal)(scope, receive, send)

    async def _replace(self, request: Asked, scope: Scope, start: Message, body: bytes) -> Response | None:
        """The response that replaces MLflow's error, or None to keep it."""
        if request.stalled is not None:  # MLflow answers 500 where its code reads the body itself
            return error_response(request.stalled)
        status = start["status"]
        if request.refusal is not None and status in _HIDE_REFUSALS:
            return error_response(request.refusal)
        fields = _fields(Headers(raw=start["headers"]), body)
        if status == HTTPStatus.FORBIDDEN:
            bare = _message(scope, status, fields, body) == _BARE_REFUSAL
            better = await anyio.to_thread.run_sync(self._explain, request, bare)
            if better is not None:
                return error_response(better)
        if fields is not None and {"error_code", "message"} <= fields.keys():
            return None
        response = _json_error(status, _message(scope, status, fields, body), fields)
        kept = [(name, value) for name, value in start["headers"] if name.lower() not in _OF_BODY]
        response.raw_headers = [*response.raw_headers, *kept]
        return response


class _HeldBack:
    """Holds an error back until its body is complete; everything else goes through at once."""

    def __init__(self, replace: Any, request: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        self._replace = replace
        self._request = request
        self._scope = scope
        self._receive = receive
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()
        #: Whether a part of the response has gone out.
        self.begun = False

    async def send(self, message: Message) -> None:
        """ASGI's `send` for the app inside."""
        if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST:
            self._start = {**message, "headers": list(message.get("headers", []))}
            return
        if self._start is None:
            self.begun = True
            await self._send(message)
            return
        self._body += message.get("body", b"")
        more = message.get("more_body", False)
        if more and len(self._body) <= _LONGEST:
            return
        start, self._start = self._start, None
        replaced = None if more else await self._replace(self._request, self._scope, start, bytes(self._body))
        self.begun = True
        if replaced is not None:
            await replaced(self._scope, self._receive, self._send)
            return
        await self._send(start)
        await self._send({"type": "http.response.body", "body": bytes(self._body), "more_body": more})


def _with_id(send: Send, number: str) -> Send:
    """The same `send`, whose responses have the request's ID."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": list(message.get("headers", []))}
            MutableHeaders(scope=message)[request_ids.HEADER] = number
        await send(message)

    return sending


def error_response(error: MlflowException) -> Response:
    """The response that MLflow gives to an error of its own."""
    # The rest of a body that stands still would keep the connection.
    headers = {"Connection": "close"} if isinstance(error, Stalled) else None
    return Response(error.serialize_as_json(), error.get_http_status_code(), headers, media_type="application/json")


def _json_error(status: int, message: str, fields: dict[str, Any] | None = None) -> Response:
    code = _CODES.get(status, "BAD_REQUEST" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "INTERNAL_ERROR")
    return JSONResponse({"error_code": code, **(fields or {}), "message": message}, status)


def _fields(headers: Headers, body: bytes) -> dict[str, Any] | None:
    if "json" not in headers.get("content-type", ""):
        return None
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _message(scope: Scope, status: int, fields: dict[str, Any] | None, body: bytes) -> str:
    if fields is not None:
        given = fields.get("message") or fields.get("detail") or fields.get("error") or fields
        return given if isinstance(given, str) else json.dumps(given)
    if status == HTTPStatus.NOT_FOUND:
        return f"MLflow's API has no address {scope['path']}."
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{scope['method']} is not possible at {scope['path']}."
    text = body.decode("utf-8", "replace").strip()
    if text and not text.startswith("<"):
        return text
    known = next((each for each in HTTPStatus if each == status), HTTPStatus.BAD_REQUEST)
    return known.description or known.phrase


def _unreadable(headers: Headers) -> str | None:
    """The name of a header that MLflow cannot decode."""
    for name in _DECODED:
        try:
            headers.get(name, "").encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            return name
    return None


def _foreign_page(method: str, headers: Headers, hosts: Collection[str]) -> str | None:
    """Why a request is refused as one of another site's page.

    MLflow itself lets pages of every other port of this machine act with the browser's stored password.
    """
    problem = web_pages.problem(method, headers, hosts)
    return None if problem is None else f"{problem}. {web_pages.ACTION}."


def _is_basic(authorization: str | None) -> bool:
    """Whether MLflow can read a name and a password from the header, or the header is missing."""
    if authorization is None:
        return True
    scheme, _, credentials = authorization.strip().partition(" ")
    try:
        name, colon, _ = base64.b64decode(credentials.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and bool(name and colon)
