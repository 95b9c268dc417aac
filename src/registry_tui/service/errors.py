"""Errors that service functions raise; `problems.py` turns them into problem details.

ServiceError
 ├─ InvalidInput      422
 ├─ NotOffered        400   a call of another program's API that this service does not carry out
 ├─ NotLoggedIn       401
 │   ├─ TokenUnknown
 │   ├─ TokenExpired
 │   └─ TokenRevoked
 ├─ NotPermitted      403
 │   ├─ UserSuspended
 │   └─ StorageNotGranted   the object store refuses a registry's machine user
 ├─ Missing           404
 ├─ AlreadyThere      409
 ├─ InUse             409
 ├─ WrongState        409
 │   ├─ AlreadyRevoked   a token or API key
 │   └─ NotAdmitted      a version that rules of its environment refuse
 ├─ StillUnderWay     409   the same request, with the same idempotency key, has not been answered yet
 ├─ KeyReused         422   another request was sent with this idempotency key
 ├─ PartUnavailable   503   a part of the platform does not answer; workflows try again
 └─ StorageFull       507   the disk has no room; workflows do not try again by themselves
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from registry_tui.schemas.base import FieldProblem


class ServiceError(Exception):
    """A failure for people: its description, and the action to take."""

    status = 500
    code = "failed"
    title = "It failed"
    #: Headers of the HTTP response, in addition to those of every response.
    headers: Mapping[str, str] = {}
    #: Whether an event was written about it.
    recorded = False

    def __init__(self, detail: str, *, action: str | None = None, errors: Sequence[FieldProblem] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.action = action
        self.errors = tuple(errors)


class InvalidInput(ServiceError):
    status, code, title = 422, "invalid-input", "The request is not valid"


class NotOffered(ServiceError):
    status, code, title = 400, "not-offered", "Not offered here"


class NotLoggedIn(ServiceError):
    status, code, title = 401, "not-logged-in", "Not logged in"
    headers = MappingProxyType({"WWW-Authenticate": 'Bearer realm="registry-tui"'})


class TokenUnknown(NotLoggedIn):
    code = "token-unknown"


class TokenExpired(NotLoggedIn):
    code = "token-expired"


class TokenRevoked(NotLoggedIn):
    code = "token-revoked"


class NotPermitted(ServiceError):
    status, code, title = 403, "not-permitted", "Not permitted"


class RightMissing(NotPermitted):
    """A store knows the credentials, and does not let them do one thing."""


class UserSuspended(NotPermitted):
    code, title = "user-suspended", "The user is suspended"


class StorageNotGranted(NotPermitted):
    """The object store refuses a machine user; `registry` is the name of its registry."""

    def __init__(self, detail: str, registry: str) -> None:
        command = f"registry-tui registries grant-storage {registry}"
        super().__init__(detail, action=f"Let the registry's machine user use its storage: `{command}`")


class Missing(ServiceError):
    status, code, title = 404, "not-found", "Not found"


class AlreadyThere(ServiceError):
    status, code, title = 409, "already-exists", "It exists already"


class InUse(ServiceError):
    status, code, title = 409, "in-use", "It is in use"


class WrongState(ServiceError):
    status, code, title = 409, "wrong-state", "Not possible in this state"


class AlreadyRevoked(WrongState):
    """A token or an API key is revoked once."""


class NotAdmitted(WrongState):
    code, title = "not-admitted", "The environment's rules refuse it"


class StillUnderWay(ServiceError):
    status, code, title = 409, "under-way", "The request is still being carried out"
    headers = MappingProxyType({"Retry-After": "2"})


class KeyReused(ServiceError):
    status, code, title = 422, "key-reused", "The idempotency key belongs to another request"


class PartUnavailable(ServiceError):
    status, code, title = 503, "part-unavailable", "A part of the platform does not answer"


class StorageFull(ServiceError):
    status, code, title = 507, "storage-full", "There is no room to store it"
