"""Measures the storage of a registry's archives, in the background, into a small database that `usage.py` reads.

The bucket is listed first, and the versions are read from MLflow afterwards. A version exists before the first file of
its archive, so an archive that is being stored always finds its version.
"""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from registry_tui.contracts.mlflow_routes import ID_PATTERN
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.models import VersionStatus
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import DeploymentRow, RevisionRow, WorkflowRow
from registry_tui.service.engine.rows import ACTIVE
from registry_tui.service.errors import ServiceError
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.registries.place import RegistryPlace
from registry_tui.service.stores import archives

logger = logging.getLogger(__name__)

#: Orphans whose manifest is read for their names, the largest first; archives with more objects would take long.
_NAMED_ORPHANS, _NAMED_OBJECTS = 200, 2000
_BATCH = 1000

#: The archive that a copied version is made from, in its origin: `…/workspaces/<project>/registry/<model>/<version>/…`.
_COPIED = re.compile(rf"/registry/{ID_PATTERN.pattern}/(?P<version>{ID_PATTERN.pattern})(?:/|$)")

_TABLES = """
CREATE TABLE archives (model_id TEXT, version_id TEXT, objects INT, bytes INT, manifest INT, modified REAL,
                       PRIMARY KEY (model_id, version_id)) WITHOUT ROWID;
CREATE TABLE versions (version_id TEXT PRIMARY KEY, model_name TEXT, number INT, status TEXT, verified REAL,
                       model_id TEXT) WITHOUT ROWID;
CREATE TABLE models (name TEXT PRIMARY KEY, id TEXT) WITHOUT ROWID;
CREATE TABLE used (version_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE used_models (model_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE facts (registry_id TEXT, measured_at REAL, took REAL, other_objects INT, other_bytes INT);
"""
_JOIN = """
CREATE TABLE usage AS
SELECT a.model_id, a.version_id, v.model_name, v.number AS version, a.objects, a.bytes, a.modified,
       CASE WHEN v.version_id IS NULL AND (a.version_id IN (SELECT version_id FROM used)
                                           OR a.model_id IN (SELECT model_id FROM used_models)) THEN 'in use'
            WHEN v.version_id IS NULL THEN 'orphaned'
            WHEN v.status = 'PENDING_REGISTRATION' THEN 'storing'
            WHEN v.status = 'FAILED_REGISTRATION' THEN 'failed'
            WHEN a.manifest THEN 'stored'
            WHEN v.verified >= :began THEN 'storing'
            ELSE 'incomplete' END AS state
FROM archives a LEFT JOIN versions v ON v.version_id = a.version_id
UNION ALL
SELECT coalesce(v.model_id, m.id, ''), v.version_id, v.model_name, v.number, 0, 0, NULL,
       CASE WHEN v.status = 'FAILED_REGISTRATION' THEN 'failed'
            WHEN v.status = 'PENDING_REGISTRATION' OR v.verified >= :began THEN 'storing'
            ELSE 'missing' END
FROM versions v LEFT JOIN models m ON m.name = v.model_name
WHERE v.version_id NOT IN (SELECT version_id FROM archives)
"""


@dataclass
class Measuring:
    """A measurement that is under way, or how the last one failed."""

    seen: int = 0
    error: str | None = None
    done: threading.Event = field(default_factory=threading.Event)


class _Measurements:
    """The measurement of each registry that is under way, or its last one, by the registry's ID."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.known: dict[str, Measuring] = {}


def latest(service: Service, registry_id: str) -> Measuring | None:
    """The measurement of a registry that is under way, or the last one since the service started."""
    measurements = service.kept.of(_Measurements)
    with measurements.guard:
        return measurements.known.get(registry_id)


def begin(service: Service, place: RegistryPlace) -> Measuring:
    """Measures in a thread of its own; joins a measurement of this registry that is already running."""
    measurements = service.kept.of(_Measurements)
    with measurements.guard:
        running = measurements.known.get(place.id)
        if running is not None and not running.done.is_set():
            return running
        begun = measurements.known[place.id] = Measuring()
    name = f"storage-{place.id[:8]}"
    threading.Thread(target=_measure, args=(service, place, begun), name=name, daemon=True).start()
    return begun


def forget(service: Service, registry_id: str) -> None:
    """Removes the measurement of a deleted registry."""
    path_of(service, registry_id).unlink(missing_ok=True)


def _measure(service: Service, place: RegistryPlace, now: Measuring) -> None:
    path = path_of(service, place.id)
    partial = path.with_suffix(".part")
    try:
        partial.unlink(missing_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with closing(sqlite3.connect(partial, isolation_level=None)) as database:
            # A file left half-written by a kill is never read, so there is no need to sync.
            database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLES)
            _fill(service, place, database, now)
        partial.replace(path)
    except ServiceError as error:
        now.error = error.detail
    except Exception:
        logger.exception("Measuring the storage of Model Registry %s failed", place.name)
        now.error = "An error of the service itself; see its log"
    finally:
        now.done.set()


def _fill(service: Service, place: RegistryPlace, database: sqlite3.Connection, now: Measuring) -> None:
    began, clock = time.time(), time.monotonic()
    database.execute("BEGIN")
    other = _list_archives(service, place, database, now)
    # After the listing, so that new uses of archives are known.
    _list_users(service, place, database)
    _list_versions(service, place, database)
    missed = "SELECT 1 FROM archives WHERE version_id NOT IN (SELECT version_id FROM versions) LIMIT 1"
    if database.execute(missed).fetchone():
        # A version that is deleted while MLflow's pages are read moves another one past them: read again.
        _list_versions(service, place, database)
    rows = ((model.name, model.id) for _, model in models.scan(service, place))
    database.executemany("INSERT OR REPLACE INTO models VALUES (?, ?)", rows)
    # A second for clocks that differ.
    database.execute(_JOIN.replace(":began", str(began - 1)))
    _name_orphans(service, place, database)
    facts = (place.id, time.time(), time.monotonic() - clock, *other)
    database.execute("INSERT INTO facts VALUES (?, ?, ?, ?, ?)", facts)
    database.execute("COMMIT")


def _list_archives(
    service: Service, place: RegistryPlace, database: sqlite3.Connection, now: Measuring
) -> tuple[int, int]:
    """Sums up each archive's objects; returns number and bytes of other objects. One archive in memory."""
    current: list[Any] | None = None
    other_objects = other_bytes = 0

    def write() -> None:
        if current is not None:
            # Keys come in order, but one that sorts between an archive's own would part it in two.
            database.execute(
                """INSERT INTO archives VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
                   objects = objects + excluded.objects, bytes = bytes + excluded.bytes,
                   manifest = max(manifest, excluded.manifest), modified = max(modified, excluded.modified)""",
                current,
            )

    for entry in place.listing(service):
        now.seen += 1
        parts = entry.key.split("/", 2)
        if len(parts) < 3 or not all(ID_PATTERN.fullmatch(part) for part in parts[:2]):
            other_objects, other_bytes = other_objects + 1, other_bytes + entry.size
            continue
        if current is None or current[:2] != parts[:2]:
            write()
            current = [*parts[:2], 0, 0, 0, 0.0]
        current[2] += 1
        current[3] += entry.size
        current[4] = current[4] or int(parts[2] == archives.MANIFEST)
        current[5] = max(current[5], entry.modified.timestamp())
    write()
    return other_objects, other_bytes


