"""ID tokens of the issuer: checked by its keys, which are fetched again when it changes them."""

from __future__ import annotations

import base64
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import (
    ExceededSizeError,
    ExpiredTokenError,
    InvalidClaimError,
    InvalidKeyIdError,
    JoseError,
    MissingClaimError,
    UnsupportedAlgorithmError,
)
from joserfc.jwk import KeySet

from registry_tui.contracts.counts import counted
from registry_tui.schemas.sign_in import Configuration, IssuerSettings
from registry_tui.service.access.issuer_answers import IssuerUnavailable, configuration_of, keys_of
from registry_tui.service.core.context import Service
from registry_tui.service.errors import NotPermitted

#: Accepted signature algorithms of ID tokens: by an issuer's private key only, never HMAC or none.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
#: Characters that a header may have: some issuers put the certificates of their key there.
_LONGEST_HEADER = 8192
#: Seconds by which the clocks of the issuer and of this machine may differ.
LEEWAY = 60
#: Seconds after which an ID token is too old for a sign-in.
YOUNG = 600
#: Seconds that keys are used before they are fetched again, and fetches for unknown keys in a minute.
KEYS_KEPT, MOST_FETCHES = 300.0, 6
#: Seconds in which an issuer that did not respond is not tried again.
FAILURE_KEPT = 3.0
_NO_SIGNATURE = "does not carry a signature of the issuer's"
_BY_THE_CLOCK = "by the clock of the service's machine"
_AGAIN = "Sign in again: `registry-tui login URL --oidc`"


class SignInRefused(NotPermitted):
    """The issuer's claims about somebody do not let them in."""

    code, title = "sign-in-refused", "The sign-in was refused"


@dataclass(frozen=True)
class _Fetched:
    issuer: tuple[str, str]
    configuration: Configuration
    keys: KeySet
    at: float


class IssuerKeys:
    """The keys and the description of the issuer, as they were fetched last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._last: _Fetched | None = None
        self._fetches: deque[float] = deque(maxlen=MOST_FETCHES)
        #: The last failure to fetch, and its time: people who wait for an unreachable issuer must not queue up.
        self._failed: tuple[float, IssuerSettings, IssuerUnavailable] | None = None

    def of(self, settings: IssuerSettings) -> KeySet:
        """Its keys. Raises IssuerUnavailable."""
        return self._known(settings).keys

    def configuration_of(self, settings: IssuerSettings) -> Configuration:
        """The issuer's OpenID configuration. Raises IssuerUnavailable."""
        return self._known(settings).configuration

    def forget(self) -> None:
        """Discards the cache: they are fetched again the next time."""
        self._last = self._failed = None

    def _known(self, settings: IssuerSettings) -> _Fetched:
        last = self._last
        fresh = last is not None and self.clock() - last.at < KEYS_KEPT
        if last is not None and fresh and last.issuer == (settings.url, settings.authority):
            return last
        return self._fetch(settings)

    def changed(self, settings: IssuerSettings) -> KeySet | None:
        """Its keys, fetched because one is not known; None if that happened too often in the last minute.

        Raises IssuerUnavailable.
        """
        if len(self._fetches) == MOST_FETCHES and self.clock() - self._fetches[0] < 60:
            return None
        return self._fetch(settings).keys

    def _fetch(self, settings: IssuerSettings) -> _Fetched:
        now = self.clock()
        if self._failed is not None and now - self._failed[0] < FAILURE_KEPT and self._failed[1] == settings:
            error = self._failed[2]
            raise IssuerUnavailable(error.detail, action=error.action)
        self._fetches.append(now)
        try:
            configuration = configuration_of(settings.url, settings.authority)
            keys = keys_of(configuration, settings.authority)
            self._last = _Fetched((settings.url, settings.authority), configuration, keys, now)
        except IssuerUnavailable as error:
            self._failed = (self.clock(), settings, error)
            raise
        return self._last


def forget(service: Service) -> None:
    """Discards the cached keys and configuration of the issuer: its settings were changed."""
    with service.locks.of("issuer keys"):
        service.kept.of(IssuerKeys).forget()


def configuration(service: Service, settings: IssuerSettings) -> Configuration:
    """The issuer's OpenID configuration. Raises IssuerUnavailable."""
    known = service.kept.of(IssuerKeys)
    with service.locks.of("issuer keys"):
        return known.configuration_of(settings)


