"""Lists of registered models, in pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.models import RegisteredModel
from registry_tui.service.adapters.mlflow_words import mlflow_order, quoted
from registry_tui.service.core import paging
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.models import changes as model_changes
from registry_tui.service.models import registered as models
from registry_tui.service.registries.place import RegistryPlace, enter_registry

#: Fields that MLflow's server sorts models by; for others all are read and sorted here.
_MLFLOW_ORDER = {"name": "name", "updated_at": "last_updated_timestamp"}
_ORDER: Mapping[str, Callable[[RegisteredModel], Any]] = {
    "name": lambda model: model.name,
    "updated_at": lambda model: model.updated_at,
    "created_at": lambda model: model.created_at,
    "owner": lambda model: model.owner,
    "location": lambda model: model.location,
    "latest_version": lambda model: model.latest_version or 0,
}
#: Seconds that the models of a registry, once all were read for an order, are cached for its further pages. Changes
#: made by the service, or reported by MLflow's plugin, invalidate the cache at once.
_SNAPSHOT_SECONDS = 5.0


def list_models(
    service: Service,
    principal: Principal,
    registry: str,
    *,
    search: str | None = None,
    name: str | None = None,
    owner: str | None = None,
    order_by: str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[RegisteredModel]:
    """The models that the principal may see, sorted by `order_by` (`field` or `-field`), by default by name.

    `search` finds names, descriptions, owners and tags, in any case; `name` is a prefix of the name, in any case, where
    _ and % are wildcards; `owner` is a whole name. Where MLflow's server cannot sort by a field, all models that are
    found are read, and `total` is known. Raises Missing, WrongState, InvalidInput, PartUnavailable.
    """
    paging.check_page_size(page_size)
    place = enter_registry(service, registry, reader=principal)
    order = order_by or "name"
    field = order.removeprefix("-")
    mlflow_order(order, {name: name for name in _ORDER})
    scope = f"models:{place.id}:{principal.name}:{search}:{name}:{owner}:{order}"
    asked = _filters(search, name, owner)
    if field in _MLFLOW_ORDER:
        return _ordered_page(service, principal, place, asked, order, scope, page_size, page_token)
    start = int(paging.decode_token(scope, page_token, int)[0]) if page_token else 0
    every = (
        (model for _, model in models.scan(service, place, " AND ".join(asked), seen_by=principal.sight))
        if search or name
        else _all_models(service, place, principal.sight)
    )
    found = [model for model in every if owner is None or model.owner == owner]
    found.sort(key=_ORDER[field], reverse=order.startswith("-"))
    more = start + page_size < len(found)
    return Page(
        items=found[start : start + page_size],
        next_page_token=paging.encode_token(scope, start + page_size) if more else None,
        total=len(found),
    )


def _filters(search: str | None, name: str | None, owner: str | None) -> list[str]:
    """The query for MLflow's server, as parts of its filter language."""
    filters = [] if owner is None else [f"tags.`{mlflow_tags.OWNER}` = {quoted(owner)}"]
    if name:
        filters.append(f"name ILIKE {quoted(f'{name}%')}")
    if search:
        filters.append(f"tags.`{mlflow_tags.SEARCH}` = '{mlflow_tags.search_value(search)}'")
    return filters


def _ordered_page(
    service: Service,
    principal: Principal,
    place: RegistryPlace,
    asked: list[str],
    order: str,
    scope: str,
    page_size: int,
    page_token: str | None,
) -> Page[RegisteredModel]:
    """A page in an order that MLflow's server supports, reading no more than the page."""
    start = int(paging.decode_token(scope, page_token, int)[0]) if page_token else 0
    order_ = mlflow_order(order, _MLFLOW_ORDER)
    found = models.scan(service, place, " AND ".join(asked), order_, start, page_size + 1, principal.sight)
    items = [model for _, model in islice(found, page_size)]
    more = next(found, None) is not None
    return Page(items=items, next_page_token=paging.encode_token(scope, start + page_size) if more else None)


@dataclass(frozen=True)
class _Snapshot:
    """All models of a registry that a person may see, as they were at a time (monotonic) and after so many changes."""

    #: The registry's ID, the person who sees them, and the count of changes.
    of: tuple[str, str | None, Hashable]
    taken: float
    models: tuple[RegisteredModel, ...]


class _LastSnapshot:
    """The models of the registry that was searched last."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.snapshot: _Snapshot | None = None


def _all_models(service: Service, place: RegistryPlace, seen_by: str | None) -> tuple[RegisteredModel, ...]:
    now, changes = time.monotonic(), model_changes.changes(service, place.id)
    last = service.kept.of(_LastSnapshot)
    with last.guard:
        known = last.snapshot
    wanted = (place.id, seen_by, changes)
    if known is not None and known.of == wanted and now - known.taken < _SNAPSHOT_SECONDS:
        return known.models
    found = tuple(model for _, model in models.scan(service, place, seen_by=seen_by))
    with last.guard:
        last.snapshot = _Snapshot(wanted, now, found)
    return found
