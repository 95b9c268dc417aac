"""Middleware around every request: its ID, its size, its line in the log, and the handler of unexpected errors."""

from __future__ import annotations

import logging
import re
import time
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry_tui.contracts import request_ids, web_pages
from registry_tui.contracts.api_keys import redacted
from registry_tui.contracts.bodies import PIECE_SECONDS, UNREAD_SECONDS, Unread, in_time, taken_in_time
from registry_tui.platform.unfinished import Doors
from registry_tui.service.core import reached
from registry_tui.service.http.problems import (
    BodyStalled,
    RequestTooLarge,
    foreign_page,
    not_yet,
    unexpected,
    wrong_type,
)

logger = logging.getLogger("registry_tui.access")

_USER = re.compile(r"[A-Za-z0-9._@+-]{1,64}")

HEALTH = "/api/v1/health"
#: Below it, bodies are files that pass through, of any size.
_FILES = "/api/v1/internal/artifacts/"
#: Addresses that the platform's other parts call; these parts let nobody in while the doors are shut.
_OF_PARTS = (HEALTH, "/api/v1/internal/")

#: The ID of the request that this code runs for, for log lines.
current_request_id: ContextVar[str] = ContextVar("current_request_id", default="-")


class RequestMiddleware:
    """Takes `X-Request-ID` or makes one; refuses foreign web pages, and people while `doors` are shut; limits the body;
    logs the access; turns unexpected exceptions into problem details.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_request_bytes: int,
        doors: Doors,
        piece_seconds: float = PIECE_SECONDS + 30.0,
        unread_seconds: float = UNREAD_SECONDS,
    ) -> None:
        """`piece_seconds` without a byte end a request: the listener and MLflow's server give up on a client sooner.

        `unread_seconds` in which a client reads nothing end a response.
        """
        self._app = app
        self._doors = doors
        self._max = max_request_bytes
        self._seconds, self._unread = piece_seconds, unread_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Routes see the path as it was sent and decode each part: see `routes.Segment`.
        scope["path"] = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        headers = Headers(scope=scope)
        request_id = request_ids.request_id(headers.get(request_ids.HEADER, ""))
        scope.setdefault("state", {})["request_id"] = request_id
        token = current_request_id.set(request_id)
        reached_at = reached.address.set(headers.get(reached.HEADER, ""))
        began = time.monotonic()
        status = 0
        passed = taken_in_time(send, self._unread)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answer = MutableHeaders(scope=message)
                answer[request_ids.HEADER] = request_id
                answer["X-Content-Type-Options"] = "nosniff"
                answer.setdefault("Cache-Control", "no-store")
            await passed(message)

        try:
            refusal = _refusal(scope, headers, request_id) or self._shut(scope["path"], request_id)
            pieces = in_time(receive, self._seconds, lambda: BodyStalled(self._seconds))
            taken = pieces if scope["path"].startswith(_FILES) else self._limited(headers, pieces)
            await (refusal or self._app)(scope, taken, send_with_id)
        except Unread:
            pass  # uvicorn breaks off an unfinished response
        except Exception as error:
            if status:  # the response is under way: it can only be cut off
                raise
            await unexpected(error, scope["path"], request_id)(scope, receive, send_with_id)
        finally:
            user = headers.get("x-registry-user", "")
            # Probes request health all the time.
            level = logging.DEBUG if scope["path"] == HEALTH and status == 200 else logging.INFO
            logger.log(
                level,
                "%s %s %s %.0f ms%s",
                scope["method"],
                redacted(scope["path"].encode("unicode_escape").decode())[:500],
                status or "cut off",
                (time.monotonic() - began) * 1000,
                f" as {redacted(user)}" if _USER.fullmatch(user) else "",
            )
            current_request_id.reset(token)
            reached.address.reset(reached_at)

    def _shut(self, path: str, request_id: str) -> Response | None:
        """The response to people while an upgrade may still be reverted."""
        problem = None if path.startswith(_OF_PARTS) else self._doors.problem()
        return None if problem is None else not_yet(problem, path, request_id)

    def _limited(self, headers: Headers, receive: Receive) -> Receive:
        """Counts the received bytes, since a body may come without a length."""
        announced = headers.get("content-length", "0")
        too_large = not announced.isdigit() or int(announced) > self._max
        arrived = 0

        async def limited() -> Message:
            nonlocal arrived
            if too_large:
                raise RequestTooLarge(self._max)
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self._max:
                raise RequestTooLarge(self._max)
            return message

        return limited


def _refusal(scope: Scope, headers: Headers, request_id: str) -> Response | None:
    """The refusal of a request that another site's web page could send; None for others."""
    if (problem := web_pages.problem(scope["method"], headers, on_socket=True)) is not None:
        return foreign_page(problem, scope["path"], request_id)
    if scope["method"] not in ("GET", "HEAD") and web_pages.is_simple(content_type := headers.get("content-type", "")):
        return wrong_type(content_type, scope["path"], request_id)
    return None


class RequestIdFilter(logging.Filter):
    """Gives every log record the ID of the request it belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True
