"""The gateway's connections: bounded in number and time, and responses to malformed requests that do not repeat them.

aiohttp limits neither the time of a request's head nor the number of connections, and logs malformed requests with
their bytes, which may hold an access key or an API key.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from registry_tui.contracts.callers import source_of
from registry_tui.contracts.counts import counted
from registry_tui.gateway import heads, problems
from registry_tui.gateway.access import Refusal

logger = logging.getLogger(__name__)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

#: Seconds for a request's head, for taking a response, and for the next request on a kept-alive connection.
HEAD_SECONDS, ANSWER_SECONDS, KEPT_SECONDS = 10.0, 60.0, 75.0
#: Connections of one process: at most, and the files each may use (the caller's and the replica's); the rest of the
#: files that the process may open are its own.
MOST, FILES_EACH, OWN_FILES = 4000, 2, 100
#: Refused connections that may wait at the same time until the caller has read the reason.
MOST_REFUSED = 50


def allowed() -> int:
    """How many connections this process may have open, after it raised its limit of open files as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST * FILES_EACH + OWN_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(MOST, (soft - OWN_FILES) // FILES_EACH))


class Door:
    """Counts the connections of all ports of this process, and those of each caller where `each` limits them."""

    def __init__(self, most: int, each: int | None = None, *, part: str = "gateway") -> None:
        """`part` is the name of the answering component; its log has the errors."""
        self.part = part
        self.most, self.each = most, most if each is None else each
        self.open = 0
        #: Refused connections that are not closed yet: their callers may still read the reason.
        self.refused = 0
        self._of: Counter[str] = Counter()

    def enter(self, source: str) -> str:
        """Counts a connection. If there is no room for it, counts nothing and returns the reason as a sentence.

        So a caller that keeps connecting after a refusal takes no room from others.
        """
        if self._of[source] >= self.each:
            return f"{counted(self.each, 'connection')} of your address are open here, and no more are taken"
        if self.open >= self.most:
            return f"{counted(self.most, 'connection')} are open here, and no more are taken"
        self.open += 1
        self._of[source] += 1
        return ""

    def leave(self, source: str) -> None:
        """Uncounts a connection that has ended."""
        self.open -= 1
        self._of[source] -= 1
        if not self._of[source]:
            del self._of[source]


class Runner(web.AppRunner):
    """Serves an application on connections that `door` counts; a caller that hangs up ends its request."""

    __slots__ = ("_door",)

    def __init__(self, app: web.Application, door: Door, **options: Any) -> None:
        super().__init__(app, **options)
        self._door = door

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        options = {"keepalive_timeout": KEPT_SECONDS, "auto_decompress": False, "access_log": None}
        return _Server(self._door, plain, options)


def _without_unmet(handler: Handler) -> Handler:
    """Responds to expectations that cannot be met: aiohttp would do so before any middleware, in words of its own."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if (refusal := heads.unmet(request)) is None:
            return await handler(request)
        logger.info("refused a request: %s", refusal.code)
        answer = problems.response(refusal, heads.request_id(request))
        answer.force_close()
        return answer

    return handle


class _Server(web.Server):
    def __init__(self, door: Door, plain: web.Server, options: dict[str, Any]) -> None:
        super().__init__(
            _without_unmet(plain.request_handler),
            request_factory=plain.request_factory,
            handler_cancellation=True,
            loop=asyncio.get_running_loop(),
            **options,
        )
        self._door, self._options = door, options

    def __call__(self) -> web.RequestHandler:
        return _Connection(self._door, self, asyncio.get_running_loop(), self._options)


class _Connection(web.RequestHandler):
    def __init__(
        self, door: Door, server: web.Server, loop: asyncio.AbstractEventLoop, options: dict[str, Any]
    ) -> None:
        super().__init__(server, loop=loop, **options)
        self._door = door
        #: Of a connection that is counted as open.
        self._source: str | None = None
        self._refused = False
        self._begun = False
        self._head: asyncio.TimerHandle | None = None
        self._answer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        source = source_of(str(peer[0])) if isinstance(peer, tuple) else ""
        if problem := self._door.enter(source):
            self._refused = True
            self._door.refused += 1
            action = "Close connections that are not used, then try again"
            # Over TLS, a client that ignores the end of a connection keeps it open for seconds.
            at_once = self._door.refused > MOST_REFUSED
            self._refuse(Refusal(503, "too-many-connections", problem, action), at_once=at_once)
            return
        self._source = source
        self._head = self._loop.call_later(HEAD_SECONDS, self._head_is_late)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._source is not None:
            self._door.leave(self._source)
            self._source = None
        if self._refused:
            self._door.refused -= 1
            self._refused = False
        for timer in (self._head, self._answer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        requests = self._request_count
        super().data_received(data)
        if self._request_count != requests:
            self._begun = False
            if self._head is not None:
                self._head.cancel()
                self._head = None
        elif not requests or (self._waiter is not None and not self._waiter.done()):
            # A part of the next request's head, not of a body.
            self._begun = True
            if self._head is None:
                self._head = self._loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head = None
        refusal = Refusal(
            408,
            "head-timeout",
            f"The head of the request did not arrive within {HEAD_SECONDS:g} seconds",
            "Send the request line and all headers at once",
        )
        # A client that has sent nothing must not get a response to the request it may be sending just now.
        self._refuse(refusal if self._begun else None)

    def _refuse(self, refusal: Refusal | None, *, at_once: bool = False) -> None:
        transport = self.transport
        if transport is None:
            return
        if refusal is not None:
            transport.write(problems.raw(refusal))
        if at_once:
            # Before any close(): a transport over TLS that is being closed cannot be aborted any more.
            transport.abort()
        self.force_close()
        transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer = self._loop.call_later(ANSWER_SECONDS, self._answer_is_not_taken)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None

    def _answer_is_not_taken(self) -> None:
        self._answer = None
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Responds to a malformed request; nothing of it is logged or sent back."""
        logger.info("refused a malformed request: %s", type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer was sent already")
        if isinstance(exc, LineTooLong):
            refusal = Refusal(
                431,
                "head-too-long",
                f"The request line or a header is longer than {counted(self.max_line_size, 'byte')}",
                "Shorten the address and the headers",
            )
        elif status >= 500:
            refusal = problems.mistake(self._door.part)
        else:
            refusal = Refusal(
                400,
                "malformed-request",
                "The request is not valid HTTP/1.1",
                "Check the request line, the headers, Content-Length and the chunks of the body",
            )
        answer = problems.response(refusal)
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Logs the kind of an error only: its text may repeat the request."""
        error = kwargs.get("exc_info")
        logger.error("a connection ended because of %s", type(error).__name__)
