"""Forwards requests to the service, MLflow's server or the gateway, and their responses, both streamed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from registry_tui.contracts.bodies import PIECE_SECONDS
from registry_tui.contracts.counts import counted
from registry_tui.gateway.access import Refusal
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import Ports
from registry_tui.service.core import events

#: Seconds for a connection to a part, and for the next bytes of a caller's body.
CONNECT_SECONDS, BODY_SECONDS = 5.0, PIECE_SECONDS
#: Seconds that an idle connection to a part is kept: MLflow's server ends its own after 5.
KEPT_SECONDS = 4.0
#: Headers about one connection (RFC 9110, 7.6.1), and those that only this process may send to the parts.
_ONE_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "expect"}
)
_OWN = frozenset({"host", "authorization", "cookie", "origin", "referer", "forwarded", "content-length"})
_OWN_PREFIXES = ("x-registry-", "x-forwarded-", "sec-", "x-mlflow-acting")
#: Response headers that are removed: the parts' own cookies and sign-in challenges are not for callers.
_NOT_ANSWERED = frozenset({"set-cookie", "www-authenticate", "server", "date", events.RECORDED.lower()})
#: Called with a response's status, and whether its part wrote an event, before the caller gets the response.
Heard = Callable[[int, bool], Awaitable[None]]


@dataclass(frozen=True)
class Upstream:
    """A part of the platform: its address, and the prefix of its paths at the listener."""

    name: str
    base: str
    prefix: str
    session: aiohttp.ClientSession


class Upstreams:
    """Connections to the three parts. Made and closed within a running event loop."""

    def __init__(self, home: Home, ports: Ports) -> None:
        options = {
            "timeout": aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            "auto_decompress": False,
            "cookie_jar": aiohttp.DummyCookieJar(),
            "skip_auto_headers": ("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        }
        kept = {"limit": 0, "keepalive_timeout": KEPT_SECONDS}
        socket = aiohttp.UnixConnector(path=str(home.service_socket), **kept)  # type: ignore[arg-type]
        network = aiohttp.TCPConnector(**kept)  # type: ignore[arg-type]
        self._local = aiohttp.ClientSession(connector=socket, **options)  # type: ignore[arg-type]
        self._network = aiohttp.ClientSession(connector=network, **options)  # type: ignore[arg-type]
        self.service = Upstream("service", "http://registry-tui", "", self._local)
        self.mlflow = Upstream("mlflow", ports.mlflow_url, "/mlflow", self._network)
        self.gateway = Upstream("gateway", ports.gateway_url, "", self._network)

    async def close(self) -> None:
        """Closes the connections."""
        await self._local.close()
        await self._network.close()


async def forward(
    request: web.Request,
    upstream: Upstream,
    headers: Mapping[str, str],
    heard: Heard,
    largest: int | None = None,
    whole: bytes | None = None,
) -> web.StreamResponse:
    """Forwards a request with our own `headers`, and its response, which is reported to `heard`. Raises Refusal.

    `largest`: bytes of a body; a larger one is refused. `whole`: the body, where it was read before.
    """
    target = request.raw_path.removeprefix(upstream.prefix) or "/"
    length = request.content_length
    if largest is not None:
        _require_length(request, largest)
    sent = _passed(request.headers, _OWN, _OWN_PREFIXES)
    sent.update(headers)
    body = _Body(request, largest)
    if whole is not None:
        sent["Content-Length"] = str(len(whole))
    elif length is not None:
        sent["Content-Length"] = str(length)
    try:
        answer = await upstream.session.request(
            request.method,
            URL(f"{upstream.base}{target}", encoded=True),
            headers=sent,
            data=whole if whole is not None else body.chunks() if request.body_exists else None,
            allow_redirects=False,
        )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        if body.refusal is not None:
            raise body.refusal from error
        raise Refusal(
            503,
            "part-unavailable",
            f"The part {upstream.name} of the platform does not answer",
            "Try again in a moment; on its machine, see `registry-tui status`",
        ) from error
    async with answer:
        await heard(answer.status, events.RECORDED in answer.headers)
        return await _answer(request, upstream, answer)


async def whole_body(request: web.Request, largest: int, seconds: float) -> bytes:
    """A body of at most `largest` bytes, once all of it came within that time. Raises Refusal."""
    _require_length(request, largest)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in _Body(request, largest).chunks():
                body += chunk
    except TimeoutError as error:
        raise _too_slow(f"The body did not come within {counted(seconds, 'second')}") from error
    return bytes(body)


async def _answer(request: web.Request, upstream: Upstream, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    passed = _passed(answer.headers, _NOT_ANSWERED)
    location = passed.get("Location", "").removeprefix(upstream.base)
    if location.startswith("/") and not location.startswith("//"):
        passed["Location"] = f"{upstream.prefix}{location}"
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=passed)
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
    except (aiohttp.ClientError, TimeoutError) as error:
        # The connection is broken for the caller too: a partial response must not look complete.
        raise ConnectionAbortedError(f"the part {upstream.name} broke off its answer") from error
    await response.write_eof()
    return response


def _passed(headers: Mapping[str, str], besides: frozenset[str], prefixes: tuple[str, ...] = ()) -> CIMultiDict[str]:
    named = {each.strip().lower() for each in headers.get("Connection", "").split(",")}
    left_out = _ONE_HOP | besides | named
    return CIMultiDict(
        (name, value)
        for name, value in headers.items()
        if name.lower() not in left_out and not (prefixes and name.lower().startswith(prefixes))
    )


class _Body:
    """A caller's body as it arrives, within its limits."""

    def __init__(self, request: web.Request, largest: int | None) -> None:
        self._request, self._largest = request, largest
        #: Why it was not taken whole.
        self.refusal: Refusal | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes. Raises Refusal for too many, or when the next do not come."""
        taken = 0
        content = self._request.content
        while True:
            try:
                chunk = await asyncio.wait_for(content.readany(), BODY_SECONDS)
            except TimeoutError as error:
                self.refusal = _too_slow(f"No more of the body came for {BODY_SECONDS:g} seconds")
                raise self.refusal from error
            if not chunk:
                return
            taken += len(chunk)
            if self._largest is not None and taken > self._largest:
                self.refusal = _too_large(self._largest)
                raise self.refusal
            yield chunk


def _require_length(request: web.Request, largest: int) -> None:
    if (request.content_length or 0) > largest:
        raise _too_large(largest)


def _too_slow(detail: str) -> Refusal:
    return Refusal(408, "body-timeout", detail, "Send it again over a better connection")


def _too_large(largest: int) -> Refusal:
    return Refusal(
        413, "too-large", f"The request's body is larger than {counted(largest, 'byte')}", "Send less at once"
    )
