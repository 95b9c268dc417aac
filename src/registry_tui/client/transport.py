"""Requests to the service: over its unix socket or HTTPS, with a request ID, an idempotency key, a timeout and typed
errors.
"""

from __future__ import annotations

import os
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from httpx._client import UseClientDefault
from pydantic import BaseModel, TypeAdapter, ValidationError

from registry_tui.client import intents
from registry_tui.client.errors import InvalidName, NotSignedIn, RegistryError, ServiceUnavailable, from_problem
from registry_tui.client.outgoing import Outgoing, outgoing
from registry_tui.client.remembered import Remembered, recalls
from registry_tui.contracts import clocks, names, new_files
from registry_tui.contracts.tls_addresses import has_tls
from registry_tui.platform import contexts
from registry_tui.platform.contexts import Context
from registry_tui.platform.extras import how_to_start
from registry_tui.platform.paths import Home
from registry_tui.schemas.base import Problem

Answer = TypeVar("Answer")

#: Timeouts in seconds for a connection and for the next bytes of a response.
TIMEOUT = httpx.Timeout(30.0, connect=3.0)
CHUNK = 1 << 20


#: Addresses of Ranger's API, which the service has too.
_OUTSIDE = ("/service/", "/authz/")


def segment(value: str | int) -> str:
    """A name or ID as one segment of a path. Raises InvalidName."""
    try:
        return names.segment(value)
    except names.UnusableName as error:
        raise InvalidName(str(value), str(error)) from error


def _address(path: str) -> str:
    """The address of a path of the API. Raises InvalidName when a part of it would change the addressed resource."""
    try:
        checked = names.check_address(path)
        return checked if checked.startswith(_OUTSIDE) else f"/api/v1{checked}"
    except names.UnusableName as error:
        raise InvalidName(path, str(error)) from error


class _OwnSocket(httpx.AsyncHTTPTransport):
    """The socket of a home's service, checked not to belong to another user."""

    def __init__(self, home: Home) -> None:
        # A unix socket has no TLS; creating a context for it reads every certificate of the system.
        super().__init__(uds=str(home.service_socket), verify=False, trust_env=False)
        self._home = home

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            self._home.require_own_sockets()
        except OSError as error:
            raise RegistryError(
                f"Nothing was sent to {error.filename or self._home.run}: {error.strerror}",
                action="Choose another place with `--data-dir` or REGISTRY_TUI_HOME",
            ) from error
        return await super().handle_async_request(request)


#: Timeout in seconds for requests that try a remote store.
STORE_PATIENCE = 120


