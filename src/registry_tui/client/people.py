"""Calls about users, their tokens, groups and roles."""

from __future__ import annotations

from typing import Any

from registry_tui.client.transport import Transport, segment
from registry_tui.contracts.api_keys import id_of
from registry_tui.schemas.base import Page
from registry_tui.schemas.people import (
    Group,
    GroupChange,
    NewUserToken,
    RoleAssignment,
    RolesChange,
    User,
    UserChange,
    UserToken,
    UserTokenCreate,
)


class People(Transport):
    """Calls about users, their tokens, groups and roles."""

    async def whoami(self) -> User:
        """The acting principal."""
        return await self._ask(User, "GET", "/user")

    async def users(self, **page: Any) -> Page[User]:
        """All known users, by name."""
        return await self._ask(Page[User], "GET", "/users", params=page)

    async def user(self, user: str) -> User:
        return await self._ask(User, "GET", f"/users/{segment(user)}")

    async def put_user(self, user: str, change: UserChange) -> User:
        """Creates or changes a user."""
        return await self._ask(User, "PUT", f"/users/{segment(user)}", body=change)

    async def change_user(self, user: str, change: UserChange) -> User:
        return await self._ask(User, "PATCH", f"/users/{segment(user)}", body=change)

    async def delete_user(self, user: str, to: str) -> None:
        """The user's resources are transferred to `to`; tokens, API keys and roles are removed."""
        await self._send("DELETE", f"/users/{segment(user)}", params={"to": to})

    async def tokens(self, user: str, **page: Any) -> Page[UserToken]:
        """Newest first."""
        return await self._ask(Page[UserToken], "GET", f"/users/{segment(user)}/tokens", params=page)

    async def create_token(self, user: str, request: UserTokenCreate) -> NewUserToken:
        """Only this response contains the token."""
        return await self._ask(NewUserToken, "POST", f"/users/{segment(user)}/tokens", body=request)

    async def revoke_token(self, user: str, token: str) -> UserToken:
        """`token` is its ID, its beginning, or the whole token, whose secret is not sent."""
        return await self._ask(UserToken, "DELETE", f"/users/{segment(user)}/tokens/{segment(id_of(token))}")

    async def groups(self, **page: Any) -> Page[Group]:
        """By name, with their members."""
        return await self._ask(Page[Group], "GET", "/groups", params=page)

    async def group(self, group: str) -> Group:
        return await self._ask(Group, "GET", f"/groups/{segment(group)}")

    async def put_group(self, group: str, change: GroupChange) -> Group:
        """Creates or changes a group."""
        return await self._ask(Group, "PUT", f"/groups/{segment(group)}", body=change)

    async def delete_group(self, group: str) -> None:
        await self._send("DELETE", f"/groups/{segment(group)}")

    async def add_member(self, group: str, user: str) -> Group:
        return await self._ask(Group, "PUT", f"/groups/{segment(group)}/members/{segment(user)}")

    async def remove_member(self, group: str, user: str) -> Group:
        return await self._ask(Group, "DELETE", f"/groups/{segment(group)}/members/{segment(user)}")

    async def environment_roles(self, environment: str) -> Page[RoleAssignment]:
        """The roles granted in an environment, to users and to groups."""
        return await self._ask(Page[RoleAssignment], "GET", f"/environments/{segment(environment)}/roles")

    async def set_user_roles(self, environment: str, user: str, change: RolesChange) -> RoleAssignment:
        """Grants a user exactly these roles in an environment."""
        path = f"/environments/{segment(environment)}/roles/users/{segment(user)}"
        return await self._ask(RoleAssignment, "PUT", path, body=change)

    async def set_group_roles(self, environment: str, group: str, change: RolesChange) -> RoleAssignment:
        """Grants a group exactly these roles in an environment."""
        path = f"/environments/{segment(environment)}/roles/groups/{segment(group)}"
        return await self._ask(RoleAssignment, "PUT", path, body=change)
