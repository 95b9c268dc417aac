"""Every request from the network: admitted or refused, forwarded to its part, answered with security headers."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from registry_tui.contracts import issuers, web_pages
from registry_tui.contracts.api_keys import redacted
from registry_tui.gateway import description, heads, problems
from registry_tui.gateway.access import Refusal
from registry_tui.service.core import identity, reached
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.errors import NotPermitted, ServiceError
from registry_tui.service.listening import mlflow_page
from registry_tui.service.listening.forward import Upstream, Upstreams, forward, whole_body
from registry_tui.service.listening.sign_in import NOBODY, Refused, SignIn

logger = logging.getLogger("registry_tui.access")

#: Path prefixes of the service.
_SERVICE = ("/api/v1/", "/service/", "/authz/")
#: The requests of people who are not signed in yet: exactly these, which show only where to sign in.
_BEFORE_SIGN_IN = {
    ("GET", issuers.WAYS),
    ("POST", issuers.BY_ID_TOKEN),
    ("POST", issuers.NEW_CODE),
    ("POST", issuers.BY_CODE),
}
#: The page of an endpoint, which a browser opens without a key: the same for each, also for one that there is not.
_ENDPOINT_PAGE = re.compile(rf"/endpoints/[^/]+/{description.PAGE}")
_HOST = re.compile(r"([A-Za-z0-9_.-]{1,253}|\[([0-9A-Fa-f:.]{2,45})\])(?::([0-9]{1,5}))?")
#: MLflow's own error codes, so that its clients show the reason.
_MLFLOW_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    408: "BAD_REQUEST",
    413: "BAD_REQUEST",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}
#: Statuses of refusals that become events; of MLflow and deployments, others are about load, not about access.
_AUDITED, _AUDITED_OF_OTHERS = (401, 403, 413, 429), (401, 403)
_MISTAKE = Refusal(
    500,
    "internal-error",
    "The listener made a mistake with this request",
    "See `registry-tui logs service` for this request's ID",
)

#: Bytes of a sign-in with an ID token or a code, and seconds in which all of them have to come.
MOST_SIGN_IN_BYTES, SIGN_IN_SECONDS = 32 << 10, 10.0

#: Accounts at MLflow's server that are made at the same time.
ACCOUNT_THREADS = 8

#: For every response; a page of a part may have a policy of its own for its contents.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_ONLY_TLS = {"Strict-Transport-Security": "max-age=31536000"}


class Front:
    """The web application of the listener. Made within a running event loop; close it at the end."""

    def __init__(self, service: Service, *, tls: bool) -> None:
        self._service = service
        self._tls = tls
        self.sign_in = SignIn(service)
        self._upstreams = Upstreams(service.home, service.ports)
        # Threads of their own: MLflow's server may respond slowly, and tokens are checked in the others.
        self._accounts = ThreadPoolExecutor(ACCOUNT_THREADS, thread_name_prefix="accounts")

    def application(self) -> web.Application:
        """The web application."""
        app = web.Application(client_max_size=1 << 62, middlewares=[self._guarded])
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        app.on_response_prepare.append(self._secure)
        return app

    async def close(self) -> None:
        """Closes the connections to the parts; does not wait for accounts that are being made."""
        self._accounts.shutdown(wait=False, cancel_futures=True)
        await self._upstreams.close()

    async def _secure(self, request: web.Request, response: web.StreamResponse) -> None:
        if mlflow_page.is_page(request.raw_path.partition("?")[0]):
            response.headers["Content-Security-Policy"] = mlflow_page.POLICY
        for name, value in {**SECURITY_HEADERS, **(_ONLY_TLS if self._tls else {})}.items():
            response.headers.setdefault(name, value)
        # Stricter than the headers of the parts.
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Server"] = "registry-tui"
        response.headers["X-Request-ID"] = request.get("request_id") or heads.request_id(request)

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Turns refusals into error responses in the requested part's format; records each as event and in the log."""
        request_id = request["request_id"] = heads.request_id(request)
        request["principal"] = None
        began, status = time.monotonic(), 0
        try:
            answer = await self._attempt(request, handler)
            status = answer.status
        finally:
            principal: Principal | None = request["principal"]
            logger.info(
                "%s %s from %s %s %.0f ms [%s]%s",
                request.method,
                _address(request),
                request.remote,
                status or "cut off",
                (time.monotonic() - began) * 1000,
                request_id,
                f" as {principal.name}" if principal is not None else "",
            )
        return answer

    async def _attempt(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await handler(request)
            return answer
        except Refused as refused:
            await self._audit(request, refused)
            return _refusal(request, refused)
        except Refusal as refusal:
            if refusal.status in _AUDITED:
                unnamed = request["principal"] is None
                often = unnamed and self.sign_in.failures.unnamed(request.remote or "")
                await self._audit(request, Refused(refusal, often=often))
            return _refusal(request, Refused(refusal))
        except (web.HTTPException, ConnectionError):
            raise
        except Exception:
            logger.exception("request %s", request["request_id"])
            return _refusal(request, Refused(_MISTAKE))

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        reached_at = self._reached(request)
        _require_utf8(request)
        _require_same_site(request)
        path = request.raw_path.partition("?")[0]
        authorization = request.headers.get("Authorization")
        address, request_id = request.remote or "", request["request_id"]
        headers = {"X-Request-ID": request_id}
        if request.method == "GET" and _ENDPOINT_PAGE.fullmatch(path):
            return _endpoint_page()
        if (request.method, path) in _BEFORE_SIGN_IN:
            return await self._before_sign_in(request, headers | {reached.HEADER: reached_at})
        below_mlflow = path == "/mlflow" or path.startswith("/mlflow/")
        if not below_mlflow and mlflow_page.kept_by_browser(request):
            raise Refusal(
                403,
                "kept-password",
                "The password that a browser keeps is for MLflow's page alone",
                "Use registry-tui, or send `Authorization: Bearer TOKEN`",
            )
        if path == "/model" or path.startswith("/endpoints/"):
            principal, credential = await self.sign_in.caller(authorization, address, request_id)
            request["principal"] = principal
            if credential.is_key:
                headers["Authorization"] = f"Bearer {credential.secret}"
            return await self._answered(request, self._upstreams.gateway, headers)
        principal, credential = await self.sign_in.person(authorization, address, request_id)
        request["principal"] = principal
        if below_mlflow:
            mlflow_page.require_slash(request)
            headers["Authorization"] = await self._mlflow_credentials(principal)
            headers[reached.HEADER] = reached_at
            return await self._answered(request, self._upstreams.mlflow, headers)
        if path.startswith(_SERVICE):
            _require_own_name(request, principal)
            headers |= {"Authorization": f"Bearer {credential.secret}", reached.HEADER: reached_at}
            largest = self._service.settings.max_request_bytes
            return await self._answered(request, self._upstreams.service, headers, largest)
        raise Refusal(
            404,
            "no-such-page",
            f"There is nothing at {_address(request)[:200]}",
            "The API is at /api/v1, its pages at /api/v1/docs",
        )

    async def _before_sign_in(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        """The service's response to a request without a token; failed sign-ins are counted like refused tokens."""
        largest = self._service.settings.max_request_bytes
        if request.method == "GET":
            return await self._answered(request, self._upstreams.service, headers, largest)
        # Before it counts as an attempt: a slow sender must not take the place of others.
        body = await whole_body(request, min(largest, MOST_SIGN_IN_BYTES), SIGN_IN_SECONDS)
        if request.raw_path.partition("?")[0] == issuers.NEW_CODE:
            self.sign_in.begin(request.remote or "")
        with self.sign_in.attempt(request.remote or "") as ended:
            return await self._answered(request, self._upstreams.service, headers, ended=ended, whole=body)

    async def _answered(
        self,
        request: web.Request,
        upstream: Upstream,
        headers: dict[str, str],
        largest: int | None = None,
        ended: Callable[[bool], None] | None = None,
        whole: bytes | None = None,
    ) -> web.StreamResponse:
        """The part's response. Refusals without an event of the part itself are recorded as one, for any request.

        `ended` is called with whether it was not refused, before the response is passed on. `whole`: the body, if it
        was read.
        """

        async def heard(status: int, recorded: bool) -> None:
            if ended is not None:
                # An unavailable or missing issuer is not evidence about the ID token.
                ended(status < 400 or status >= 500 or status == 404)
            by_service = upstream is self._upstreams.service
            if status in (_AUDITED if by_service else _AUDITED_OF_OTHERS) and not (by_service and recorded):
                refusal = Refusal(status, "refused", f"The part {upstream.name} refused it", "")
                await self._audit(request, Refused(refusal))

        return await forward(request, upstream, headers, heard, largest, whole)

    async def _audit(self, request: web.Request, refused: Refused) -> None:
        what = f"{request.method} {_address(request)}"
        principal = request["principal"] or NOBODY
        await self.sign_in.audit(refused, principal, request["request_id"], request.remote or "", what)

    async def _mlflow_credentials(self, principal: Principal) -> str:
        """The person's own account at MLflow's server, which is made when it is missing. Raises Refusal."""
        try:
            loop = asyncio.get_running_loop()
            password = await loop.run_in_executor(self._accounts, self._service.access.usable_password, principal.name)
        except ServiceError as error:
            raise Refusal(error.status, error.code, error.detail, error.action or "Try again in a moment") from error
        return f"Basic {base64.b64encode(f'{principal.name}:{password}'.encode()).decode()}"

    def _reached(self, request: web.Request) -> str:
        """The address that the caller used, to be named in responses."""
        host = request.headers.get("Host", "")
        if not _is_host(host):
            raise Refusal(400, "host-malformed", "The header Host is not HOST:PORT", "Send the address's own host")
        return f"{'https' if self._tls else 'http'}://{host}"


def _endpoint_page() -> web.Response:
    answer = description.page(needs_key=True)
    # As every response to a request without a token.
    answer.force_close()
    return answer


def _is_host(host: str) -> bool:
    """Whether a `Host` header is HOST:PORT, an IPv6 address in brackets."""
    found = _HOST.fullmatch(host)
    if found is None or int(found[3] or 0) > 65_535:
        return False
    try:
        return not found[2] or bool(ipaddress.IPv6Address(found[2]))
    except ValueError:
        return False


def _require_utf8(request: web.Request) -> None:
    """Raises Refusal for a path or header that is not UTF-8: the parts could not be given it as it came."""
    for name, text in (("address", request.raw_path), *request.headers.items()):
        if not heads.is_utf8(text):
            detail = f"The {name} of the request is not UTF-8"
            raise Refusal(400, "not-utf-8", detail, "Send UTF-8, and percent-encode it in an address")


def _require_same_site(request: web.Request) -> None:
    """Raises Refusal for a request of another site's page in a browser. Any host is accepted: a token is required."""
    host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    problem = web_pages.problem(request.method, request.headers, (host,))
    if problem is not None:
        raise Refusal(403, "foreign-page", problem, "Use registry-tui, or curl")


def _require_own_name(request: web.Request, principal: Principal) -> None:
    try:
        identity.require_own_name(principal, request.headers.get("X-Registry-User"))
    except NotPermitted as error:
        raise Refusal(error.status, error.code, error.detail, error.action or "") from error


def _address(request: web.Request) -> str:
    """The path of a request, without its query, for logs and events."""
    return redacted(request.raw_path.partition("?")[0].encode("unicode_escape").decode())[:300]


def _refusal(request: web.Request, refused: Refused) -> web.Response:
    """A refusal in the format of the requested part."""
    refusal = refused.refusal
    answer = problems.response(refusal, request["request_id"])
    if refusal.status == 401:
        # Basic only for MLflow's page: a browser then prompts for a password, and keeps it.
        page = mlflow_page.wanted_by_browser(request)
        answer.headers["WWW-Authenticate"] = mlflow_page.CHALLENGE if page else 'Bearer realm="registry-tui"'
    if refused.retry_after:
        answer.headers["Retry-After"] = str(refused.retry_after)
    if request["principal"] is None or refusal.status == 401:
        # Otherwise clients without a token could occupy every connection.
        answer.force_close()
    if mlflow_page.wanted_by_browser(request):
        action = mlflow_page.HELP if refusal.status == 401 else refusal.action
        answer.body, answer.content_type = f"{refusal.detail}.\n\n{action}\n".encode(), "text/plain"
    elif request.raw_path.startswith("/mlflow/"):
        code = _MLFLOW_CODES.get(refusal.status, "INTERNAL_ERROR")
        message = f"{refusal.detail}. {refusal.action}"
        answer.body = json.dumps({"error_code": code, "message": message}).encode()
        answer.content_type = "application/json"
    return answer
