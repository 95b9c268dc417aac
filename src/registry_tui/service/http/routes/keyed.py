"""The router for mutations: every route that changes something accepts an `Idempotency-Key`."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from registry_tui.platform.databases import is_lost_connection
from registry_tui.service.core import idempotency, identity
from registry_tui.service.core.context import Service
from registry_tui.service.core.idempotency import Answered, Keyed
from registry_tui.service.errors import AlreadyRevoked, KeyReused, Missing, ServiceError, StillUnderWay
from registry_tui.service.http import resuming
from registry_tui.service.http.routes.dependencies import USER_HEADER, bearer_of, principal_of_request
from registry_tui.service.http.texts import require_storable

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
#: Response header: the response is a repetition of an earlier one.
REPLAYED = "Idempotency-Replayed"
MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: For `openapi_extra` of a POST that only reads: keys would cost it two transactions and give nothing.
READS_ONLY = {"x-reads-only": True}
#: For `openapi_extra` of an operation for people who are not signed in: its keys belong to nobody.
FOR_NOBODY = {"x-for-nobody": True}
#: Seconds that a repetition waits for the request that is being carried out.
PATIENCE = 20.0
#: Keyed requests that are carried out at a time where each holds a connection to PostgreSQL; others wait without one.
AT_ONCE = 20

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_PATTERN = r"^[\x21-\x7e]{1,255}$"
_DESCRIPTION = (
    "Names the intent: sent again with the same key within a day, the request is not carried out again and gets the "
    "same answer. 255 visible ASCII characters at most, a random UUID say"
)


def key_dependency(
    idempotency_key: Annotated[str | None, Header(alias=HEADER, pattern=_PATTERN, description=_DESCRIPTION)] = None,
) -> None:
    """Describes the header, and refuses invalid keys."""


@dataclass(frozen=True)
class _UnderWay:
    digest: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Turns:
    """The keyed requests that this process carries out now."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._under_way: dict[str, _UnderWay] = {}
        self.places = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def turn(self, request: Keyed) -> AsyncIterator[None]:
        """Waits until no other request with this key is under way. Raises StillUnderWay, KeyReused."""
        deadline = asyncio.get_running_loop().time() + self.patience
        while (other := self._under_way.get(request.id)) is not None:
            if other.digest != request.digest:
                raise KeyReused(
                    "Another request with this Idempotency-Key is being carried out",
                    action="Send a new key with each request that is not a repetition",
                )
            try:
                async with asyncio.timeout_at(deadline):
                    await other.ended.wait()
            except TimeoutError as error:
                raise StillUnderWay(
                    "This request is still being carried out", action="Send it again with the same Idempotency-Key"
                ) from error
        mine = self._under_way[request.id] = _UnderWay(request.digest)
        try:
            yield
        finally:
            del self._under_way[request.id]
            mine.ended.set()


