"""Keys set by an administrator: of one registry, for its environment's own store."""

from __future__ import annotations

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.registries import ModelRegistry, StoreKeyGive
from registry_tui.service.core import events, permissions, store_key_changes
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.probing import settle_access
from registry_tui.service.core.resolve import resolve_registry
from registry_tui.service.database.tables import RegistryRow
from registry_tui.service.registries.lifecycle import get_registry, require_live, resource_of


def give_key(service: Service, principal: Principal, registry: str, request: StoreKeyGive) -> ModelRegistry:
    """Has a registry reach its environment's own store with this key, tried first.

    Raises Missing, NotPermitted, WrongState for another store, InvalidInput for a key that cannot be used.
    """
    row = _row(service, principal, registry)
    with events.recording(service, principal, "registry.give-key", resource_of(row)):
        permissions.require(principal, Action.ENVIRONMENT_CREATE)
        require_live(row)
        store_key_changes.give(service, row.id, request.store, request.principal)
        settle_access(service, row.environment_id)
    return get_registry(service, principal, row.id)


def forget_key(service: Service, principal: Principal, registry: str) -> ModelRegistry:
    """Has a registry stop using its given key: a user of the store or the environment's credentials are used instead.

    Raises Missing, NotPermitted, WrongState without such a store, PartUnavailable.
    """
    row = _row(service, principal, registry)
    with events.recording(service, principal, "registry.forget-key", resource_of(row)):
        permissions.require(principal, Action.ENVIRONMENT_CREATE)
        store_key_changes.forget(service, row.id)
        settle_access(service, row.environment_id)
    return get_registry(service, principal, row.id)


def _row(service: Service, principal: Principal, registry: str) -> RegistryRow:
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        return resolve_registry(session, registry, seen)
