"""Words about users: their roles, and the states of users and tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from registry_tui.wording import words
from registry_tui.wording.words import Cell

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import ApiKey
    from registry_tui.schemas.people import RoleAssignment, RolesHeld, User, UserToken

#: Roles in an environment with their rights, as named in `schemas.people.EnvironmentRole`.
ROLES = (
    ("EnvironmentAdmin", "makes workspaces, grants roles"),
    ("EnvironmentUser", "enters the environment"),
    ("MLAdmin", "creates and changes Model Registries"),
    ("MLUser", "makes projects, reads models"),
)


def roles_held(held: Iterable[RolesHeld]) -> str:
    """The roles in each environment, in one line."""
    return "; ".join(f"{each.environment_name}: {', '.join(each.roles)}" for each in held)


def roles_of(user: User) -> str:
    """All roles of a user, in one line."""
    return "administrator" if user.administrator else roles_held(user.roles)


def state_of(user: User) -> Cell:
    """Whether a user may sign in."""
    return Cell("● active", "good") if user.state.value == "active" else Cell("✗ suspended", "bad")


def token_state(token: UserToken | ApiKey) -> Cell:
    """Whether a token or a key is valid."""
    if token.revoked_at is not None:
        return Cell("✗ revoked", "bad")
    if token.expires_at <= words.present():
        return Cell("✗ expired", "warn")
    return Cell("● good", "good")


def holder(given: RoleAssignment) -> str:
    """The name of the user or group that has roles."""
    return given.user or given.group or ""
