"""The gateway's HTTP: `POST /model`, `/endpoints/<access key>/…`, and the service's requests."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web

from registry_tui.contracts import web_pages
from registry_tui.contracts.counts import counted
from registry_tui.contracts.gateway_routes import Route, Routes, RoutesFile
from registry_tui.gateway import (
    access,
    bodies,
    description,
    heads,
    origins,
    paths,
    problems,
    streaming,
    words,
)
from registry_tui.gateway.access import Refusal
from registry_tui.gateway.canaries import AFFINITY, Canaries
from registry_tui.gateway.counts import Counts
from registry_tui.gateway.limits import KeyLimits, OverLimit
from registry_tui.gateway.load import SharedLoad
from registry_tui.gateway.request_log import RequestLog
from registry_tui.gateway.upstream import Answered, NoReplica, ReplicasDied, TookTooLong, Upstream

#: Headers of a replica's response that are passed on to the caller.
PASSED = ("content-type", "retry-after", "inference-header-content-length")
#: Headers of a call that the replica sees: the body's type, and the accepted types of responses.
SENT_ON = ("Content-Type", "Accept", "Inference-Header-Content-Length")
#: The status under which calls are counted whose caller hung up before the response.
HUNG_UP = 499
#: Wrapping of `POST /model` around the request itself.
WRAPPING = 64 * 1024
#: Bytes of a body that is taken apart on a thread of its own.
LARGE = 256 << 10


#: Set when the gateway is about to end: responses then make callers reconnect, which leads to the next process.
LEAVING = web.AppKey("leaving", asyncio.Event)


class Gateway:
    """Responds for all deployments in `routes`."""

    def __init__(
        self,
        routes: RoutesFile,
        counts: Counts,
        load: SharedLoad,
        limits: KeyLimits,
        request_log: RequestLog,
        service_socket: str = "",
    ) -> None:
        self.routes = routes
        self.counts = counts
        self.limits = limits
        self.request_log = request_log
        self._service_socket = service_socket
        self.upstream = Upstream(load)
        self.canaries = Canaries(self.upstream, counts, routes)
        #: Reason why its own port cannot be opened, by deployment.
        self.port_errors: dict[str, str] = {}
        #: Set when the routes may have changed: tasks that follow them check now.
        self.changed = asyncio.Event()
        self.leaving = asyncio.Event()

    def application(self, deployment: str | None = None) -> web.Application:
        """The web application: of all deployments, or of one that has a port of its own."""
        app = web.Application(
            client_max_size=1 << 62, middlewares=[_leaving, self._for_pages, problems.refusals, self._for_programs]
        )
        app[LEAVING] = self.leaving
        if deployment is None:
            app.router.add_post("/model", self.model)
            app.router.add_get("/health", self.health)
            app.router.add_get("/metrics", self.metrics)
            app.router.add_route("*", "/endpoints/{access_key}/{path:.+}", self.endpoint)
        else:
            app["deployment"] = deployment
            app.router.add_post("/model", self.model)
            app.router.add_route("*", "/{path:.+}", self.own_port)
        return app

    @web.middleware
    async def _for_pages(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Answers browsers' preflight requests, and lets pages of known origins read responses."""
        origin = origins.allowed(self.routes.current(), request)
        if not origin:
            other: web.StreamResponse = await handler(request)
            return other
        answer: web.StreamResponse = origins.told(request) if origins.asks_first(request) else await handler(request)
        origins.shared(answer, origin)
        return answer

    @web.middleware
    async def _for_programs(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Refuses requests that a web page of another site could send."""
        routes = self.routes.current()
        headers = {"Host": request.headers.get("Host")} if origins.allowed(routes, request) else request.headers
        problem = web_pages.problem(request.method, headers, routes.hosts)
        if problem is not None:
            raise Refusal(403, "foreign-page", problem, web_pages.ACTION)
        if request.method == "POST" and web_pages.is_simple(content_type := request.headers.get("Content-Type", "")):
            detail = f"The body is announced as {content_type[:100]!r}"
            raise Refusal(415, "wrong-type", detail, "Send JSON with `Content-Type: application/json`")
        if not heads.is_utf8(request.headers.get("Content-Type", "")):
            detail = "The header Content-Type is not UTF-8"
            raise Refusal(415, "wrong-type", detail, "Send JSON with `Content-Type: application/json`")
        answer: web.StreamResponse = await handler(request)
        return answer

    def control(self) -> web.Application:
        """The application on the unix socket that only the service reaches."""
        app = web.Application()
        app.router.add_get("/health", self.health)
        app.router.add_get("/stats", self.tell_stats)
        app.router.add_post("/routes-changed", self.routes_changed)
        app.router.add_post("/request-log-written", self.write_request_log)
        return app

    # -- callers ------------------------------------------------------------------------------------

    async def model(self, request: web.Request) -> web.Response:
        """The documented call: `{"accessKey": …, "request": …}`; the response has `success`, `response`, `replica`."""
        routes = self.routes.current()
        named = request.query.get("accessKey")
        if named:
            self._let_in(routes, self._route(routes, named, request), request, is_call=False)
        body = await bodies.read(request, routes.largest_body + WRAPPING)
        try:
            wrapped = await _aside(json.loads, body, len(body))
        except ValueError as error:
            raise _wrong(f"The body is not valid JSON: {error}") from error
        except RecursionError as error:
            raise _nested() from error
        if not isinstance(wrapped, dict):
            raise _wrong("The body is not a JSON object")
        access_key = str(wrapped.get("accessKey") or named or "")
        if not access_key:
            raise _wrong("The body has no field `accessKey`, and the address no parameter of that name")
        route = self._route(routes, access_key, request)
        limits = self._let_in(routes, route, request)
        if "request" not in wrapped:
            raise _wrong("The body has no field `request`")
        try:
            inner = await _aside(_compact, wrapped["request"], len(body))
        except RecursionError as error:
            raise _nested() from error
        if len(inner) > route.body_bytes:
            raise bodies.too_large(route.body_bytes, route.larger)
        sent = {"Content-Type": "application/json"}
        began = time.perf_counter()
        answered = await self._send(routes, route, "POST", "/invocations", inner, sent, _affinity(route, request))
        if route.request_log is not None:
            self._note(route, "invocations", sent["Content-Type"], inner, answered, began, request)
        if answered.pieces is not None:
            answered.pieces.close()
            self.counts.count(route.id, 400, answered.replica, 0.0, answered.retries)
            raise Refusal(
                400,
                "stream-elsewhere",
                "POST /model answers as a whole, and the request asks for an answer in pieces",
                'Send it to /endpoints/<access key>/invocations, or without `"stream": true`',
            )
        return _wrapped(answered, limits)

    async def endpoint(self, request: web.Request) -> web.StreamResponse:
        """MLflow's scoring protocol below `/endpoints/<access key>/`."""
        routes = self.routes.current()
        route = self._route(routes, request.match_info["access_key"], request)
        return await self._scoring(routes, route, request)

    async def own_port(self, request: web.Request) -> web.StreamResponse:
        """MLflow's scoring protocol on the deployment's own port."""
        routes = self.routes.current()
        known = {route.id: route for route in routes.deployments}
        route = known.get(request.app["deployment"])
        if route is None:
            raise Refusal(
                404, "deployment-missing", "This deployment was deleted", "See `registry-tui deployments list`"
            )
        return await self._scoring(routes, route, request)

    async def _scoring(self, routes: Routes, route: Route, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        if path == description.PAGE and request.method == "GET":
            return description.page()
        method = paths.method_of(path)
        if method is None:
            known = ", ".join(paths.SHOWN)
            raise Refusal(404, "path-missing", f"There is no path /{path}", f"Use one of: {known}")
        if request.method != method:
            raise problems.not_allowed(request, method)
        limits = self._let_in(routes, route, request, is_call=request.method == "POST")
        body = await bodies.read(request, route.body_bytes, route.larger) if request.method == "POST" else None
        sent = {name: value for name in SENT_ON if (value := request.headers.get(name)) and heads.is_utf8(value)}
        began = time.perf_counter()
        affinity = _affinity(route, request)
        answered = await self._send(routes, route, request.method, f"/{quote(path)}", body, sent, affinity)
        if route.request_log is not None and body is not None:
            self._note(route, path, sent.get("Content-Type", ""), body, answered, began, request)
        headers = {name: answered.headers[name] for name in PASSED if name in answered.headers}
        headers["X-Replica"] = answered.replica
        headers.update(limits)
        if path == description.DOCUMENT and answered.status == 200:
            answered = replace(answered, body=description.finished(answered.body, route))
        if answered.pieces is None:
            return web.Response(status=answered.status, body=answered.body, headers=headers)
        seconds = time.perf_counter() - began
        if origin := origins.allowed(routes, request):
            headers.update(origins.shown_to(origin))
        status = HUNG_UP
        try:
            response, status = await streaming.pass_on(request, route, answered.status, headers, answered.pieces)
            return response
        finally:
            # The timeout is for the first piece; the rest takes as long as the model's output.
            self.counts.count(route.id, status, answered.replica, seconds, answered.retries)

    def _route(self, routes: Routes, access_key: str, request: web.Request) -> Route:
        route = routes.by_access_key.get(access_key)
        if route is None:
            raise Refusal(
                404,
                "access-key-unknown",
                "No deployment has this access key",
                "See `registry-tui deployments show NAME` for the access key",
            )
        own = request.app.get("deployment")
        if own is not None and route.id != own:
            raise Refusal(
                404, "access-key-foreign", "This port belongs to another deployment", "Use the gateway's port"
            )
        return route

    def _let_in(self, routes: Routes, route: Route, request: web.Request, *, is_call: bool = True) -> Mapping[str, str]:
        """Checks the API key, counts a call towards its limits, and returns the response's headers about them."""
        if not route.authentication:
            return {}
        key = access.authenticate(routes, request.headers.get("Authorization"))
        access.authorize(routes, route, key)
        self.counts.used(key.id)
        request["key"] = key.id
        if not is_call:
            return {}
        try:
            return self.limits.take(key)
        except OverLimit as over:
            self.counts.refused(route.id, over.limit)
            raise

    def _note(
        self,
        route: Route,
        path: str,
        content_type: str,
        body: bytes,
        answered: Answered,
        began: float,
        request: web.Request,
    ) -> None:
        """Keeps the request for the log, depending on its rules."""
        rules, took = route.request_log, time.perf_counter() - began
        if rules is not None:
            request_id = request.get("request_id", "")
            length = request.headers.get("Inference-Header-Content-Length", "")
            key = request.get("key", "")
            self.request_log.note(route, rules, path, content_type, body, answered, took, request_id, length, key)

    async def _send(
        self,
        routes: Routes,
        route: Route,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        affinity: str,
    ) -> Answered:
        is_call = method == "POST"
        began = time.perf_counter()
        status, replica, retries, in_pieces = 503, "", 0, False
        try:
            try:
                answered = await self._ask(route, method, path, body, headers, affinity)
            except NoReplica:
                # The replicas may have been replaced during this call.
                newer = {each.id: each for each in self.routes.current().deployments}.get(route.id)
                if newer is None or newer.replicas == route.replicas:
                    raise
                answered = await self._ask(newer, method, path, body, headers, affinity)
            status, replica, retries = answered.status, answered.replica, answered.retries
            in_pieces = answered.pieces is not None
            return answered
        except asyncio.CancelledError:
            # The caller hung up; its connection to the replica is closed, so that the replica can stop too.
            status = HUNG_UP
            raise
        except NoReplica as error:
            raise _no_replica(route) from error
        except ReplicasDied as error:
            status = 502
            raise Refusal(
                502,
                "replicas-died",
                f"Each replica of {route.name} that was given this request ended with it",
                "See their logs: `registry-tui deployments logs`; the request itself may be the cause",
            ) from error
        except TookTooLong as error:
            status = 504
            raise Refusal(
                504,
                "replica-timeout",
                f"The replica did not answer within {counted(route.seconds, 'second')}",
                "Send less at once",
            ) from error
        finally:
            # A streamed one is counted at its end.
            if is_call and not in_pieces:
                self.counts.count(route.id, status, replica, time.perf_counter() - began, retries)

    async def _ask(
        self, route: Route, method: str, path: str, body: bytes | None, headers: Mapping[str, str], affinity: str
    ) -> Answered:
        if route.canary is not None and body is not None:
            return await self.canaries.answer(route, route.canary, path, body, headers, affinity)
        return await self.upstream.send(route.replicas, method, path, body=body, headers=headers, seconds=route.seconds)

    async def metrics(self, request: web.Request) -> web.Response:
        """The service's metrics, for callers with an API key of the administrator's."""
        routes = self.routes.current()
        key = access.authenticate(routes, request.headers.get("Authorization"))
        if key.user not in routes.administrators:
            raise Refusal(
                403, "not-permitted", f"{key.user} may not read the metrics", "Use an API key of the administrator's"
            )
        self.counts.used(key.id)
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=self._service_socket)) as session,
                session.get("http://service/api/v1/metrics", timeout=aiohttp.ClientTimeout(total=30)) as answer,
            ):
                headers = {"Content-Type": answer.headers.get("Content-Type", "text/plain")}
                return web.Response(status=answer.status, body=await answer.read(), headers=headers)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Refusal(
                503, "service-unavailable", "The service does not answer", "See `registry-tui status`"
            ) from error

    # -- the service ------------------------------------------------------------------------------------

    async def health(self, request: web.Request) -> web.Response:
        return web.json_response({"healthy": True})

    async def tell_stats(self, request: web.Request) -> web.Response:
        """This process's counts, for `counts.summed`, and the ports that cannot be opened."""
        self.counts.store()
        return web.json_response({**self.counts.dump(), "port_errors": self.port_errors})

    async def routes_changed(self, request: web.Request) -> web.Response:
        """Reads the routes, which the service has just written."""
        self.changed.set()
        return web.Response(status=204)

    async def write_request_log(self, request: web.Request) -> web.Response:
        """Writes the queued requests of the log: the service is about to read or delete them."""
        await asyncio.to_thread(self.request_log.flush)
        return web.Response(status=204)

    async def forget_gone(self) -> None:
        """Closes connections to, and drops counts of, deployments that the routes no longer name."""
        deployments = self.routes.current().deployments
        canaries = [route.canary for route in deployments if route.canary is not None]
        self.counts.keep_only((route.id for route in deployments), (canary.id for canary in canaries))
        replicas = [each.replicas for each in deployments] + [each.replicas for each in canaries]
        await self.upstream.keep_only({replica.socket for each in replicas for replica in each})


