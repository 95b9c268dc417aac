"""Older versions: adds, in the background, the bill of materials and the content digest that newer ones have.

Without these, searches by components leave them out, and promoting their content again stores it once more.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from sqlalchemy import select

from registry_tui.contracts.counts import counted
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.models import ModelVersion, VersionStatus
from registry_tui.schemas.registries import RegistryStatus
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import RegistryRow, VersionBomRow, now
from registry_tui.service.errors import Missing, PartUnavailable, ServiceError, WrongState
from registry_tui.service.models import boms, versions
from registry_tui.service.models import changes as model_changes
from registry_tui.service.models import registered as models
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.stores import archives

_logger = logging.getLogger(__name__)
#: Versions per request.
_PAGE = 200
#: Seconds of pause for each second of work, to keep the load low.
_REST = 1.0


def describe_all(service: Service, stopping: threading.Event) -> int:
    """Describes every stored version of the registries that were not walked yet; returns how many.

    Once for each registry: versions that cannot be described are left to `models bom --again`. After an interruption it
    begins again, and skips the finished versions. Raises PartUnavailable.
    """
    with service.database.reading() as session:
        query = select(RegistryRow).where(RegistryRow.described_at.is_(None)).order_by(RegistryRow.created_at)
        waiting = [row.id for row in session.scalars(query) if RegistryStatus(row.status).live]
    done = 0
    for registry_id in waiting:
        try:
            place, found = enter_registry(service, registry_id), 0
            # Pages shift when versions are deleted meanwhile: the last pass finds nothing to do.
            while (again := _describe_registry(service, place, stopping)) and not stopping.is_set():
                found += again
        except (Missing, WrongState):  # it went away meanwhile
            continue
        if stopping.is_set():
            break
        with service.database.session() as session:
            if (row := session.get(RegistryRow, registry_id)) is not None:
                row.described_at = now()
        if found:
            _logger.info("%s of registry %s described", counted(found, "older version"), registry_id)
        done += found
    return done


def _describe_registry(service: Service, place: RegistryPlace, stopping: threading.Event) -> int:
    done = 0
    params: dict[str, Any] = {"order_by": ["creation_timestamp ASC"], "max_results": _PAGE}
    while True:
        page = service.mlflow.call("GET", "model-versions/search", workspace=place.workspace, params=params)
        listed = page.get("model_versions", [])
        ids = [id_ for each in listed if (id_ := _tags(each).get(mlflow_tags.VERSION_ID))]
        with service.database.reading() as session:
            described = set(session.scalars(select(VersionBomRow.version_id).where(VersionBomRow.version_id.in_(ids))))
        for each in listed:
            tags = _tags(each)
            lacking = (mlflow_tags.CONTENT not in tags, tags.get(mlflow_tags.VERSION_ID) not in described)
            if each.get("status") != VersionStatus.READY.value or mlflow_tags.ARCHIVE not in tags or not any(lacking):
                continue
            began = time.monotonic()
            done += _describe(service, place, each, *lacking)
            if stopping.wait(_REST * (time.monotonic() - began)):
                return done
        if not page.get("next_page_token"):
            return done
        params["page_token"] = page["next_page_token"]


def _describe(service: Service, place: RegistryPlace, listed: dict[str, Any], content: bool, bom: bool) -> bool:
    """Adds the missing facts to a version; returns whether it has them now. Raises PartUnavailable."""
    model = models.fetch_model(service, place, listed["name"])
    if model is None:
        return False
    version = versions.to_version(model, listed)
    try:
        if content:
            _note_content(service, place, version)
        if bom:
            boms.describe(service, place, version)
    except PartUnavailable:
        raise
    except ServiceError as error:
        _logger.info("%s v%s cannot be described: %s", version.model_name, version.version, error.detail)
        return False
    return True


def _note_content(service: Service, place: RegistryPlace, version: ModelVersion) -> None:
    manifest = archives.read_manifest(place.archive(service, version.model_id, version.id))
    tags = {mlflow_tags.CONTENT: manifest.content}
    service.mlflow.set_version_tags(place.workspace, version.model_name, version.version, tags)
    model_changes.changed(service, place.id)


def _tags(version: dict[str, Any]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in version.get("tags", ())}
