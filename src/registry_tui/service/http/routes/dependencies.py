"""FastAPI dependencies of routes: the service, the acting principal, and the page wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from registry_tui.contracts import names
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service


def service_dependency(request: Request) -> Service:
    """The service that this app was made for."""
    service: Service = request.app.state.service
    return service


def principal_dependency(
    request: Request,
    service: Annotated[Service, Depends(service_dependency)],
    registry_user: Annotated[
        str | None, Header(alias="X-Registry-User", description="Acts as this user instead of the socket's owner")
    ] = None,
) -> Principal:
    """The acting principal, under the request's ID."""
    return identity.acting_principal(service, registry_user, request.state.request_id)


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

#: For route functions: `def route(service: ServiceIn, principal: Acting, page: PageIn) -> …`.
ServiceIn = Annotated[Service, Depends(service_dependency)]
Acting = Annotated[Principal, Depends(principal_dependency)]
PageIn = Annotated[PageQuery, Depends(page_dependency)]
