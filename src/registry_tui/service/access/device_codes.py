"""Device codes (RFC 8628). The service requests them itself, since only it has the secret of its client.

People's machines never get the secret: with it, they could act as this service towards the issuer.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from registry_tui.schemas.sign_in import DeviceCode, DeviceCodeProof, DeviceSignedIn, DeviceWait, IdToken
from registry_tui.service.access import id_tokens, issuers, signing_in
from registry_tui.service.access.id_tokens import SignInRefused
from registry_tui.service.access.issuer_answers import IssuerClient, IssuerUnavailable, RefusedByIssuer
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import Missing

#: The issuer's error codes for a person's decision (RFC 8628, 3.5), and our texts.
_ENDED = {
    "access_denied": ("The sign-in was denied at the issuer", "Sign in again, and allow it there"),
    "expired_token": ("The code has expired: nobody allowed the sign-in in time", "Sign in again"),
}
#: Error codes for a client that is not set up for this (RFC 6749, 5.2); all others are about the device code.
_CLIENT = frozenset({"", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"})
#: Seconds between two polls for a code whose interval is not known (RFC 8628, 3.2), and the minimum for any code.
_INTERVAL, _LEAST_INTERVAL = 5.0, 1.0
#: Codes that are remembered; the oldest are dropped.
_REMEMBERED = 10_000


class Questions:
    """When the issuer was polled for each code: people who are not signed in cannot make the service poll without a
    pause.

    Codes are kept as digests, and in this process only.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        #: Digest to the seconds between two polls, and the time of the last one, if any.
        self._codes: OrderedDict[bytes, tuple[float, float | None]] = OrderedDict()

    def begin(self, code: DeviceCode) -> None:
        """Remembers a new code, with the issuer's polling interval."""
        with self._guard:
            self._keep(_digest(code.device_code), max(code.interval, _LEAST_INTERVAL), None)

    def too_soon(self, device_code: str) -> bool:
        """Whether the last poll for a code is too recent; if not, this one is counted as made now."""
        digest, now = _digest(device_code), self._clock()
        with self._guard:
            interval, last = self._codes.get(digest, (_INTERVAL, None))
            # Half of it: requests of clients that keep to the interval may arrive closer together than they were sent.
            if last is not None and now - last < interval / 2:
                return True
            self._keep(digest, interval, now)
            return False

    def forget(self, device_code: str) -> None:
        """Forgets a code that has ended: the issuer reports that again if polled; refusals are counted elsewhere."""
        with self._guard:
            self._codes.pop(_digest(device_code), None)

    def _keep(self, digest: bytes, interval: float, last: float | None) -> None:
        self._codes[digest] = interval, last
        self._codes.move_to_end(digest)
        while len(self._codes) > _REMEMBERED:
            self._codes.popitem(last=False)


def _digest(device_code: str) -> bytes:
    return hashlib.sha256(device_code.encode()).digest()


def new_code(service: Service) -> DeviceCode:
    """A code that a person types at the issuer. Raises Missing, IssuerUnavailable."""
    client = _client(service)
    try:
        code = client.device_code()
    except RefusedByIssuer as error:
        raise _not_let_in(client, error) from error
    service.kept.of(Questions).begin(code)
    return code


def sign_in(service: Service, request: DeviceCodeProof, request_id: str) -> DeviceSignedIn:
    """A token for the person who allowed the sign-in; before that, the reason to poll again.

    Clients that poll too soon are answered "pending" without a request to the issuer.

    Raises Missing, SignInRefused, UserSuspended, IssuerUnavailable.
    """
    client = _client(service)
    nobody = Principal(identity.NOBODY, "", request_id)
    with events.refusals(service, nobody, signing_in.ACTION, Resource("user", "", ""), also_at_the_door=True):
        questions = service.kept.of(Questions)
        if questions.too_soon(request.device_code):
            return DeviceSignedIn(waiting=DeviceWait.PENDING)
        try:
            found = client.tokens(request.device_code)
        except RefusedByIssuer as error:
            if error.code in _CLIENT:
                raise _not_let_in(client, error) from error
            questions.forget(request.device_code)
            unknown = f"The issuer does not know the code, or it was used before ({error.code})", "Sign in again"
            detail, action = _ENDED.get(error.code, unknown)
            raise SignInRefused(detail, action=action) from error
    if isinstance(found, DeviceWait):
        return DeviceSignedIn(waiting=found)
    questions.forget(request.device_code)
    return DeviceSignedIn(signed_in=signing_in.sign_in(service, IdToken(id_token=found), request_id))


def _client(service: Service) -> IssuerClient:
    settings, secret = issuers.settings_of(service), issuers.client_secret_of(service)
    if settings is None or not secret:
        raise Missing(
            "The service asks no issuer for codes: it has none, or one that people's own programs ask",
            action="Sign in as `GET /api/v1/sign-in` says",
        )
    return IssuerClient(settings, id_tokens.configuration(service, settings), secret)


def _not_let_in(client: IssuerClient, error: RefusedByIssuer) -> IssuerUnavailable:
    """The error for a refusal of the client itself, about which the person can do nothing."""
    why = f"status {error.status}" + (f", {error.code}" if error.code else "")
    return IssuerUnavailable(
        f"{client.settings.url} gives this service no {error.what} ({why})",
        action="Tell the administrator: `registry-tui oidc set … --client-secret-file` tries the issuer again",
    )
