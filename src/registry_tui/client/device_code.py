"""Signing in at an OpenID provider with a device code (RFC 8628): the user confirms in any browser, this program waits.

The program polls the provider itself, or the service where that alone has the client's secret.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from registry_tui.client import tls
from registry_tui.client.errors import (
    RegistryError,
    ServiceProblem,
    ServiceUnavailable,
    UntrustedCertificate,
    may_be_done,
)
from registry_tui.client.sign_in import SignIn
from registry_tui.contracts import issuers
from registry_tui.contracts.tls_addresses import has_tls
from registry_tui.schemas.base import Schema
from registry_tui.schemas.people import NewUserToken
from registry_tui.schemas.sign_in import (
    Configuration,
    DeviceCode,
    DeviceCodeProof,
    DeviceWait,
    IdTokenText,
    Issuer,
)

#: Maximum seconds between polls while the issuer does not respond.
LONGEST_INTERVAL = 60.0
#: Seconds added to the interval on the issuer's `slow_down` (RFC 8628, 3.5).
SLOWER = 5.0

Answer = TypeVar("Answer", bound=BaseModel)
Found = TypeVar("Found", str, NewUserToken)
Sleep = Callable[[float], Awaitable[None]]
Clock = Callable[[], float]


class _Tokens(Schema):
    id_token: IdTokenText | None = Field(default=None, repr=False)


class _Error(Schema):
    error: str = Field(max_length=100, pattern=r"^[\x20-\x7e]+$")


class SignInFailed(RegistryError):
    """The issuer rejected the sign-in: denied, too late, or not configured for it."""


class DeviceSignIn:
    """One sign-in at an issuer, `async with`."""

    def __init__(
        self,
        issuer: Issuer,
        *,
        sleep: Sleep = asyncio.sleep,
        clock: Clock = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Raises SignInFailed if the issuer's address is not safe to connect to."""
        if (found := issuers.problem(issuer.url)) is not None:
            raise SignInFailed(f"The service names an issuer whose address {found}: {issuer.url[:200]!r}")
        self._issuer, self._sleep, self._clock = issuer, sleep, clock
        self._http = httpx.AsyncClient(
            timeout=issuers.PATIENCE,
            transport=transport,
            # Without TLS it is on this machine: no proxy may respond in its place.
            trust_env=has_tls(issuer.url),
            verify=_trusted_by(issuer.authority),
            headers={"Accept": "application/json"},
        )
        self._token_endpoint = ""

    async def __aenter__(self) -> DeviceSignIn:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def begin(self) -> DeviceCode:
        """The code that the user types at the issuer. Raises SignInFailed, ServiceUnavailable."""
        found = self._read(await self._ask("GET", issuers.configuration_url(self._issuer.url)), Configuration)
        if not issuers.same(found.issuer, self._issuer.url) or found.device_authorization_endpoint is None:
            raise SignInFailed(
                f"{self._issuer.url} does not give device codes",
                action="Sign in with a token; ask the administrator of the service to mend it",
            )
        for each in (found.token_endpoint, found.device_authorization_endpoint):
            if (wrong := issuers.endpoint_problem(each, self._issuer.url)) is not None:
                raise SignInFailed(
                    f"The issuer {self._issuer.url} names an address that cannot be used, {each[:200]!r}: it {wrong}"
                )
        self._token_endpoint = found.token_endpoint
        form = {"client_id": self._issuer.client_id, "scope": self._issuer.scopes}
        return self._read(await self._ask("POST", found.device_authorization_endpoint, form), DeviceCode)

    async def id_token(self, code: DeviceCode, note: Callable[[str], None]) -> str:
        """Waits until the user has confirmed; returns the issuer's ID token. `note` is called with news about the
        waiting.

        Raises SignInFailed if the user denies it, or does not respond in time; ServiceUnavailable if the issuer does
        not respond.
        """
        form = {
            "grant_type": issuers.DEVICE_GRANT,
            "device_code": code.device_code,
            "client_id": self._issuer.client_id,
        }

        async def ask() -> str | DeviceWait:
            answer = await self._ask("POST", self._token_endpoint, form)
            if answer.status_code == httpx.codes.OK:
                token = self._read(answer, _Tokens).id_token
                if token is None:
                    raise SignInFailed(
                        f"{self._issuer.url} answered without an ID token",
                        action="Tell the administrator: the scope openid is missing, or not permitted there",
                    )
                return token
            error_code = self._read(answer, _Error).error
            if error_code in set(DeviceWait):
                return DeviceWait(error_code)
            if error_code == "access_denied":
                raise SignInFailed("The sign-in was denied at the issuer", action="Sign in again, and allow it there")
            if error_code == "expired_token":
                raise _expired()
            raise self._refused(error_code)

        return await _answered(code, ask, note, self._sleep, self._clock)

    async def _ask(self, method: str, url: str, form: dict[str, str] | None = None) -> httpx.Response:
        """A response of the issuer. Raises ServiceUnavailable without a response, and for status 429 and 5xx."""
        try:
            async with self._http.stream(method, url, data=form) as answer:
                body = bytearray()
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > issuers.MOST_BYTES:
                        raise ServiceUnavailable(f"{self._issuer.url} answers with too much")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if (refused := tls.verification_error(error)) is not None:
                authority = bool(self._issuer.authority)
                raise tls.untrusted_issuer(refused, self._issuer.url, authority=authority) from error
            raise ServiceUnavailable(
                f"The issuer {self._issuer.url} does not answer",
                action="Check that this machine reaches it, then sign in again; or sign in with a token",
            ) from error
        if answer.status_code >= 500 or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise ServiceUnavailable(
                f"The issuer {self._issuer.url} answers with status {answer.status_code}", action="Sign in again later"
            )
        return httpx.Response(answer.status_code, content=bytes(body))

    def _read(self, answer: httpx.Response, kind: type[Answer]) -> Answer:
        """Raises SignInFailed for an error, or for an unexpected response."""
        try:
            if answer.status_code != httpx.codes.OK and kind is not _Error:
                raise self._refused(_Error.model_validate_json(answer.content).error)
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise SignInFailed(
                f"{self._issuer.url} answers (status {answer.status_code}) as an OpenID provider does not",
                action="Sign in with a token; ask the administrator of the service to mend it",
            ) from error

    def _refused(self, code: str) -> SignInFailed:
        return SignInFailed(
            f"{self._issuer.url} refuses the sign-in: {code}",
            action="Tell the administrator: `registry-tui oidc set` tries the issuer again",
        )


