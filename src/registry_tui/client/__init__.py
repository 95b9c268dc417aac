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
    may_be_done,
)
from registry_tui.client.intents import Intent

__all__ = [
    "Conflict",
    "Intent",
    "NotFound",
    "Refused",
    "RegistryClient",
    "RegistryError",
    "ServiceProblem",
    "ServiceUnavailable",
    "WrongInput",
    "may_be_done",
]
