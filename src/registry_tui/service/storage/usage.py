"""Sizes of a registry's archives, and cleaning up: `storage_measuring` measures, this reads page by page."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

from registry_tui.contracts.mlflow_routes import ID_PATTERN
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.operations import Accepted, WorkflowKind
from registry_tui.schemas.registries import ModelRegistry
from registry_tui.schemas.storage import ArchiveState, ArchiveUsage, ModelUsage, StorageCleanUp, StorageUsage
from registry_tui.service.core import events, paging
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import InvalidInput
from registry_tui.service.registries import lifecycle as registries
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.storage import measuring as storage_measuring

#: Seconds that a request waits for a measurement that has just begun: small registries are done at once.
_PATIENCE = 3.0

_ARCHIVE_ORDER = {
    "bytes": "bytes",
    "objects": "objects",
    "model": "model_name IS NULL, fold(model_name)",
    "modified_at": "modified",
    "state": "state",
}
_MODEL_ORDER = {
    "bytes": "bytes",
    "objects": "objects",
    "model": "model_name IS NULL, fold(model_name)",
    "versions": "versions",
    "orphaned": "orphaned",
}


# -- reading -------------------------------------------------------------------------------------------


def get_usage(service: Service, principal: Principal, registry: str, *, max_age: float | None = None) -> StorageUsage:
    """The totals of a registry's last measurement; begins another if missing or older than `max_age` s.

    Raises Missing, NotPermitted, WrongState while the registry is not available.
    """
    place = _enter(service, principal, registry)
    known = _totals(service, place)
    too_old = max_age is not None and known.measured_at is not None and _age(known.measured_at) > max_age
    if known.measured_at is None or too_old:
        storage_measuring.begin(service, place).done.wait(_PATIENCE)
        known = _totals(service, place)
    return known


def list_archives(
    service: Service,
    principal: Principal,
    registry: str,
    *,
    state: str | None = None,
    model: str | None = None,
    order_by: str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[ArchiveUsage]:
    """Archives as last measured, the largest first; empty when they never were. `model` is a part of a name or an ID.

    Raises Missing, NotPermitted, InvalidInput, WrongState while the registry is not available.
    """
    place = _enter(service, principal, registry)
    if state is not None and state not in set(ArchiveState):
        message = f"must be one of {', '.join(ArchiveState)}"
        raise InvalidInput("The state is not valid", errors=[FieldProblem(field="state", message=message)])
    columns = "SELECT model_id, version_id, model_name, version, state, objects, bytes, modified FROM usage"
    conditions = "WHERE (:state IS NULL OR state = :state) AND (:model IS NULL OR part(:model, model_name, model_id))"
    order = _order(order_by, _ARCHIVE_ORDER, "version_id")
    scope = f"storage-archives:{place.id}:{state}:{model}:{order_by}"
    query = f"{columns} {conditions} {order}"
    rows, token, total = _page(
        service, place, query, {"state": state, "model": model or None}, scope, page_size, page_token
    )
    items = [ArchiveUsage(**{**row, "modified_at": _moment(row.pop("modified"))}) for row in rows]
    return Page(items=items, next_page_token=token, total=total)


def list_models(
    service: Service,
    principal: Principal,
    registry: str,
    *,
    model: str | None = None,
    order_by: str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[ModelUsage]:
    """Sizes of each model's archives, as last measured, the largest first. Raises as `list_archives`."""
    place = _enter(service, principal, registry)
    query = f"""
        SELECT * FROM (
            SELECT model_id, max(model_name) AS model_name, count(*) AS versions, sum(objects) AS objects,
                   sum(bytes) AS bytes, sum(state = 'orphaned') AS orphaned
            FROM usage GROUP BY model_id)
        WHERE (:model IS NULL OR part(:model, model_name, model_id)) {_order(order_by, _MODEL_ORDER, "model_id")}
    """
    scope = f"storage-models:{place.id}:{model}:{order_by}"
    rows, token, total = _page(service, place, query, {"model": model or None}, scope, page_size, page_token)
    return Page(items=[ModelUsage(**row) for row in rows], next_page_token=token, total=total)


def _enter(service: Service, principal: Principal, registry: str) -> RegistryPlace:
    return enter_registry(service, registry, reader=principal, action=Action.STORAGE_READ)


