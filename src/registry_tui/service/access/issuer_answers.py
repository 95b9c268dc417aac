"""Requests of the service to an OpenID provider: its configuration, keys, device codes, and the state of a code."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet
from pydantic import BaseModel, Field, ValidationError

from registry_tui.client import tls
from registry_tui.contracts import issuers
from registry_tui.contracts.tls_addresses import has_tls
from registry_tui.schemas.base import Schema
from registry_tui.schemas.sign_in import Configuration, DeviceCode, DeviceWait, IdTokenText, IssuerSettings
from registry_tui.service.adapters.http_reasons import reason_of
from registry_tui.service.errors import PartUnavailable

_KEY_TYPES = ("RSA", "EC", "OKP")
_CHECK = "Check its address: `registry-tui oidc show`; then try again in a moment"
#: Client authentication methods (OpenID Connect Core, 9), the best first.
_BASIC, _POST = "client_secret_basic", "client_secret_post"

Answer = TypeVar("Answer", bound=BaseModel)


class _Keys(Schema):
    keys: list[dict[str, Any]]


class _Error(Schema):
    error: str = Field(max_length=60, pattern=r"^[\x20-\x7e]+$")


class _Tokens(Schema):
    id_token: IdTokenText | None = Field(default=None, repr=False)


class IssuerUnavailable(PartUnavailable):
    """The issuer does not respond as an OpenID provider does; the reason is for people."""

    code, title = "issuer-unavailable", "The issuer does not answer"


class RefusedByIssuer(Exception):
    """The issuer refuses this service's client, or a device code; `code` is its error code, or empty."""

    def __init__(self, what: str, status: int, code: str) -> None:
        super().__init__(f"no {what}: {status} {code}")
        self.what, self.status, self.code = what, status, code


@dataclass(frozen=True)
class IssuerClient:
    """This service's client at an issuer, with its secret where it has one."""

    settings: IssuerSettings
    configuration: Configuration
    secret: str = field(default="", repr=False)

    def device_code(self) -> DeviceCode:
        """A new code for a person. Raises RefusedByIssuer, IssuerUnavailable."""
        url = str(self.configuration.device_authorization_endpoint)
        status, body = self._asked(url, {"scope": self.settings.scopes})
        if status != httpx.codes.OK:
            raise RefusedByIssuer("device code", status, _error_of(body))
        return _read(url, body, DeviceCode)

    def tokens(self, device_code: str) -> str | DeviceWait:
        """The ID token of a person who allowed the sign-in, or the reason to poll again.

        Raises RefusedByIssuer, IssuerUnavailable.
        """
        url = self.configuration.token_endpoint
        form = {"grant_type": issuers.DEVICE_GRANT, "device_code": device_code}
        status, body = self._asked(url, form)
        if status != httpx.codes.OK:
            code = _error_of(body)
            if code in set(DeviceWait):
                return DeviceWait(code)
            raise RefusedByIssuer("token", status, code)
        found = _read(url, body, _Tokens).id_token
        if found is None:
            raise IssuerUnavailable(
                f"The issuer {self.settings.url} answered without an ID token",
                action="Tell the administrator: the scope openid is missing, or not permitted there",
            )
        return found

    def _asked(self, url: str, form: dict[str, str]) -> tuple[int, bytes]:
        """Status and body of the response to a form of the client's. Raises IssuerUnavailable."""
        sent, headers = {"client_id": self.settings.client_id, **form}, {}
        if self.secret:
            ways = self.configuration.token_endpoint_auth_methods_supported
            if _BASIC in ways:
                # RFC 6749, 2.3.1: both are encoded first. A space as %20, which every way of decoding reads.
                both = ":".join(quote(each, safe="") for each in (self.settings.client_id, self.secret))
                headers["Authorization"] = f"Basic {base64.b64encode(both.encode()).decode()}"
            elif _POST in ways:
                sent["client_secret"] = self.secret
            else:
                raise IssuerUnavailable(
                    f"The issuer {self.settings.url} takes no client secret, neither as {_BASIC} nor as {_POST}",
                    action="Allow one of the two for the client there",
                )
        status, body = _answer("POST", url, self.settings.authority, sent, headers)
        if status >= 500 or status == httpx.codes.TOO_MANY_REQUESTS:
            raise IssuerUnavailable(f"{url} answers with status {status}", action=_CHECK)
        return status, body


