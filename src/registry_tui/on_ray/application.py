"""The Serve application: `registry_tui.on_ray.application:application`. Each of its replicas serves one of ours."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import yarl
from ray import serve
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from registry_tui.contracts import event_stream
from registry_tui.contracts.carried import REPLICA_HEADER, SECRET_HEADER, STATUS_PATH, Carried
from registry_tui.on_ray.preparing import CannotPrepare
from registry_tui.on_ray.process import ReplicaProcess

#: The name of the one deployment of each application.
DEPLOYMENT = "replica"
#: Headers that are about one connection only.
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "content-length"})
#: Headers that are not passed on: those, and those that only this side sets.
_OWN = _HOP | {SECRET_HEADER.lower(), REPLICA_HEADER.lower()}
#: Seconds between checks whether a restarted process responds.
_LOOK_EVERY = 0.05
#: Seconds after the end of its connections in which a process has ended, if it does.
_ENDS_WITHIN = 2.0


class CannotServe(RuntimeError):
    """Why a replica cannot serve; its text is JSON, so that the service finds the reason in Serve's message."""

    def __init__(self, reason: str, lines: list[Any]) -> None:
        super().__init__("registry-tui:" + json.dumps({"reason": reason, "lines": lines}) + ":registry-tui")


class Replica:
    """Starts the replica's process in `reconfigure`, and passes requests to it."""

    def __init__(self) -> None:
        self._process: ReplicaProcess | None = None
        self._session: aiohttp.ClientSession | None = None

    async def reconfigure(self, values: Mapping[str, Any]) -> None:
        """Gets the model to serve; later calls bring newer addresses of its files. Raises CannotServe."""
        carried = Carried.from_values(values)
        if self._process is not None:
            await asyncio.to_thread(self._process.renew, carried)
            return
        process = ReplicaProcess(carried)
        try:
            await asyncio.to_thread(process.begin)
        except CannotPrepare as error:
            lines = process.status(0)["lines"]
            await asyncio.to_thread(process.stop)
            raise CannotServe(str(error), lines[-200:]) from None
        self._process = process
        # No limit here: Serve limits the requests under way.
        connector = aiohttp.UnixConnector(path=process.socket, limit=0, keepalive_timeout=60.0)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)

    def check_health(self) -> None:
        """Raises CannotServe once the process does not restart any more; Serve then replaces this replica."""
        if self._process is not None and self._process.gave_up:
            raise CannotServe(self._process.gave_up, self._process.status(0)["lines"][-200:])

    async def __call__(self, request: Request) -> Response:
        process, session = self._process, self._session
        if process is None or session is None:
            return Response(status_code=503)
        if not process.accepts(request.headers.get(SECRET_HEADER, "")):
            return Response("Call the registry's gateway\n", status_code=401, media_type="text/plain")
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        if path == STATUS_PATH:
            return self._status(process, request)
        return await self._pass_on(process, session, request, path)

    def _status(self, process: ReplicaProcess, request: Request) -> Response:
        context = serve.get_replica_context()
        behind = json.loads(request.query_params.get("behind", "{}"))
        id_ = context.replica_id.unique_id
        return Response(
            json.dumps({"id": id_, "index": context.rank.rank, **process.status(int(behind.get(id_, 0)))}),
            media_type="application/json",
        )

    async def _pass_on(
        self, process: ReplicaProcess, session: aiohttp.ClientSession, request: Request, path: str
    ) -> Response:
        """The process's response. While it restarts, requests wait here; others go to other replicas."""
        body = await request.body()
        query = request.scope["query_string"].decode("latin-1")
        headers = {name: value for name, value in request.headers.items() if name not in _OWN}
        if query:
            path = f"{path}?{query}"
        until = time.monotonic() + process.limits.seconds
        closed = False
        while not process.gave_up and time.monotonic() < until:
            start = process.starts
            try:
                return await self._ask(process, session, request.method, path, headers, body)
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(_LOOK_EVERY)  # it has not seen the request
            except aiohttp.ClientError:
                # If the process ended with the request, the gateway may send that once more. It may arrive here again,
                # and has to find that the process has ended.
                if await _has_ended(process, start) or closed:
                    break
                closed = True  # an idle connection, that the process closed
        return Response(status_code=503)

    async def _ask(
        self,
        process: ReplicaProcess,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Response:
        url = yarl.URL(f"http://replica{path}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=None)
        answer = await session.request(method, url, headers=headers, data=body or None, timeout=timeout)
        response_headers = {name: value for name, value in answer.headers.items() if name.lower() not in _OWN}
        response_headers[REPLICA_HEADER] = f"{process.name}-{serve.get_replica_context().rank.rank}"
        if answer.headers.get("Content-Type", "").startswith(event_stream.MEDIA_TYPE):
            return StreamingResponse(_pieces(answer), status_code=answer.status, headers=response_headers)
        async with answer:
            return Response(await answer.read(), status_code=answer.status, headers=response_headers)

    async def __del__(self) -> None:
        if self._session is not None:
            await self._session.close()
        if self._process is not None:
            await asyncio.to_thread(self._process.stop)


async def _has_ended(process: ReplicaProcess, start: int) -> bool:
    until = time.monotonic() + _ENDS_WITHIN
    while time.monotonic() < until:
        if process.has_ended(start):
            return True
        await asyncio.sleep(_LOOK_EVERY)
    return False


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The pieces as they come; closing it closes the connection to the process."""
    try:
        async for piece in answer.content.iter_any():
            yield piece
    finally:
        answer.close()


application = serve.deployment(Replica, name=DEPLOYMENT).bind()
