"""Signing in at an OpenID provider, and its settings. Four of the routes are open to everybody."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from registry_tui.schemas.people import NewUserToken
from registry_tui.schemas.sign_in import (
    DeviceCode,
    DeviceCodeProof,
    DeviceSignedIn,
    IdToken,
    IssuerChange,
    IssuerSettings,
    SignInWays,
)
from registry_tui.service.access import device_codes, issuers, signing_in
from registry_tui.service.http.routes.dependencies import Acting, ServiceIn
from registry_tui.service.http.routes.keyed import FOR_NOBODY, new_router

router = new_router("sign-in")


def request_id_dependency(request: Request) -> str:
    """The request's ID."""
    found: str = request.state.request_id
    return found


RequestId = Annotated[str, Depends(request_id_dependency)]


@router.get("/sign-in", openapi_extra=FOR_NOBODY)
def sign_in_ways(service: ServiceIn) -> SignInWays:
    """The ways to sign in other than with a token; for everybody."""
    return issuers.ways(service)


@router.post("/sign-in/id-token", status_code=201, openapi_extra=FOR_NOBODY)
def sign_in(service: ServiceIn, request_id: RequestId, request: IdToken) -> NewUserToken:
    """A token for the person named by a new ID token of the issuer; only this response contains it."""
    return signing_in.sign_in(service, request, request_id)


@router.post("/sign-in/device-code", status_code=201, openapi_extra=FOR_NOBODY)
def new_device_code(service: ServiceIn) -> DeviceCode:
    """A code that a person types at the issuer, where the service alone has the client's secret."""
    return device_codes.new_code(service)


@router.post("/sign-in/device-token", openapi_extra=FOR_NOBODY)
def sign_in_with_device_code(service: ServiceIn, request_id: RequestId, request: DeviceCodeProof) -> DeviceSignedIn:
    """A token for the person who allowed the sign-in with a code; before that, the reason to poll again."""
    return device_codes.sign_in(service, request, request_id)


@router.get("/sign-in/issuer")
def get_issuer(service: ServiceIn, principal: Acting) -> IssuerSettings:
    """The issuer's settings; for administrators."""
    return issuers.get_issuer(service, principal)


@router.put("/sign-in/issuer")
def set_issuer(service: ServiceIn, principal: Acting, change: IssuerChange) -> IssuerSettings:
    """Lets people sign in at an issuer from now on, after a successful try; for administrators."""
    return issuers.set_issuer(service, principal, change)


@router.delete("/sign-in/issuer", status_code=204)
def delete_issuer(service: ServiceIn, principal: Acting) -> None:
    """Lets people sign in with tokens only; for administrators."""
    issuers.delete_issuer(service, principal)
