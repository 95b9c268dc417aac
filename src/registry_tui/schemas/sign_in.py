"""Signing in at an OpenID provider: what everybody may know of it, its settings, and an ID token as proof."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema

#: A URL, which the service checks further.
IssuerUrl = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[\x21-\x7e]+$")]
#: Certificates (PEM) of the authorities that sign a private issuer's.
Authority = Annotated[str, Field(max_length=100_000, pattern=r"^[\t\n\r\x20-\x7e]*$")]
IdTokenText = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"^[A-Za-z0-9_.-]+$")]
_Claim = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,200}$")]
_Scopes = Annotated[str, Field(max_length=500, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$")]


class Issuer(Schema):
    """The OpenID provider where people of this service sign in, as the program on their machine needs it."""

    url: str
    client_id: str
    #: Separated by spaces; `openid` is among them.
    scopes: str = "openid profile"
    authority: Authority = ""


class SignInWays(Schema):
    """How people sign in here, beside with a token that they have."""

    issuer: Issuer | None = None


class IssuerSettings(Issuer):
    """How the issuer's people become people of this service."""

    #: The claim of the ID token that holds the user's name here.
    user_claim: str = "preferred_username"
    #: The claim with the names of the person's groups; empty: the issuer decides about no groups.
    groups_claim: str = ""
    #: Whether people whom nobody knows here become users when they sign in.
    create_users: bool = False
    #: Hours that a token lasts which somebody gets by signing in.
    token_hours: int = 12


class IssuerChange(RequestSchema):
    """The settings of an issuer; it takes the place of the one before."""

    url: IssuerUrl
    client_id: str = Field(min_length=1, max_length=200, pattern=r"^[\x20-\x7e]+$")
    scopes: _Scopes = "openid profile"
    authority: Authority = ""
    user_claim: _Claim = "preferred_username"
    groups_claim: _Claim | None = None
    create_users: bool = False
    token_hours: int = Field(default=12, ge=1, le=24 * 365)


class IdToken(RequestSchema):
    """An ID token that the issuer just gave, as it came."""

    id_token: IdTokenText = Field(repr=False)


class Configuration(Schema):
    """What an issuer says of itself (OpenID Connect Discovery, 3; RFC 8628, 4), as far as it matters here."""

    issuer: str
    jwks_uri: str
    token_endpoint: str
    device_authorization_endpoint: str | None = None
