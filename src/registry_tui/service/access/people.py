"""The people of this installation, as they and its administrator see them."""

from __future__ import annotations

from sqlalchemy import or_, select

from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.places import User
from registry_tui.service.core import events, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.identity import ensure_user
from registry_tui.service.database.tables import CollaboratorRow, UserRow


def put_user(service: Service, principal: Principal, name: str) -> User:
    """Makes a user known. Raises NotPermitted, InvalidInput."""
    with events.recording(service, principal, "user.create", Resource("user", name, name)):
        permissions.require_administrator(principal, "add users")
        return _schema(service, ensure_user(service, name))


def whoami(service: Service, principal: Principal) -> User:
    """The acting user."""
    with service.database.reading() as session:
        row = session.get_one(UserRow, principal.name)
    return _schema(service, row)


def list_users(
    service: Service, principal: Principal, *, page_size: int = DEFAULT_PAGE_SIZE, page_token: str | None = None
) -> Page[User]:
    """People by name: an administrator sees everybody, others themselves and those who share a project with them.

    Raises InvalidInput for a wrong token.
    """
    query = select(UserRow)
    if not principal.administrator:
        shared = CollaboratorRow.project_id.in_(permissions.own_projects(principal))
        team = select(CollaboratorRow.user).where(shared)
        query = query.where(or_(UserRow.name == principal.name, UserRow.name.in_(team)))
    with service.database.reading() as session:
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(UserRow.name)],
            scope=f"users:{principal.name}",
            page_size=page_size,
            page_token=page_token,
        )
    return found.to_page(lambda row: _schema(service, row))


def _schema(service: Service, row: UserRow) -> User:
    return User(name=row.name, crn=row.crn, created_at=row.created_at, entitlements=list(service.settings.entitlements))
