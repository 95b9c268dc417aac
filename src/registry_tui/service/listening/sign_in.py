"""Authentication over the network: a person's token, or a deployment's API key, everywhere and in each request."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from registry_tui.contracts.api_keys import PREFIX, TOKEN_PREFIX
from registry_tui.contracts.callers import source_of
from registry_tui.contracts.gateway_routes import RoutesFile
from registry_tui.gateway import access as api_keys
from registry_tui.gateway.access import Refusal
from registry_tui.gateway.problems import RETRY_AFTER
from registry_tui.schemas.operations import EventOutcome
from registry_tui.service.access import tokens
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import UserRow
from registry_tui.service.errors import ServiceError
from registry_tui.service.listening.failures import Failures

logger = logging.getLogger(__name__)

NOBODY = Principal(identity.NOBODY, "", "")
LOGIN = "Sign in with `registry-tui login URL`, or send `Authorization: Bearer TOKEN`"


#: Sign-ins with proof from elsewhere at the same time, in all and of one caller: each may have to wait for the issuer.
MOST_ATTEMPTS, MOST_ATTEMPTS_EACH = 8, 2


@dataclass(frozen=True, repr=False)
class Credential:
    """A request's token or API key, and the user's name where it came with one."""

    secret: str
    user: str = ""

    @property
    def named(self) -> str:
        """The account for which refused sign-ins are counted: the user's name, else the ID of the token or key."""
        prefix, _, rest = self.secret.partition("_")
        return self.user or (rest.partition("_")[0][:64] if prefix in (PREFIX, TOKEN_PREFIX) else "")

    @property
    def is_key(self) -> bool:
        """Whether it is looked up among the API keys: all but people's tokens are."""
        return not self.secret.startswith(f"{TOKEN_PREFIX}_")


class Refused(Exception):
    """A refused request, and the seconds until it may be sent again; 0: at once.

    `often`: there were many like it from its address, so that not each becomes an event.
    """

    def __init__(self, refusal: Refusal, retry_after: int = 0, *, often: bool = False) -> None:
        super().__init__(refusal.detail)
        self.refusal, self.retry_after, self.often = refusal, retry_after, often or refusal.status == 429


def credential_of(authorization: str | None) -> Credential:
    """The credential of a header `Authorization`: bearer, or basic with the token as password. Raises Refusal."""
    scheme, _, given = (authorization or "").strip().partition(" ")
    given = given.strip()
    if not authorization:
        raise _missing()
    if scheme.lower() == "bearer" and given:
        return Credential(given)
    if scheme.lower() == "basic":
        try:
            user, colon, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = colon = password = ""
        if colon and password:
            return Credential(password, user[:200])
    raise _unauthorized("token-malformed", "The header Authorization holds neither a bearer token nor a basic one")