def configuration_of(url: str, authority: str) -> Configuration:
    """An issuer's OpenID configuration. Raises IssuerUnavailable, also for one without device codes."""
    found = fetch(issuers.configuration_url(url), authority, Configuration)
    if not issuers.same(found.issuer, url):
        raise IssuerUnavailable(
            f"{url} describes another issuer, {found.issuer[:200]!r}", action="Name the issuer as it names itself"
        )
    if found.device_authorization_endpoint is None:
        raise IssuerUnavailable(
            f"The issuer {url} gives no device codes: it has no device_authorization_endpoint",
            action="Allow the device authorization grant (RFC 8628) there",
        )
    for each in (found.jwks_uri, found.token_endpoint, found.device_authorization_endpoint):
        if (wrong := issuers.endpoint_problem(each, url)) is not None:
            raise IssuerUnavailable(
                f"The issuer {url} names an address that cannot be used, {each[:200]!r}: it {wrong}",
                action="Have it name addresses that begin as its own does",
            )
    return found


def keys_of(configuration: Configuration, authority: str) -> KeySet:
    """The keys that an issuer signs with. Raises IssuerUnavailable, also for one that shows none."""
    keys = KeySet(_usable(fetch(configuration.jwks_uri, authority, _Keys).keys))
    if not keys.keys:
        raise IssuerUnavailable(
            f"The issuer {configuration.issuer} has no key that can be used for signatures",
            action="Have it sign ID tokens with a key of its own, RSA or EC, not with a secret",
        )
    return keys


def fetch(url: str, authority: str, kind: type[Answer]) -> Answer:
    """A document of an issuer. Raises IssuerUnavailable."""
    status, body = _answer("GET", url, authority)
    if status != httpx.codes.OK:
        raise IssuerUnavailable(f"{url} answers with status {status}", action=_CHECK)
    return _read(url, body, kind)


# -- underneath -------------------------------------------------------------------------------------------


def _answer(
    method: str,
    url: str,
    authority: str,
    form: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    """Status and body of an issuer's response. Raises IssuerUnavailable."""
    try:
        with _client(url, authority) as http, http.stream(method, url, data=form, headers=headers) as answer:
            body = bytearray()
            for part in answer.iter_bytes():
                body += part
                if len(body) > issuers.MOST_BYTES:
                    raise IssuerUnavailable(f"{url} answers with more than {issuers.MOST_BYTES >> 20} MiB")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if (refused := tls.verification_error(error)) is not None:
            why = tls.untrusted_issuer(refused, url, authority=bool(authority))
            raise IssuerUnavailable(why.message, action=why.action) from error
        raise IssuerUnavailable(f"{url} does not answer: {reason_of(error)}", action=_CHECK) from error
    return answer.status_code, bytes(body)


def _client(url: str, authority: str) -> httpx.Client:
    """A client for one request to an issuer: follows no redirects, and without TLS uses no proxy."""
    secure = has_tls(url)
    return httpx.Client(
        timeout=issuers.PATIENCE,
        trust_env=secure,
        verify=_trusted_by(authority) if secure else False,
        headers={"Accept": "application/json"},
    )


def _trusted_by(authority: str) -> ssl.SSLContext:
    """The TLS context that checks an issuer's certificate. Raises IssuerUnavailable."""
    try:
        return tls.trusting(authority)
    except (ssl.SSLError, ValueError) as error:
        raise IssuerUnavailable("The issuer's authority is not a certificate (PEM)") from error


def _read(url: str, body: bytes, kind: type[Answer]) -> Answer:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise IssuerUnavailable(f"{url} is not a document of an OpenID provider", action=_CHECK) from error


def _error_of(body: bytes) -> str:
    """The error code of a response, if it has one (RFC 6749, 5.2)."""
    try:
        return _Error.model_validate_json(body).error
    except ValidationError:
        return ""


def _usable(keys: list[dict[str, Any]]) -> list[Key]:
    """Public keys for signatures; others (for encryption, secrets, kinds not known here) are left out."""
    found = []
    for each in keys:
        if each.get("kty") not in _KEY_TYPES or each.get("use", "sig") != "sig":
            continue
        try:
            found.append(JWKRegistry.import_key(each))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return found