class Transport:
    """The connection to one service: over the unix socket of `home`, or over HTTPS when `base_url` is given.

    Without either it is the one that the user chose: a `context`, or this machine's. Every method may raise
    `ServiceUnavailable` or a `ServiceProblem` (see `errors`). Names or IDs are accepted wherever a resource is named.
    Use it as an async context manager, or call `close`.
    """

    def __init__(
        self,
        home: Home | None = None,
        *,
        base_url: str | None = None,
        token: str | None = None,
        user: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        patience: httpx.Timeout = TIMEOUT,
        context: Context | None = None,
        signed_in: bool = True,
    ) -> None:
        """`signed_in`: whether the context has a token; without one only a sign-in is possible."""
        if transport is None and base_url is None and home is None and context is None:
            context = contexts.chosen()
        #: The context in use; None for a home, an address or a transport.
        self.context = context
        verify: ssl.SSLContext | bool = True
        if context is not None:
            base_url, token = context.url, _token_of(context) if signed_in else None
            verify = _trusted_by(context) if has_tls(base_url) else False
        #: The address of a remote service; empty for this machine's.
        self.elsewhere = base_url or ""
        if transport is None and base_url is None:
            transport = _OwnSocket(home or Home.resolve())
        headers = {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if acting := user or os.environ.get("REGISTRY_TUI_USER"):
            headers["X-Registry-User"] = acting
        self._http = httpx.AsyncClient(
            base_url=base_url or "http://registry-tui",
            transport=transport,
            headers=headers,
            timeout=patience,
            verify=verify,
            # A proxy is for remote services only; without TLS it would read the traffic, including the token.
            trust_env=base_url is not None and has_tls(base_url),
        )
        #: When pending requests were sent (`time.monotonic`), by request ID.
        self._asked: dict[str, float] = {}
        #: The last change.
        self.last_change: Outgoing | None = None
        self._remembered: Remembered | None = None
        #: The service's clock, from its responses.
        self.clock = clocks.followed()

    @property
    def waiting(self) -> float:
        """Seconds that the oldest request has been waiting for its response; without those that may take long."""
        return time.monotonic() - min(self._asked.values()) if self._asked else 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def every(self, fetch: Callable[..., Any], *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """All items of a paged list: `async for run in client.every(client.models, "registry")`."""
        token: str | None = None
        while True:
            page = await fetch(*args, page_token=token, **kwargs)
            for item in page.items:
                yield item
            token = page.next_page_token
            if token is None:
                return

    def remember_answers(self) -> None:
        """Caches responses to reading requests from now on: see `remembered.recalling`."""
        self._remembered = Remembered()

    async def _ask(self, kind: type[Answer], method: str, path: str, **options: Any) -> Answer:
        memory = self._remembered if method == "GET" or options.get("reads") else None
        question = "" if memory is None else f"{method} {path} {options.get('params')} {options.get('body')!r}"
        if memory is not None and recalls():
            return TypeAdapter(kind).validate_json(memory.find(question))
        response = await self._send(method, path, **options)
        if memory is not None:
            memory.keep(question, response.content)
        try:
            return TypeAdapter(kind).validate_json(response.content)
        except ValidationError as error:
            raise RegistryError(
                f"This version does not understand the service's answer to {method} {path}",
                action="Use the same version of registry-tui on both sides",
                request_id=response.headers.get("X-Request-ID"),
            ) from error

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, Any] | None = None,
        body: BaseModel | None = None,
        headers: dict[str, str] | None = None,
        timeout: float | httpx.Timeout | UseClientDefault | None = httpx.USE_CLIENT_DEFAULT,
        reads: bool = False,
    ) -> httpx.Response:
        """`reads`: the request changes nothing, although it is a POST."""
        address = _address(path)
        request_id = str(uuid.uuid4())
        sent = {"X-Request-ID": request_id, **(headers or {})}
        query = {key: value for key, value in (params or {}).items() if value is not None}
        content = None if body is None else body.model_dump_json()
        change: Outgoing | None = None
        if content is not None:
            sent["Content-Type"] = "application/json"
        if method != "GET" and not reads:
            change = outgoing(method, address, query, content)
            sent["Idempotency-Key"] = intents.key_for(f"{method} {address} {query} {content}".encode())
        if timeout is httpx.USE_CLIENT_DEFAULT:
            self._asked[request_id] = time.monotonic()
        sent_at = time.time()
        try:
            response = await self._http.request(
                method,
                address,
                params=query,
                content=content,
                headers=sent,
                timeout=timeout,
            )
        except httpx.HTTPError as error:
            raise self.unavailable(error, request_id) from error
        finally:
            self._asked.pop(request_id, None)
        self.clock.note(response.headers.get("Date", ""), sent_at, time.time())
        if response.is_error:
            raise self.problem(response, request_id)
        self.last_change = change or self.last_change
        return response

    async def _read(self, url: str, params: dict[str, Any], start: int, length: int | None) -> bytes:
        if length == 0:
            return b""
        end = "" if length is None else str(start + length - 1)
        headers = {} if start == 0 and length is None else {"Range": f"bytes={start}-{end}"}
        return (await self._send("GET", url, params=params, headers=headers)).content

    async def _download(
        self,
        url: str,
        params: dict[str, Any],
        target: Path,
        progress: Callable[[int, int | None], None] | None,
    ) -> int:
        address = _address(url)
        request_id = str(uuid.uuid4())
        partial = new_files.partial_of(target)
        done = 0
        try:
            async with self._http.stream(
                "GET", address, params=params, headers={"X-Request-ID": request_id}
            ) as response:
                if response.is_error:
                    await response.aread()
                    raise self.problem(response, request_id)
                length = response.headers.get("Content-Length")
                with partial.open("xb") as file:
                    async for chunk in response.aiter_bytes(CHUNK):
                        file.write(chunk)
                        done += len(chunk)
                        if progress is not None:
                            progress(done, int(length) if length else None)
            partial.replace(target)
        except httpx.HTTPError as error:
            raise self.unavailable(error, request_id) from error
        except OSError as error:
            raise RegistryError(f"Cannot write {target}: {error.strerror or error}", request_id=request_id) from error
        finally:
            partial.unlink(missing_ok=True)
        return done

    @property
    def _login(self) -> str:
        """The command that signs in to this service again."""
        return self.context.login if self.context is not None else f"registry-tui login {self.elsewhere}"

    def problem(self, response: httpx.Response, request_id: str) -> RegistryError:
        """The exception for an error response."""
        found = problem_of(response, request_id)
        if isinstance(found, NotSignedIn) and self.elsewhere and found.action:
            found.action = found.action.replace("registry-tui login URL", self._login)
        return found

    def unavailable(self, error: httpx.HTTPError, request_id: str) -> ServiceUnavailable:
        """The exception for a missing response."""
        late = isinstance(error, httpx.TimeoutException)
        if not self.elsewhere:
            if late:
                message, action = "The service did not answer in time", "Try again; see `registry-tui logs service`"
            else:
                message, action = "The service is not running", how_to_start()
            return ServiceUnavailable(message, action=action, request_id=request_id)
        # Only remote services have certificates.
        from registry_tui.client import tls

        if (refused := tls.verification_error(error)) is not None:
            untrusted = tls.untrusted(refused, self.elsewhere, pinned=bool(self.context and self.context.trusted))
            if untrusted.action:
                untrusted.action = untrusted.action.replace(f"registry-tui login {self.elsewhere}", self._login)
            return untrusted
        if late and not isinstance(error, httpx.ConnectTimeout):
            message = f"{self.elsewhere} did not answer in time"
        else:
            message = f"{self.elsewhere} does not answer"
        action = "Check the network, then try again; another service: `registry-tui contexts list`"
        return ServiceUnavailable(message, action=action, request_id=request_id)


def _token_of(context: Context) -> str:
    if not context.token:
        raise RegistryError(f"You are signed out of {context.name}", action=f"Sign in again: `{context.login}`")
    return context.token


def _trusted_by(context: Context) -> ssl.SSLContext:
    # Only remote services have certificates; reading those of the system takes time.
    from registry_tui.client import tls

    try:
        return tls.context_of(context.trusted)
    except OSError as error:
        raise RegistryError(
            f"The certificate of the context {context.name} cannot be read: {context.trusted}",
            action=f"Sign in again: `{context.login}`",
        ) from error


def problem_of(response: httpx.Response, request_id: str) -> RegistryError:
    """The exception for an error response."""
    try:
        return from_problem(Problem.model_validate_json(response.content))
    except ValidationError:
        return RegistryError(
            f"The service answered {response.status_code} without saying why",
            action="See `registry-tui logs service`",
            request_id=response.headers.get("X-Request-ID", request_id),
        )
