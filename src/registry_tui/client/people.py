"""Calls about people, their tokens, groups and roles."""

from __future__ import annotations

from typing import Any

from registry_tui.client.transport import Transport, segment
from registry_tui.schemas.base import Page
from registry_tui.schemas.people import NewUserToken, User, UserChange, UserToken, UserTokenCreate


class People(Transport):
    """Calls about people, their tokens, groups and roles."""

    async def whoami(self) -> User:
        """The acting principal."""
        return await self._ask(User, "GET", "/user")

    async def users(self, **page: Any) -> Page[User]:
        """Everybody who is known here, by name."""
        return await self._ask(Page[User], "GET", "/users", params=page)

    async def user(self, user: str) -> User:
        return await self._ask(User, "GET", f"/users/{segment(user)}")

    async def put_user(self, user: str, change: UserChange) -> User:
        """Makes a user known, or changes one."""
        return await self._ask(User, "PUT", f"/users/{segment(user)}", body=change)

    async def change_user(self, user: str, change: UserChange) -> User:
        return await self._ask(User, "PATCH", f"/users/{segment(user)}", body=change)

    async def tokens(self, user: str, **page: Any) -> Page[UserToken]:
        """Newest first."""
        return await self._ask(Page[UserToken], "GET", f"/users/{segment(user)}/tokens", params=page)

    async def create_token(self, user: str, request: UserTokenCreate) -> NewUserToken:
        """The answer alone holds the token."""
        return await self._ask(NewUserToken, "POST", f"/users/{segment(user)}/tokens", body=request)

    async def revoke_token(self, user: str, token: str) -> UserToken:
        """`token` is its ID or how it begins."""
        return await self._ask(UserToken, "DELETE", f"/users/{segment(user)}/tokens/{segment(token)}")
