"""Tokens: made for a person, shown once, stored as a hash, revoked at once. They identify the person everywhere."""

from __future__ import annotations

import hmac
import logging
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from registry_tui.contracts.api_keys import PREFIX, TOKEN_PREFIX, digest, id_of, new_key
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.people import NewUserToken, UserToken, UserTokenCreate
from registry_tui.service.access.expiry import expiry
from registry_tui.service.core import events, idempotency, identity, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import UserRow, UserTokenRow, now
from registry_tui.service.errors import AlreadyRevoked, Missing, NotPermitted, TokenExpired, TokenRevoked, TokenUnknown

logger = logging.getLogger(__name__)

#: Resolution of the time of a token's last use: a token in use costs one write per period.
USE_NOTED_EVERY = timedelta(minutes=1)

_MAKE_ONE = "Make a token with `registry-tui tokens create NAME`, or ask an administrator for one"


def principal_of(service: Service, token: str, request_id: str) -> Principal:
    """The person whose token it is, as principal. Raises TokenUnknown, TokenExpired, TokenRevoked, UserSuspended."""
    prefix, _, rest = token.strip().partition("_")
    id_, _, secret = rest.partition("_")
    moment = now()
    with service.database.reading() as session:
        row = session.get(UserTokenRow, id_) if prefix == TOKEN_PREFIX else None
        # Compared also without a token of this ID, so that both cases take the same time.
        same = hmac.compare_digest(digest(secret), "" if row is None else row.sha256)
        user = None if row is None or not same else session.get(UserRow, row.user)
    if row is None or user is None:
        if prefix == PREFIX:
            raise TokenUnknown("An API key is for calls of deployments, not for the service", action=_MAKE_ONE)
        raise TokenUnknown("This token is not known here", action=_MAKE_ONE)
    if row.revoked_at is not None:
        raise TokenRevoked(f"The token {_start_of(row)}… was revoked", action=_MAKE_ONE)
    if row.expires_at <= moment:
        raise TokenExpired(f"The token {_start_of(row)}… has expired", action=_MAKE_ONE)
    principal = identity.principal_of_row(service, user, request_id)
    if row.last_used_at is None or row.last_used_at + USE_NOTED_EVERY <= moment:
        _note_use(service, row.id, moment)
    return principal


def create_token(service: Service, principal: Principal, user: str, request: UserTokenCreate) -> NewUserToken:
    """Makes a token for oneself, or as administrator for anybody; only the response contains it.

    Raises Missing, InvalidInput, NotPermitted.
    """
    moment = now()
    expires = expiry(moment, request.expires_at, request.days)
    id_, token, sha256 = new_key(TOKEN_PREFIX)
    row = UserTokenRow(id=id_, name=request.name, sha256=sha256, user=user, created_at=moment, expires_at=expires)
    with events.recording(service, principal, "token.create", Resource("token", id_, request.name)) as event:
        event.detail = f"for {user}"
        _require_own(principal, user)
        with service.database.session() as session:
            if session.get(UserRow, user) is None:
                raise Missing(f"There is no user {user!r}", action="See `registry-tui users list`")
            session.add(row)
    return NewUserToken(user_token=to_schema(row), token=token)


def list_tokens(
    service: Service,
    principal: Principal,
    user: str,
    *,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[UserToken]:
    """One's own tokens, or as administrator anybody's, newest first. Raises InvalidInput, Missing, NotPermitted."""
    _require_own(principal, user)
    with service.database.reading() as session:
        if session.get(UserRow, user) is None:
            raise Missing(f"There is no user {user!r}", action="See `registry-tui users list`")
        found = paging.keyset_page(
            session,
            select(UserTokenRow).where(UserTokenRow.user == user),
            [paging.Key(UserTokenRow.created_at, descending=True), paging.Key(UserTokenRow.id)],
            scope=f"tokens:{user}",
            page_size=page_size,
            page_token=page_token,
        )
    return found.to_page(to_schema)


def revoke_token(service: Service, principal: Principal, user: str, token: str) -> UserToken:
    """Revokes a token. `token` is its ID, its beginning, or the whole token.

    Raises Missing, NotPermitted, WrongState.
    """
    id_ = id_of(token)
    with events.recording(service, principal, "token.revoke", Resource("token", id_, id_)) as event:
        _require_own(principal, user)
        with service.database.session() as session:
            row = session.get(UserTokenRow, id_)
            if row is None or row.user != user:
                raise _missing(user, id_)
            event.resource = Resource("token", row.id, row.name)
            if row.revoked_at is not None:
                raise AlreadyRevoked(f"The token {row.name} was revoked already")
            row.revoked_at = now()
            idempotency.takes(session, row.id)
    return to_schema(row)


def get_token(service: Service, principal: Principal, user: str, token: str) -> UserToken:
    """A person's token. Raises Missing, NotPermitted."""
    _require_own(principal, user)
    id_ = id_of(token)
    with service.database.reading() as session:
        row = session.get(UserTokenRow, id_)
        if row is None or row.user != user:
            raise _missing(user, id_)
        return to_schema(row)


def _missing(user: str, id_: str) -> Missing:
    return Missing(f"{user} has no token {id_!r}", action="See `registry-tui tokens list`")


def to_schema(row: UserTokenRow) -> UserToken:
    """A token without its hash."""
    return UserToken(
        id=row.id,
        name=row.name,
        user=row.user,
        prefix=_start_of(row),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def _start_of(row: UserTokenRow) -> str:
    return f"{TOKEN_PREFIX}_{row.id}"


def _require_own(principal: Principal, user: str) -> None:
    if not permissions.may_for(principal, Action.TOKENS, user):
        raise NotPermitted(f"{principal.name} may not see or change the tokens of {user}", action=f"Ask {user}")


def _note_use(service: Service, token_id: str, moment: datetime) -> None:
    """Writes down that a token was used. If that fails, the request is served all the same."""
    try:
        with service.database.session() as session:
            session.execute(update(UserTokenRow).where(UserTokenRow.id == token_id).values(last_used_at=moment))
    except SQLAlchemyError as error:
        logger.warning("the use of token %s was not noted: %s", token_id, error)