async def token_by_service(
    service: SignIn,
    code: DeviceCode,
    note: Callable[[str], None],
    *,
    sleep: Sleep = asyncio.sleep,
    clock: Clock = time.monotonic,
) -> str:
    """Waits until the user has confirmed a code that the service requested; returns the service's token.

    Raises SignInFailed, Refused if the user denies it, or does not respond in time; ServiceUnavailable if the issuer
    does not respond.
    """
    proof = DeviceCodeProof(device_code=code.device_code)

    async def ask() -> NewUserToken | DeviceWait:
        try:
            answer = await service.sign_in_with_device_code(proof)
        except ServiceProblem as error:
            if not may_be_done(error) and error.problem.status != httpx.codes.TOO_MANY_REQUESTS:
                raise
            raise ServiceUnavailable(error.message, action=error.action, request_id=error.request_id) from error
        if answer.signed_in is None:
            return answer.waiting or DeviceWait.PENDING
        return answer.signed_in

    return (await _answered(code, ask, note, sleep, clock)).token


async def _answered(
    code: DeviceCode,
    ask: Callable[[], Awaitable[Found | DeviceWait]],
    note: Callable[[str], None],
    sleep: Sleep,
    clock: Clock,
) -> Found:
    """Polls at the issuer's interval, until there is a result or the code has expired."""
    ends, interval = clock() + code.expires_in, max(code.interval, 1.0)
    away: ServiceUnavailable | None = None
    while True:
        await sleep(min(interval, max(ends - clock(), 0.0)))
        if clock() >= ends:
            raise away or _expired()
        try:
            found = await ask()
        except UntrustedCertificate:
            raise
        except ServiceUnavailable as error:
            if away is None:
                note(f"{error.message}; trying again")
            away, interval = error, min(interval * 2, LONGEST_INTERVAL)
            continue
        away = None
        if not isinstance(found, DeviceWait):
            return found
        if found is DeviceWait.SLOWER:
            interval += SLOWER


def _trusted_by(authority: str) -> ssl.SSLContext:
    try:
        return tls.trusting(authority)
    except (ssl.SSLError, ValueError) as error:
        raise SignInFailed("The service names an authority of the issuer that is not a certificate") from error


def _expired() -> SignInFailed:
    return SignInFailed("The code has expired: nobody allowed the sign-in in time", action="Sign in again")
