"""The typed client of the service, for the terminal program, the command line and people's own scripts."""

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import (
    Conflict,
    NotFound,
    Refused,
    RegistryError,
    ServiceProblem,
    ServiceUnavailable,
    WrongInput,
)

__all__ = [
    "Conflict",
    "NotFound",
    "Refused",
    "RegistryClient",
    "RegistryError",
    "ServiceProblem",
    "ServiceUnavailable",
    "WrongInput",
]
