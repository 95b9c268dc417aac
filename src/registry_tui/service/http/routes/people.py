"""Users and their tokens."""

from __future__ import annotations

from registry_tui.schemas.base import Page
from registry_tui.schemas.people import NewUserToken, User, UserChange, UserToken, UserTokenCreate
from registry_tui.service.access import people, tokens
from registry_tui.service.http.routes.dependencies import Acting, NameIn, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.models import leaving

router = new_router("users")

NO_CHANGE = UserChange()


@router.get("/user")
def whoami(service: ServiceIn, principal: Acting) -> User:
    """You, with your groups and your roles in environments."""
    return people.whoami(service, principal)


@router.get("/users")
def list_users(service: ServiceIn, principal: Acting, page: PageIn) -> Page[User]:
    """All users, by name; non-administrators see only people who share a project with them."""
    return people.list_users(service, principal, page_size=page.page_size, page_token=page.page_token)


@router.get("/users/{user}")
def get_user(service: ServiceIn, principal: Acting, user: str) -> User:
    """One user."""
    return people.get_user(service, principal, user)


@router.put("/users/{user}")
def put_user(service: ServiceIn, principal: Acting, user: str, change: UserChange = NO_CHANGE) -> User:
    """Makes a user known, or changes one; for administrators."""
    return people.put_user(service, principal, user, change)


@router.patch("/users/{user}")
def change_user(service: ServiceIn, principal: Acting, user: str, change: UserChange) -> User:
    """Changes a user's full name, e-mail or state; for administrators. Suspended users are refused everywhere."""
    return people.change_user(service, principal, user, change)


@router.delete("/users/{user}", status_code=204)
def delete_user(service: ServiceIn, principal: Acting, user: str, to: NameIn) -> None:
    """Deletes a user, for administrators: their things go to `to`; their tokens, API keys and roles end."""
    leaving.delete_user(service, principal, user, to)


@router.get("/users/{user}/tokens")
def list_tokens(service: ServiceIn, principal: Acting, page: PageIn, user: str) -> Page[UserToken]:
    """Your tokens, newest first; as administrator anybody's. No response contains a token itself."""
    return tokens.list_tokens(service, principal, user, page_size=page.page_size, page_token=page.page_token)


@router.post("/users/{user}/tokens", status_code=201)
def create_token(service: ServiceIn, principal: Acting, user: str, request: UserTokenCreate) -> NewUserToken:
    """Makes a token; only this response contains it. As administrator for anybody."""
    return tokens.create_token(service, principal, user, request)


@router.delete("/users/{user}/tokens/{token}")
def revoke_token(service: ServiceIn, principal: Acting, user: str, token: str) -> UserToken:
    """Revokes a token, given by its ID or its beginning."""
    return tokens.revoke_token(service, principal, user, token)
