"""Signing in at an OpenID provider: its public settings, all its settings, and an ID token as proof."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema
from registry_tui.schemas.people import NewUserToken

#: A URL, which the service checks further.
IssuerUrl = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[\x21-\x7e]+$")]
#: Certificates (PEM) of the authorities that sign a private issuer's.
Authority = Annotated[str, Field(max_length=100_000, pattern=r"^[\t\n\r\x20-\x7e]*$")]
IdTokenText = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"^[A-Za-z0-9_.-]+$")]
_Claim = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,200}$")]
#: RFC 6749, appendix A.2.
_ClientSecret = Annotated[str, Field(max_length=500, pattern=r"^[\x20-\x7e]*$")]
_Visible = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[\x20-\x7e]+$")]
_Scopes = Annotated[str, Field(max_length=500, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$")]


class Issuer(Schema):
    """The OpenID provider where people of this service sign in, as the program on their machine needs it."""

    url: str
    client_id: str
    #: Separated by spaces; `openid` is among them.
    scopes: str = "openid profile"
    authority: Authority = ""
    #: Whether the client has a secret, which only the service knows: it then requests device codes itself.
    confidential: bool = False


class SignInWays(Schema):
    """The ways to sign in here, besides with an existing token."""

    issuer: Issuer | None = None


class IssuerSettings(Issuer):
    """How the issuer's people become people of this service."""

    #: The claim of the ID token that holds the user's name here.
    user_claim: str = "preferred_username"
    #: The claim with the names of the person's groups; empty: groups are not taken from the issuer.
    groups_claim: str = ""
    #: Whether unknown people become users when they sign in.
    create_users: bool = False
    #: Lifetime of a token obtained by signing in, in hours.
    token_hours: int = 12


class IssuerChange(RequestSchema):
    """The settings of an issuer; replaces the one before.

    Without a client secret, that of the same client at the same issuer stays; an empty one removes it.
    """

    url: IssuerUrl
    client_id: str = Field(min_length=1, max_length=200, pattern=r"^[\x20-\x7e]+$")
    scopes: _Scopes = "openid profile"
    authority: Authority = ""
    client_secret: _ClientSecret | None = Field(default=None, repr=False)
    user_claim: _Claim = "preferred_username"
    groups_claim: _Claim | None = None
    create_users: bool = False
    token_hours: int = Field(default=12, ge=1, le=24 * 365)


class IdToken(RequestSchema):
    """A fresh ID token of the issuer, unchanged."""

    id_token: IdTokenText = Field(repr=False)


class DeviceCode(Schema):
    """An issuer's response at the beginning of a sign-in (RFC 8628, 3.2)."""

    device_code: str = Field(min_length=1, max_length=8000, repr=False)
    user_code: _Visible
    verification_uri: _Visible
    verification_uri_complete: _Visible | None = None
    expires_in: float = Field(gt=0)
    interval: float = Field(default=5.0, ge=0)


class DeviceCodeProof(RequestSchema):
    """The device code of a sign-in that a person approves at the issuer."""

    device_code: str = Field(min_length=1, max_length=8000, pattern=r"^[\x21-\x7e]+$", repr=False)


class DeviceWait(StrEnum):
    """Why a device code has no result yet (RFC 8628, 3.5)."""

    PENDING = "authorization_pending"
    SLOWER = "slow_down"


class DeviceSignedIn(Schema):
    """The result of polling a device code: the token once the person approved, or the reason to poll again."""

    waiting: DeviceWait | None = None
    signed_in: NewUserToken | None = Field(default=None, repr=False)


class Configuration(Schema):
    """An issuer's metadata (OpenID Connect Discovery, 3; RFC 8628, 4), as far as used here."""

    issuer: str
    jwks_uri: str
    token_endpoint: str
    device_authorization_endpoint: str | None = None
    #: Default: a client sends its secret with HTTP basic authentication (OpenID Connect Discovery, 3).
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]
