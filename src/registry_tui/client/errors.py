"""The exceptions of the client.

RegistryError
 ├─ InvalidName          a name that cannot be part of a URL; nothing was sent
 ├─ ServiceUnavailable   no response: not running, starting, too slow
 │   └─ UntrustedCertificate   it may be another service; nothing was sent
 └─ ServiceProblem       the service's own problem details (RFC 9457)
     ├─ WrongInput       400, 413, 422
     ├─ Refused          401, 403
     │   └─ NotSignedIn  401
     ├─ NotFound         404
     └─ Conflict         409, 412
"""

from __future__ import annotations

from registry_tui.schemas.base import Problem


class RegistryError(Exception):
    """Base of all: a message for people, how to fix it, and the request's ID."""

    def __init__(self, message: str, *, action: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.action = action
        self.request_id = request_id


class InvalidName(RegistryError):
    """A name cannot be part of a URL, so no resource has it; nothing was sent."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"The name {name[:100]!r} {problem}", action="Use a name or ID as the lists show it")


class ServiceUnavailable(RegistryError):
    """The service did not respond; a retry later may succeed."""


class UntrustedCertificate(ServiceUnavailable):
    """The certificate of a remote service is not trusted; nothing was sent."""


class CertificateOfAnotherTime(UntrustedCertificate):
    """A certificate is not valid at this machine's current time."""


class ServiceProblem(RegistryError):
    """The service returned problem details."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail, action=problem.action, request_id=problem.request_id)
        self.problem = problem


class WrongInput(ServiceProblem):
    """The request itself is wrong; `problem.errors` names fields."""


class Refused(ServiceProblem):
    """The principal may not do that."""


class NotSignedIn(Refused):
    """The token is missing, unknown, expired or revoked."""


class NotFound(ServiceProblem):
    """The resource does not exist, or no longer exists."""


class Conflict(ServiceProblem):
    """It already exists, is in use, or is in a state that does not allow it."""


def may_be_done(error: Exception) -> bool:
    """Whether a request that failed this way may have been carried out anyway, or may still be."""
    if isinstance(error, ServiceProblem):
        return error.problem.status >= 500 or error.problem.code == "under-way"
    return isinstance(error, ServiceUnavailable)


def from_problem(problem: Problem) -> ServiceProblem:
    """The exception for these problem details."""
    by_status = {
        400: WrongInput,
        413: WrongInput,
        422: WrongInput,
        401: NotSignedIn,
        403: Refused,
        404: NotFound,
        409: Conflict,
        412: Conflict,
    }
    return by_status.get(problem.status, ServiceProblem)(problem)
