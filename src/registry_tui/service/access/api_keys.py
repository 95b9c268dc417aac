"""API keys: made for a person, shown once, stored as a hash, revoked at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from registry_tui.contracts.api_keys import id_of, new_key
from registry_tui.contracts.permissions import Action
from registry_tui.gateway.limits import Use
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.deployments import ApiKey, ApiKeyCreate, KeyLimits, NewApiKey
from registry_tui.service.access.expiry import expiry
from registry_tui.service.core import events, idempotency, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import ApiKeyRow, now
from registry_tui.service.errors import AlreadyRevoked, Missing, NotPermitted
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.wording.key_limits import limits_told


def create_key(service: Service, principal: Principal, request: ApiKeyCreate) -> NewApiKey:
    """Makes a key of the principal's own; only the response contains it. Raises InvalidInput, PartUnavailable."""
    moment = now()
    expires = expiry(moment, request.expires_at, request.days)
    id_, key, sha256 = new_key()
    row = ApiKeyRow(
        id=id_,
        name=request.name,
        sha256=sha256,
        user=principal.name,
        created_at=moment,
        expires_at=expires,
        limits=_kept(request.limits),
        limits_by="",
    )
    with events.recording(service, principal, "key.create", Resource("key", id_, request.name)):
        with service.database.session() as session:
            session.add(row)
        gateway_link.publish(service)
    return NewApiKey(api_key=to_schema(row), key=key)


def list_keys(
    service: Service,
    principal: Principal,
    *,
    everybody: bool = False,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[ApiKey]:
    """The principal's own keys, newest first; an administrator may see everybody's. Raises InvalidInput."""
    paging.check_page_size(page_size)
    query = select(ApiKeyRow)
    note_uses(service)
    whole = everybody and not permissions.own_only(principal, Action.KEYS)
    if not whole:
        query = query.where(ApiKeyRow.user == principal.name)
    with service.database.reading() as session:
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(ApiKeyRow.created_at, descending=True), paging.Key(ApiKeyRow.id)],
            scope=f"keys:{principal.name}:{whole}",
            page_size=page_size,
            page_token=page_token,
        )
    uses = gateway_link.key_uses(service)
    return found.to_page(lambda row: to_schema(row, uses.get(row.id)))


def limit_key(service: Service, principal: Principal, key_id: str, limits: KeyLimits) -> ApiKey:
    """Replaces the limits of a key from now on: of one's own key, or as administrator of anybody's.

    `key_id` is its ID, the beginning of the key, or the whole key. Limits that an administrator set on somebody's key
    stay that administrator's: the owner gets NotPermitted. Raises Missing, AlreadyRevoked, PartUnavailable.
    """
    key_id = id_of(key_id)
    with events.recording(service, principal, "key.limit", Resource("key", key_id, key_id)) as event:
        with service.database.session() as session:
            row = session.get(ApiKeyRow, key_id)
            if row is None or not permissions.may_for(principal, Action.KEYS, row.user):
                raise _missing(key_id)
            event.resource = Resource("key", row.id, row.name)
            if row.revoked_at is not None:
                raise AlreadyRevoked(f"The API key {row.name} was revoked already")
            if row.limits_by and permissions.own_only(principal, Action.KEYS):
                raise NotPermitted(
                    f"{row.limits_by} set the limits of the API key {row.name}",
                    action=f"Ask {row.limits_by}, or another administrator, to change them",
                )
            row.limits = _kept(limits)
            row.limits_by = principal.name if limits and principal.name != row.user else ""
            event.detail = limits_told(limits)
        gateway_link.publish(service)
    return to_schema(row, gateway_link.key_uses(service).get(key_id))


def _kept(limits: KeyLimits) -> dict[str, Any]:
    return limits.model_dump(exclude_none=True)


def revoke_key(service: Service, principal: Principal, key_id: str) -> ApiKey:
    """Revokes a key: one's own, or as administrator anybody's.

    `key_id` is its ID, the beginning of the key, or the whole key. Raises Missing, WrongState.
    """
    key_id = id_of(key_id)
    with events.recording(service, principal, "key.revoke", Resource("key", key_id, key_id)) as event:
        with service.database.session() as session:
            row = session.get(ApiKeyRow, key_id)
            if row is None or not permissions.may_for(principal, Action.KEYS, row.user):
                raise _missing(key_id)
            event.resource = Resource("key", row.id, row.name)
            if row.revoked_at is not None:
                raise AlreadyRevoked(f"The API key {row.name} was revoked already")
            row.revoked_at = now()
            idempotency.takes(session, row.id)
        gateway_link.publish(service)
    return to_schema(row)


def get_key(service: Service, principal: Principal, key_id: str) -> ApiKey:
    """A key of one's own, or as administrator anybody's. Raises Missing."""
    with service.database.reading() as session:
        row = session.get(ApiKeyRow, id_of(key_id))
        if row is None or not permissions.may_for(principal, Action.KEYS, row.user):
            raise _missing(id_of(key_id))
        return to_schema(row, gateway_link.key_uses(service).get(row.id))


def note_uses(service: Service) -> None:
    """Writes down the time of each key's last use, by the gateway's counts."""
    uses = gateway_link.stats(service).get("key_uses", {})
    if not uses:
        return
    with service.database.session() as session:
        for id_, at in uses.items():
            row = session.get(ApiKeyRow, id_)
            moment = datetime.fromtimestamp(at, UTC)
            if row is not None and (row.last_used_at is None or row.last_used_at < moment):
                row.last_used_at = moment


def _missing(key_id: str) -> Missing:
    return Missing(f"There is no API key {key_id!r} of yours", action="See `registry-tui keys list`")


def to_schema(row: ApiKeyRow, use: Use | None = None) -> ApiKey:
    """A key without its hash, and its use."""
    use = use or Use()
    return ApiKey(
        id=row.id,
        name=row.name,
        owner=row.user,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        limits=KeyLimits.model_validate(row.limits),
        limits_by=row.limits_by,
        used_today=use.today,
        used_this_month=use.this_month,
    )
