"""FastAPI dependencies of routes: the service, the acting principal, and the page wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Query, Request, Security
from fastapi.security import HTTPBearer
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from registry_tui.contracts import names
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from registry_tui.service.access import tokens
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service

USER_HEADER = "X-Registry-User"


def service_dependency(request: Request) -> Service:
    """The service that this app was made for."""
    service: Service = request.app.state.service
    return service


_BEARER = HTTPBearer(auto_error=False, description="A person's token: `registry-tui tokens create NAME`")


def bearer_of(request: Request) -> str | None:
    """The bearer token of a request; None when it shows none."""
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def principal_of_request(request: Request) -> Principal:
    """The acting principal of a request: by its token, else the user that it names, else the socket's owner.

    Raises NotLoggedIn, UserSuspended, InvalidInput, NotPermitted also for a token with the name of somebody else.
    """
    service = service_dependency(request)
    request_id: str = request.state.request_id
    named = request.headers.get(USER_HEADER)
    if (token := bearer_of(request)) is not None:
        principal = tokens.principal_of(service, token, request_id)
        identity.require_own_name(principal, named)
        return principal
    return identity.acting_principal(service, named, request_id)


def principal_dependency(
    request: Request,
    _bearer: Annotated[object, Security(_BEARER)],
    _registry_user: Annotated[
        str | None, Header(alias=USER_HEADER, description="Acts as this user instead of the socket's owner")
    ] = None,
) -> Principal:
    """The acting principal, under the request's ID."""
    return principal_of_request(request)


@dataclass(frozen=True)
class PageQuery:
    """Which page of a list is wanted."""

    page_size: int
    page_token: str | None


def page_dependency(
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
    page_token: Annotated[str | None, Query(max_length=4096)] = None,
) -> PageQuery:
    """`page_size` and `page_token`."""
    return PageQuery(page_size, page_token)


def _checked_name(name: str) -> str:
    if found := names.problem(name):
        raise PydanticCustomError("name", "{problem}", {"problem": found})
    return name


#: A query parameter that names a resource: `environment: NameIn | None = None`.
NameIn = Annotated[str, AfterValidator(_checked_name), Query(max_length=10_000)]


def version_dependency(
    if_match: Annotated[
        str | None,
        Header(alias="If-Match", pattern=r'^("?[0-9]{1,15}"?|\*)$', description="Only if it has this version"),
    ] = None,
) -> int | None:
    """The version that a change replaces; None for any."""
    return None if if_match in (None, "*") else int(if_match.strip('"'))


#: For route functions: `def route(service: ServiceIn, principal: Acting, page: PageIn) -> …`.
ServiceIn = Annotated[Service, Depends(service_dependency)]
Acting = Annotated[Principal, Depends(principal_dependency)]
PageIn = Annotated[PageQuery, Depends(page_dependency)]
VersionIn = Annotated[int | None, Depends(version_dependency)]