def _affinity(route: Route, request: web.Request) -> str:
    """The value that decides which version of a canary answers; empty if there is nothing to decide."""
    return "" if route.canary is None else request.headers.get(AFFINITY, "")


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


async def _aside(work: Callable[[Any], Any], value: Any, size: int) -> Any:
    """Runs slow work on a large body in a thread, so that the event loop does not block other callers."""
    return await asyncio.to_thread(work, value) if size > LARGE else work(value)


@web.middleware
async def _leaving(request: web.Request, handler: Any) -> web.StreamResponse:
    response: web.StreamResponse = await handler(request)
    if request.app[LEAVING].is_set():
        response.force_close()
    return response


def _wrapped(answered: Answered, limits: Mapping[str, str]) -> web.Response:
    """A replica's response in the format of the documented call."""
    ok = answered.status == 200
    # The body is JSON already: it is put in as it is, so that no digit changes.
    if "json" in answered.headers.get("content-type", "") and answered.body.strip():
        inner = answered.body.decode(errors="replace")
    else:
        inner = json.dumps(answered.body.decode(errors="replace"))
    field = "response" if ok else "error"
    body = f'{{"success": {json.dumps(ok)}, "{field}": {inner}, "replica": {json.dumps(answered.replica)}}}'
    headers = {"X-Replica": answered.replica, **limits}
    if "retry-after" in answered.headers:
        headers["Retry-After"] = answered.headers["retry-after"]
    return web.Response(status=answered.status, text=body, content_type="application/json", headers=headers)


def _wrong(detail: str) -> Refusal:
    return Refusal(400, "bad-request", detail, 'Send {"accessKey": "…", "request": {"dataframe_split": …}} as JSON')


def _nested() -> Refusal:
    return _wrong("The body is nested too deeply")


def _no_replica(route: Route) -> Refusal:
    detail, action = words.unanswered(route.name, route.state, has_replicas=bool(route.replicas))
    return Refusal(503, "no-replica", detail, action)