def _totals(service: Service, place: RegistryPlace) -> StorageUsage:
    found = StorageUsage(registry_id=place.id)
    if (now := storage_measuring.latest(service, place.id)) is not None:
        under_way = not now.done.is_set()
        found = found.model_copy(update={"measuring": under_way, "seen": now.seen, "error": now.error})
    with _opened(service, place.id) as database:
        if database is None:
            return found
        facts = database.execute("SELECT measured_at, took, other_objects, other_bytes FROM facts").fetchone()
        sums = database.execute(
            """SELECT count(DISTINCT CASE WHEN objects THEN model_id END) AS models,
                      coalesce(sum(objects > 0), 0) AS archives,
                      coalesce(sum(objects), 0) AS objects, coalesce(sum(bytes), 0) AS bytes,
                      coalesce(sum(state = 'orphaned'), 0) AS orphaned,
                      coalesce(sum(CASE WHEN state = 'orphaned' THEN bytes END), 0) AS orphaned_bytes,
                      coalesce(sum(state = 'missing' OR state = 'failed' AND objects = 0), 0) AS without_archive
               FROM usage"""
        ).fetchone()
    return found.model_copy(update={**dict(sums), **dict(facts), "measured_at": _moment(facts["measured_at"])})


def _page(
    service: Service,
    place: RegistryPlace,
    query: str,
    values: Mapping[str, Any],
    scope: str,
    page_size: int,
    page_token: str | None,
) -> tuple[list[dict[str, Any]], str | None, int]:
    paging.check_page_size(page_size)
    start = int(paging.decode_token(scope, page_token, int)[0]) if page_token else 0
    with _opened(service, place.id) as database:
        if database is None:
            return [], None, 0
        total = int(database.execute(f"SELECT count(*) FROM ({query})", values).fetchone()[0])
        limits = {"limit": page_size, "start": start}
        rows = [dict(row) for row in database.execute(f"{query} LIMIT :limit OFFSET :start", {**values, **limits})]
    more = start + len(rows) < total
    return rows, paging.encode_token(scope, start + len(rows)) if more and rows else None, total


def _order(order_by: str | None, known: Mapping[str, str], last: str) -> str:
    asked = order_by or "-bytes"
    expression = known.get(asked.removeprefix("-"))
    if expression is None:
        message = f"must be one of {', '.join(known)}, with - before it for descending"
        raise InvalidInput("The order is not valid", errors=[FieldProblem(field="order_by", message=message)])
    direction = "DESC" if asked.startswith("-") else "ASC"
    return f"ORDER BY {expression} {direction}, {last}"


# -- cleaning up --------------------------------------------------------------------------------------


def clean_up(service: Service, principal: Principal, registry: str, request: StorageCleanUp) -> Accepted[ModelRegistry]:
    """Removes chosen archives without a version, and versions without an archive, as a workflow.

    Archives found to be in use stay. Raises NotPermitted, Missing, InvalidInput, WrongState.
    """
    place = enter_registry(service, registry, any_status=True, reader=principal, action=Action.ENVIRONMENT_SEE)
    resource = Resource("registry", place.id, place.name, place.id)
    with events.refusals(service, principal, "registry.clean-up", resource):
        enter_registry(service, place.id, reader=principal, action=Action.STORAGE_CLEAN_UP)
        _check_chosen(request, place.name)
        workflow = service.workflows.start(
            principal, WorkflowKind.CLEAN_UP, resource=resource, arguments=request.model_dump(mode="json")
        )
    return Accepted(resource=registries.get_registry(service, principal, place.id), workflow=workflow)


def _check_chosen(request: StorageCleanUp, registry: str) -> None:
    if not request.archives and not request.versions:
        raise InvalidInput(
            "Nothing was chosen to clean up",
            action=f"`registry-tui registries storage {registry} --state orphaned` lists the files that may be removed",
        )
    for field, chosen in (("archives", request.archives), ("versions", request.versions)):
        for each in chosen:
            parts = each.split("/")
            if len(parts) != 2 or not all(ID_PATTERN.fullmatch(part) for part in parts):
                message = f"{each[:80]!r} is not <model ID>/<version ID>"
                raise InvalidInput(f"{field}: {message}", errors=[FieldProblem(field=field, message=message)])


# -- underneath ----------------------------------------------------------------------------------------


@contextmanager
def _opened(service: Service, registry_id: str) -> Iterator[sqlite3.Connection | None]:
    """The last measurement, read-only; None without one."""
    path = storage_measuring.path_of(service, registry_id)
    try:
        database = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    except sqlite3.OperationalError:
        yield None
        return
    with closing(database):
        database.row_factory = sqlite3.Row
        database.create_function("fold", 1, lambda text: str(text or "").casefold(), deterministic=True)
        database.create_function("part", 3, _is_part, deterministic=True)
        yield database


def _is_part(part: str, name: str | None, id_: str) -> bool:
    return part.casefold() in (name or "").casefold() or part == id_


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _age(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