def _list_versions(service: Service, place: RegistryPlace, database: sqlite3.Connection) -> None:
    rows: list[tuple[Any, ...]] = []

    def write() -> None:
        database.executemany("INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?, ?)", rows)
        rows.clear()

    for found in service.mlflow.search_versions(place.workspace, order_by=["creation_timestamp ASC"]):
        tags = {tag["key"]: tag.get("value", "") for tag in found.get("tags", ())}
        version_id = tags.get(mlflow_tags.VERSION_ID)
        if version_id is None:
            continue
        stored = versions.archive_facts(tags.get(mlflow_tags.ARCHIVE))
        model_id = None if stored is None else stored.uri.rstrip("/").split("/")[-2]
        verified = None if stored is None else stored.verified_at.timestamp()
        status = found.get("status", VersionStatus.READY)
        rows.append((version_id, found["name"], int(found["version"]), status, verified, model_id))
        if status != VersionStatus.READY and (copied := copied_from(found)):
            database.execute("INSERT OR IGNORE INTO used VALUES (?)", (copied,))
        if len(rows) == _BATCH:
            write()
    write()


def _list_users(service: Service, place: RegistryPlace, database: sqlite3.Connection) -> None:
    used = users(service, place.id)
    database.executemany("INSERT OR IGNORE INTO used VALUES (?)", ((each,) for each in used.versions))
    database.executemany("INSERT OR IGNORE INTO used_models VALUES (?)", ((each,) for each in used.models))


@dataclass(frozen=True)
class Users:
    """Versions, and models with all versions, by ID, whose archives a workflow or a deployment uses."""

    versions: frozenset[str]
    models: frozenset[str]


def users(service: Service, registry_id: str) -> Users:
    """The archives that are in use now in a registry, whether or not MLflow still knows them."""
    found: set[str] = set()
    whole: set[str] = set()
    working = select(WorkflowRow).where(WorkflowRow.status.in_(ACTIVE), WorkflowRow.registry_id == registry_id)
    deployed = select(RevisionRow.version_id).join(DeploymentRow).where(DeploymentRow.registry_id == registry_id)
    with service.database.reading() as session:
        for row in session.scalars(working):
            version_id, model_id = row.arguments.get("version_id"), row.arguments.get("model_id")
            if version_id:
                found.add(version_id)
            elif model_id:
                whole.add(model_id)
            if copied := _COPIED.search(str(row.arguments.get("source", ""))):
                found.add(copied["version"])
        found.update(session.scalars(deployed))
    return Users(frozenset(found), frozenset(whole))


def copied_from(version: Mapping[str, Any]) -> str | None:
    """The ID of the version whose archive an MLflow version is copied from, when it is a copy."""
    origin = next((tag.get("value", "") for tag in version.get("tags", ()) if tag["key"] == mlflow_tags.ORIGIN), "")
    found = _COPIED.search(origin)
    return None if found is None else found["version"]


def _name_orphans(service: Service, place: RegistryPlace, database: sqlite3.Connection) -> None:
    """The models and versions of the largest archives without a version, from their manifests."""
    query = """SELECT model_id, version_id FROM usage JOIN archives USING (model_id, version_id)
               WHERE state IN ('orphaned', 'in use') AND manifest AND usage.objects <= ?
               ORDER BY usage.bytes DESC LIMIT ?"""
    for model_id, version_id in database.execute(query, (_NAMED_OBJECTS, _NAMED_ORPHANS)).fetchall():
        with suppress(ServiceError):  # a manifest that cannot be read leaves an orphan without a name
            manifest = archives.read_manifest(place.archive(service, model_id, version_id, looked=True))
            database.execute(
                "UPDATE usage SET model_name = ?, version = ? WHERE model_id = ? AND version_id = ?",
                (manifest.model_name, manifest.version, model_id, version_id),
            )


def path_of(service: Service, registry_id: str) -> Path:
    """The database of a registry's last measurement."""
    return service.home.storage_usage / f"{registry_id}.db"
