"""The ASGI application of one replica: `/invocations`, `/ping`, `/health`, `/version`, as MLflow's server has them,
`/v2/…` of the Open Inference Protocol, `/v1/…` of OpenAI's chat, and the description of all that at `/openapi.json`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from registry_tui.contracts.counts import counted
from registry_tui.contracts.replica_spec import Limits
from registry_tui.serving import chat, describing
from registry_tui.serving.answers import Answer, Events, problem
from registry_tui.serving.open_inference import LENGTH_HEADER, Served, answer_get, error, in_words, infer, is_infer
from registry_tui.serving.scorer import Ask, QueueFull, Scorer
from registry_tui.serving.shortcuts import Shortcuts

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: A header of the platform's trial requests: their outcome does not count as that of real calls.
TRIAL = b"x-trial"
#: Seconds after which it is watched whether the caller hangs up: most answers are there before.
LOOK_AFTER = 0.05
#: The text of MLflow's scoring server when its own timeout is over.
TIMED_OUT = b"Request processing time exceeded limit"


class BodyTooLarge(Exception):
    """More bytes than a request may have."""


class Gone(Exception):
    """The caller hung up."""


class _Late(Exception):
    """A streamed response takes too long; the message names the timeout."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class ReplicaApp:
    """Serves one model; each response has its `name` in `X-Replica`."""

    def __init__(
        self,
        scorer: Scorer,
        *,
        name: str,
        mlflow_version: str,
        limits: Limits,
        model: Any,
        served: Served,
        example: bytes | None = None,
    ) -> None:
        self.scorer, self.limits, self.model, self.served = scorer, limits, model, served
        self._example = example
        self._version = mlflow_version.encode()
        self._name = name.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, self.scorer.close)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        extra: list[tuple[bytes, bytes]] = []
        if path == "/v2" or path.startswith("/v2/"):
            try:
                answer, extra = await self._open_inference(path, method, scope, receive)
            except Gone:
                return
        elif path.startswith("/v1/"):
            try:
                answer, extra = await self._chat(path, method, scope, receive)
            except Gone:
                return
        elif path == "/invocations" and method == "POST":
            try:
                answer, extra = await self._invoke(scope, receive)
            except Gone:
                return
        elif path in ("/ping", "/health") and method == "GET":
            stuck = not self._ready
            answer = Answer(503, b"The model does not come back from its last call\n") if stuck else Answer(200, b"\n")
        elif path == "/version" and method == "GET":
            answer = Answer(200, self._version)
        elif path == "/openapi.json" and method == "GET":
            answer = Answer(200, describing.description(self.model, self.served, self.limits, self._example))
        elif path in ("/invocations", "/ping", "/health", "/version", "/openapi.json"):
            answer = Answer(405, b'{"detail":"Method Not Allowed"}')
        else:
            answer = Answer(404, b'{"detail":"Not Found"}')
        headers = [(b"x-replica", self._name), *answer.headers, *extra]
        if answer.events is None:
            await _respond(send, answer, headers)
        else:
            await self._in_pieces(receive, send, answer, answer.events, headers)

    async def _in_pieces(
        self, receive: Receive, send: Send, answer: Answer, events: Events, headers: list[tuple[bytes, bytes]]
    ) -> None:
        """Sends a response while the model makes it, until it is complete, the caller leaves, or its time is over."""
        leaving = asyncio.ensure_future(_gone(receive))
        leaving.add_done_callback(lambda _: events.leave())
        until = asyncio.get_running_loop().time() + self.limits.stream_seconds
        last: bytes | None = None
        try:
            fields = [(b"content-type", answer.media_type.encode()), (b"cache-control", b"no-cache"), *headers]
            await send({"type": "http.response.start", "status": answer.status, "headers": fields})
            await send({"type": "http.response.body", "body": answer.body, "more_body": True})
            while not leaving.done() and (event := await self._next(events, until)) is not None:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        except asyncio.CancelledError:
            last = events.error("replica-ending", "The replica ends before the answer was whole", 503)
            raise
        except _Late as late:
            last = events.error(late.code, str(late), 504)
        finally:
            leaving.cancel()
            events.leave()
            await send({"type": "http.response.body", "body": last or b""})

    async def _next(self, events: Events, until: float) -> bytes | None:
        left = until - asyncio.get_running_loop().time()
        whole, piece = counted(self.limits.stream_seconds, "second"), counted(self.limits.seconds, "second")
        too_long = _Late("stream-too-long", f"The whole answer did not come within {whole}")
        if left <= 0:
            # With pieces that have arrived already, the timeout would never expire.
            raise too_long
        try:
            async with asyncio.timeout(min(left, self.limits.seconds)):
                return await events.next()
        except TimeoutError as error:
            if left < self.limits.seconds:
                raise too_long from error
            raise _Late("stream-timeout", f"The model made no further piece within {piece}") from error

    @property
    def _ready(self) -> bool:
        return not self.scorer.busy_beyond(self.limits.seconds + 1.0)

    async def _open_inference(
        self, path: str, method: str, scope: Scope, receive: Receive
    ) -> tuple[Answer, list[tuple[bytes, bytes]]]:
        parts = tuple(path.removeprefix("/v2").strip("/").split("/")) if path.strip("/") != "v2" else ()
        if method == "GET":
            mlflow_version = self._version.decode()
            return answer_get(parts, self.served, self.model, ready=self._ready, mlflow_version=mlflow_version), []
        if method != "POST" or not is_infer(parts, self.served):
            return error(404, f"There is no path {path} for {method}"), []
        length = dict(scope["headers"]).get(LENGTH_HEADER, b"").decode("latin-1")

        def ask(body: bytes, model: Any, shortcuts: Shortcuts | None) -> Answer:
            return infer(body, length, self.served, model, shortcuts)

        answer, extra = await self._invoke(scope, receive, by=ask)
        return answer if answer.status == 200 else in_words(answer), extra

    async def _chat(
        self, path: str, method: str, scope: Scope, receive: Receive
    ) -> tuple[Answer, list[tuple[bytes, bytes]]]:
        parts = tuple(path.removeprefix("/v1/").strip("/").split("/"))
        if method == "GET":
            return chat.answer_get(parts, self.served, self.model), []

        def ask(body: bytes, model: Any, shortcuts: Shortcuts | None) -> Answer:
            return chat.answer_post(parts, body, self.served, model, shortcuts=shortcuts, strict=self.scorer.strict)

        answer, extra = await self._invoke(scope, receive, by=ask)
        return answer if answer.status == 200 else chat.in_words(answer), extra

    async def _invoke(
        self, scope: Scope, receive: Receive, by: Ask | None = None
    ) -> tuple[Answer, list[tuple[bytes, bytes]]]:
        headers = dict(scope["headers"])
        try:
            body = await _body(receive, headers, self.limits.body_bytes)
        except BodyTooLarge:
            most = f"A request may have {counted(self.limits.body_bytes, 'byte')} at most"
            return problem(413, "body-too-large", "REQUEST_LIMIT_EXCEEDED", most), []
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        try:
            accept = headers.get(b"accept", b"").decode("latin-1")
            coming = self.scorer.score(body, content_type, accept=accept, counted=TRIAL not in headers, by=by)
            return await _unless_gone(receive, coming, self.limits.seconds), []
        except QueueFull:
            waiting = "Too many requests wait for this replica; try again in a moment"
            full = problem(429, "queue-full", "RESOURCE_EXHAUSTED", waiting)
            return full, [(b"retry-after", b"1")]
        except TimeoutError:
            return Answer(504, TIMED_OUT), []


async def _unless_gone(receive: Receive, answer: asyncio.Future[Answer], seconds: float) -> Answer:
    """The response, as long as the caller waits for it: after that it is not computed if it has not begun.

    Raises Gone, TimeoutError.
    """
    loop = asyncio.get_running_loop()
    leaving: asyncio.Task[None] | None = None

    def look() -> None:
        nonlocal leaving
        leaving = loop.create_task(_gone(receive))
        leaving.add_done_callback(lambda _: answer.cancel())

    timers = loop.call_later(LOOK_AFTER, look), loop.call_later(seconds, answer.cancel)
    try:
        return await answer
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise
        if leaving is not None and leaving.done():
            raise Gone from None
        raise TimeoutError from None
    finally:
        for timer in timers:
            timer.cancel()
        if leaving is not None:
            leaving.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise BodyTooLarge
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


async def _respond(send: Send, answer: Answer, extra: list[tuple[bytes, bytes]]) -> None:
    headers = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *extra,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _lifespan(receive: Receive, send: Send, close: Callable[[], None]) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await asyncio.to_thread(close)
            await send({"type": "lifespan.shutdown.complete"})
            return