class KeyedRoute(APIRoute):
    """A route whose changes are carried out once for each `Idempotency-Key`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        extra = options.get("openapi_extra") or {}
        self.keyed = bool(MUTATING & set(options.get("methods") or ())) and not extra.get("x-reads-only")
        self.for_nobody = bool(extra.get("x-for-nobody"))
        if self.keyed:
            options["dependencies"] = [*(options.get("dependencies") or ()), Depends(key_dependency)]
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> _Handler:
        handle = super().get_route_handler()
        if not self.keyed:
            return _again_when_cut_off(handle)

        async def handle_once(request: Request) -> Response:
            require_storable(await request.body())
            key = request.headers.get(HEADER)
            if key is None or not re.fullmatch(_PATTERN, key):
                return await handle(request)
            # With a key, the changes of the first attempt are found.
            return await _again_when_cut_off(partial(keyed, key))(request)

        async def keyed(key: str, request: Request) -> Response:
            service: Service = request.app.state.service
            turns: Turns = request.app.state.turns
            person = identity.NOBODY if self.for_nobody else await run_in_threadpool(_person, service, request)
            address = f"{request.scope['path']}?{request.scope['query_string'].decode('latin-1')}".rstrip("?")
            asked = idempotency.keyed(
                service,
                person,
                key,
                request.method,
                address,
                await request.body(),
            )
            async with turns.turn(asked), _alone(service, asked, turns.places):
                found = await run_in_threadpool(idempotency.begin, service, asked)
                if isinstance(found, Answered):
                    return self._answer(found.status, found.body)
                if found.made is not None and not found.takes:
                    answer = await run_in_threadpool(self._resume, service, request, found.made)
                    if answer is not None:
                        await run_in_threadpool(idempotency.answered, service, asked, self._status, answer)
                        return self._answer(self._status, answer)
                return await self._carry_out(handle, request, service, asked, took_before=found.takes)

        return handle_once

    @property
    def _status(self) -> int:
        return self.status_code or 200

    def _answer(self, status: int, body: bytes) -> Response:
        return Response(body, status, {REPLAYED: "true"}, media_type="application/json" if body else None)

    def _resume(self, service: Service, request: Request, made: str) -> bytes | None:
        if self.status_code == 204:
            return b""
        answer = resuming.answer_from(service, principal_of_request(request), made, self.response_model)
        return None if answer is None else answer.model_dump_json().encode()

    def _taken(self, service: Service, request: Request, error: ServiceError) -> bytes:
        """The response about a removed thing, as the attempt that removed it would have given. Raises ServiceError."""
        if self.status_code == 204:
            return b""
        principal = principal_of_request(request)
        answer = resuming.answer_behind(service, principal, request.path_params, self.response_model)
        if answer is None:
            raise error
        return answer.model_dump_json().encode()

    async def _carry_out(
        self,
        handle: _Handler,
        request: Request,
        service: Service,
        asked: Keyed,
        *,
        took_before: bool,
    ) -> Response:
        token = idempotency.current.set(asked.id)
        try:
            response = await handle(request)
        except (Missing, AlreadyRevoked) as error:
            if not took_before:
                await run_in_threadpool(idempotency.refused, service, asked)
                raise
            answer = await run_in_threadpool(self._taken, service, request, error)
            await run_in_threadpool(idempotency.answered, service, asked, self._status, answer)
            return self._answer(self._status, answer)
        except Exception as error:
            # After an error of the platform it is not known how far the request came: the row stays, as after a crash.
            # It also stays where an earlier attempt may have taken something away: the next one must not take a thing
            # made after that.
            if _status_of(error) < 500 and not took_before:
                await run_in_threadpool(idempotency.refused, service, asked)
            raise
        finally:
            idempotency.current.reset(token)
        await run_in_threadpool(idempotency.answered, service, asked, response.status_code, bytes(response.body))
        return response


@asynccontextmanager
async def _alone(service: Service, asked: Keyed, places: asyncio.Semaphore) -> AsyncIterator[None]:
    """Waits until no other process carries a request with this key out."""
    if not service.database.shared:
        yield
        return
    async with places:
        lock = service.locks.across(f"request {asked.id}")
        await run_in_threadpool(lock.__enter__)
        try:
            yield
        finally:
            await run_in_threadpool(lock.__exit__, None, None, None)


def _again_when_cut_off(handle: _Handler) -> _Handler:
    """Carries a request out once more when PostgreSQL closed its connection meanwhile, as a stopping server does."""

    async def handle_again(request: Request) -> Response:
        try:
            return await handle(request)
        except Exception as error:
            if not is_lost_connection(error):
                raise
            logger.warning("the connection to the database was lost; carrying the request out again: %s", error)
        return await handle(request)

    return handle_again


def _person(service: Service, request: Request) -> str:
    """Whose request it is: a key of one person is another key of somebody else. Raises NotLoggedIn, UserSuspended."""
    if bearer_of(request) is not None:
        return principal_of_request(request).name
    return request.headers.get(USER_HEADER) or identity.owner_name(service)


def _status_of(error: Exception) -> int:
    if isinstance(error, RequestValidationError):
        return 422
    if isinstance(error, HTTPException):
        return error.status_code
    return error.status if isinstance(error, ServiceError) else 500


def new_router(*tags: str) -> APIRouter:
    """The router of a module: its mutations take an `Idempotency-Key`."""
    return APIRouter(tags=list(tags), route_class=KeyedRoute)
