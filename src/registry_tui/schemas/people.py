"""People, their tokens, groups, and roles in environments."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from registry_tui.schemas.base import ChangeSchema, RequestSchema, Schema
from registry_tui.schemas.places import Role


class UserState(StrEnum):
    """A suspended person is refused at every door."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class EnvironmentRole(StrEnum):
    """A role in an environment, in the documented system's words."""

    ENVIRONMENT_ADMIN = "EnvironmentAdmin"
    ENVIRONMENT_USER = "EnvironmentUser"
    ML_ADMIN = "MLAdmin"
    ML_USER = "MLUser"


class RolesHeld(Schema):
    """The roles that a person holds in an environment, by themselves or through groups."""

    environment_id: str
    environment_name: str
    roles: list[EnvironmentRole]


class ProjectHeld(Schema):
    """A project that a person works in, and the role there."""

    project_id: str
    project_name: str
    environment_id: str
    role: Role


class User(Schema):
    """A person of this installation, with the account's entitlements."""

    name: str
    crn: str
    created_at: datetime
    entitlements: list[str] = []
    full_name: str = ""
    email: str = ""
    state: UserState = UserState.ACTIVE
    #: Whether this is the installation's administrator.
    administrator: bool = False
    groups: list[str] = []
    roles: list[RolesHeld] = []
    #: When one of the person's tokens was used last.
    last_used_at: datetime | None = None
    #: The person's projects; empty unless the person or the administrator requests them.
    projects: list[ProjectHeld] = []


FullName = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Email = Annotated[str, Field(max_length=254, pattern=r"^([^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+)?$")]


class UserChange(ChangeSchema):
    """Changes of a user; None leaves a field unchanged."""

    full_name: FullName | None = None
    email: Email | None = None
    state: UserState | None = None
    #: True: the next person with the user's name at the issuer may sign in, even if somebody else signed in before.
    forget_sign_in: bool | None = None


class UserToken(Schema):
    """A token without its secret; `prefix` is the start of the whole token."""

    id: str
    name: str
    user: str
    prefix: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class UserTokenCreate(RequestSchema):
    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
    #: Default: a year from now.
    expires_at: datetime | None = None
    #: Instead of `expires_at`: days from now.
    days: int | None = Field(default=None, ge=1, le=3650)


class NewUserToken(Schema):
    """A new token: `token` is shown only here."""

    user_token: UserToken
    token: str


class Group(Schema):
    """People who get roles together; machine users get the group's permissions and IDBroker mappings."""

    name: str
    id: str
    crn: str = ""
    description: str
    creator: str
    created_at: datetime
    members: list[str] = []
    #: Workload user names of Model Registries' machine users.
    machine_users: list[str] = []


class GroupMember(Schema):
    """A member of a group."""

    name: str


class GroupChange(RequestSchema):
    description: str | None = Field(default=None, max_length=1000)


class RoleAssignment(Schema):
    """The roles that a user or a group was given in an environment."""

    environment_id: str
    environment_name: str
    #: One of both is set.
    user: str | None = None
    group: str | None = None
    roles: list[EnvironmentRole]


class RolesChange(RequestSchema):
    """All roles that the user or group has from now on; none takes them away."""

    roles: list[EnvironmentRole] = Field(max_length=10)