class SignIn:
    """Checks each request's credential, and slows down guessing."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._routes = RoutesFile(service.home.gateway_routes_file)
        self.failures = Failures()
        self._attempts = Counter[str]()

    async def person(self, authorization: str | None, address: str, request_id: str) -> tuple[Principal, Credential]:
        """The person whose token it is. Raises Refused."""
        credential = self._credential(authorization, address)
        try:
            principal = await asyncio.to_thread(tokens.principal_of, self._service, credential.secret, request_id)
            if credential.user and credential.user != principal.name:
                raise _unauthorized(
                    "token-foreign", f"The token is not one of {credential.user}", "Send the token's own user, or none"
                )
        except ServiceError as error:
            action = error.action if error.status != 401 else f"{error.action or LOGIN}, then `registry-tui login URL`"
            refusal = Refusal(error.status, error.code, error.detail, action or LOGIN)
            raise self._failed(refusal, address, credential) from error
        except Refusal as refusal:
            raise self._failed(refusal, address, credential) from refusal
        self.failures.succeeded(address, credential.secret)
        return principal, credential

    async def caller(self, authorization: str | None, address: str, request_id: str) -> tuple[Principal, Credential]:
        """The caller of a deployment, by an API key, or by a token where no key is required. Raises Refused."""
        credential = self._credential(authorization, address)
        if not credential.is_key:
            return await self.person(authorization, address, request_id)
        try:
            key = api_keys.authenticate(self._routes.current(), f"Bearer {credential.secret}")
        except Refusal as refusal:
            raise self._failed(refusal, address, credential) from refusal
        self.failures.succeeded(address, credential.secret)
        # Only an event needs the CRN, and looks it up: calls are many.
        return Principal(key.user, "", request_id), credential

    def _credential(self, authorization: str | None, address: str) -> Credential:
        if not authorization:
            # For example a health probe: it guesses nothing, and others behind the same proxy must not be slowed by it.
            raise Refused(_missing(), often=self.failures.unnamed(address))
        try:
            credential = credential_of(authorization)
        except Refusal as refusal:
            raise self._failed(refusal, address, Credential("")) from refusal
        if wait := self.failures.wait(address, credential.named, credential.secret):
            raise self._slowed(wait)
        return credential

    def _failed(self, refusal: Refusal, address: str, credential: Credential) -> Refused:
        wait = self.failures.wait(address, credential.named, credential.secret)
        self.failures.failed(address, credential.named, credential.secret)
        return self._slowed(wait) if wait else Refused(refusal)

    @staticmethod
    def _slowed(wait: float) -> Refused:
        seconds = int(wait) + 1
        refusal = Refusal(
            429,
            "too-many-sign-ins",
            f"Too many sign-ins were refused; the next one is looked at in {seconds} s",
            f"Wait {seconds} s, then try again with the right token",
        )
        return Refused(refusal, seconds)

    def begin(self, address: str) -> None:
        """Counts a new sign-in, for which the issuer makes a code. Raises Refused after too many."""
        if wait := self.failures.begin(address):
            seconds = int(wait) + 1
            raise Refused(
                Refusal(
                    429,
                    "too-many-sign-ins",
                    f"Too many sign-ins were begun; the next one begins in {seconds} s",
                    f"Wait {seconds} s, then sign in again",
                ),
                seconds,
            )

    @contextmanager
    def attempt(self, address: str) -> Iterator[Callable[[bool], None]]:
        """A sign-in with proof from elsewhere, which succeeds or not; a failed one counts as a refused token.

        One that ends without a response does not count: its proof was not checked.

        Raises Refused; Refusal while there are too many of them.
        """
        if wait := self.failures.wait(address, "", ""):
            raise self._slowed(wait)
        source = source_of(address)
        if self._attempts.total() >= MOST_ATTEMPTS or self._attempts[source] >= MOST_ATTEMPTS_EACH:
            raise Refusal(503, "busy", "Others are signing in just now", f"Try again in {RETRY_AFTER} seconds")
        open_ = True

        def ended(good: bool) -> None:
            nonlocal open_
            if not open_:
                return
            open_ = False
            self._attempts[source] -= 1
            if not self._attempts[source]:
                del self._attempts[source]
            if not good:
                self.failures.failed(address, "", "")

        self._attempts[source] += 1
        try:
            yield ended
        finally:
            ended(True)

    async def audit(self, refused: Refused, who: Principal, request_id: str, address: str, what: str) -> None:
        """Writes an event about a refusal. If that fails, the request is refused all the same.

        Frequent ones are summed up in one event a minute and address, with their number.
        """
        principal = replace(who, request_id=request_id)
        refusal, more = refused.refusal, ""
        if refused.often:
            unwritten = self.failures.slowed(address)
            if unwritten is None:
                return
            more = f"; {unwritten} more before" if unwritten else ""
        try:
            detail = f"{refusal.status} {refusal.code} at {what}: {refusal.detail}{more}"
            await asyncio.to_thread(self._record, principal, address, detail)
        except Exception:
            logger.exception("the refusal of request %s was not recorded", request_id)

    def _record(self, principal: Principal, address: str, detail: str) -> None:
        if not principal.crn and principal.name != NOBODY.name:
            with self._service.database.reading() as session:
                user = session.get(UserRow, principal.name)
            principal = replace(principal, crn=user.crn if user is not None else "")
        events.record(
            self._service,
            principal,
            action="access.refuse",
            resource=Resource("access", "", address),
            outcome=EventOutcome.DENIED,
            detail=detail,
        )


def _missing() -> Refusal:
    return _unauthorized("token-missing", "This address needs a token, and the request has none")


def _unauthorized(code: str, detail: str, action: str = LOGIN) -> Refusal:
    return Refusal(401, code, detail, action)