def claims_of(service: Service, settings: IssuerSettings, id_token: str) -> Mapping[str, Any]:
    """The claims of an ID token, after checks that it is the issuer's, for this service, and new.

    Raises SignInRefused, IssuerUnavailable.
    """
    known = service.kept.of(IssuerKeys)
    with service.locks.of("issuer keys"):
        keys = known.of(settings)
    try:
        token = _decoded(id_token, keys)
    except InvalidKeyIdError as error:
        with service.locks.of("issuer keys"):
            fetched = known.changed(settings)
        if fetched is None:
            raise _refused("is signed with a key that the issuer does not show") from error
        try:
            token = _decoded(id_token, fetched)
        except InvalidKeyIdError as unknown:
            raise _refused("is signed with a key that the issuer does not show") from unknown
    _check_header(token.header)
    _check_claims(settings, token.claims)
    return token.claims


def _decoded(id_token: str, keys: KeySet) -> jwt.Token:
    registry = jws.JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
    registry.max_header_length = _LONGEST_HEADER
    try:
        return jwt.decode(id_token, keys, algorithms=list(ALGORITHMS), registry=registry)
    except InvalidKeyIdError:
        raise
    except UnsupportedAlgorithmError as error:
        taken = f"is signed with {_algorithm(id_token)}, which is not taken here; those are {', '.join(ALGORITHMS)}"
        raise _refused(f"{_NO_SIGNATURE}: it {taken}") from error
    except ExceededSizeError as error:
        size = counted(_LONGEST_HEADER, "character")
        raise _refused(f"{_NO_SIGNATURE} that can be checked here: its header has more than {size}") from error
    except (JoseError, ValueError, TypeError) as error:
        raise _refused(_NO_SIGNATURE) from error


def _algorithm(id_token: str) -> str:
    """The algorithm in a token's header, unverified."""
    head = id_token.partition(".")[0]
    try:
        named = json.loads(base64.urlsafe_b64decode(f"{head}==="))["alg"]
    except (ValueError, KeyError, TypeError, RecursionError):
        named = None
    return repr(named[:40]) if isinstance(named, str) else "no algorithm"


def _check_header(header: Mapping[str, Any]) -> None:
    """Refuses tokens for other purposes (access, logout), which may be signed with the same keys (RFC 8725, 3.11)."""
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise _refused(f"is a token of another kind, {str(kind)[:40]!r}")


def _check_claims(settings: IssuerSettings, claims: dict[str, Any]) -> None:
    """Checks a token's claims (OpenID Connect Core, 3.1.3.7). Raises SignInRefused."""
    registry = jwt.JWTClaimsRegistry(
        leeway=LEEWAY,
        iss={"essential": True, "value": settings.url},
        aud={"essential": True, "value": settings.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        registry.validate(claims)
    except ExpiredTokenError as error:
        raise _refused(f"has expired {_BY_THE_CLOCK}") from error
    except MissingClaimError as error:
        raise _refused("lacks claims that an ID token has") from error
    except InvalidClaimError as error:
        raise _refused(_wrong(settings, claims)) from error
    authorized = claims.get("azp")
    if authorized is None and isinstance(claims["aud"], list) and len(claims["aud"]) > 1:
        raise _refused("is for several audiences and does not say for which program (azp)")
    if authorized is not None and authorized != settings.client_id:
        raise _refused(f"was given to another program than {settings.client_id}")
    if claims["iat"] < time.time() - YOUNG - LEEWAY:
        raise _refused(f"was issued more than {YOUNG // 60} minutes ago {_BY_THE_CLOCK}")


def _wrong(settings: IssuerSettings, claims: Mapping[str, Any]) -> str:
    """The reason for a claim that is not accepted, in words."""
    if claims["iss"] != settings.url:
        return f"is not one of {settings.url}"
    audience = claims["aud"]
    if settings.client_id not in (audience if isinstance(audience, list) else [audience]):
        return f"is for another audience than {settings.client_id}"
    return f"is not valid yet {_BY_THE_CLOCK}, or has claims that are not of their kind"


def _refused(why: str) -> SignInRefused:
    return SignInRefused(f"The ID token {why}", action=_AGAIN)
