"""Versions of registered models: lists, details, changes, deleting. Their archives are in `version_archives.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import select

from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.models import ModelVersion, Origin, RegisteredModel, VersionStatus, VersionUpdate
from registry_tui.schemas.operations import Workflow
from registry_tui.schemas.scans import Verdict
from registry_tui.schemas.stages import Stage
from registry_tui.service.adapters import mlflow_words
from registry_tui.service.adapters.mlflow_words import mlflow_order, quoted, unquotable
from registry_tui.service.core import events, paging
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.no_change import require_change
from registry_tui.service.database.tables import VersionScanRow
from registry_tui.service.engine.rows import active_workflow
from registry_tui.service.errors import Missing
from registry_tui.service.models import registered as models
from registry_tui.service.promotion import stages
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.signing import archives as signing

_ORDER = {
    "version": "version_number",
    "created_at": "creation_timestamp",
    "updated_at": "last_updated_timestamp",
}


class StoredArchive(BaseModel):
    """The content of the tag `mlflow_tags.ARCHIVE`."""

    model_config = ConfigDict(frozen=True)

    uri: str
    bytes: int
    files: int
    verified_at: datetime
    #: The damage found by the last verification.
    damage: str = ""
    #: Why replicas cannot serve it; empty when they can.
    not_servable: str = ""


def list_versions(
    service: Service,
    principal: Principal,
    registry: str,
    model: str,
    *,
    search: str | None = None,
    status: VersionStatus | None = None,
    stage: Stage | None = None,
    content: str | None = None,
    order_by: str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[ModelVersion]:
    """A model's versions, sorted by `order_by`, by default newest first.

    `content`: those with just these files, by their `Manifest.content`.

    `search` finds a number, and in any case parts of notes, creators, aliases and tags; MLflow's server does that, so
    that no more than the page is read. Raises Missing, WrongState, InvalidInput, PartUnavailable.
    """
    paging.check_page_size(page_size)
    place = enter_registry(service, registry, reader=principal)
    found = models.find_model(service, principal, place, model)
    order = order_by or "-version"
    scope = f"versions:{found.id}:{search}:{status}:{stage}:{content}:{order}"
    start = int(paging.decode_token(scope, page_token, int)[0]) if page_token else 0
    filters = [f"name {'LIKE' if unquotable(found.name) else '='} {quoted(found.name)}"]
    if search:
        filters.append(f"tags.`{mlflow_tags.SEARCH}` = '{mlflow_tags.search_value(search)}'")
    if status is not None:
        filters.append(f"tags.`{mlflow_tags.STATUS}` = '{status.value}'")
    if stage is not None:
        filters.append(f"tags.`{mlflow_tags.STAGE}` = '{stage.value}'")
    if content is not None:
        filters.append(f"tags.`{mlflow_tags.CONTENT}` = {quoted(content)}")
    params = {
        "filter": " AND ".join(filters),
        "order_by": [mlflow_order(order, _ORDER)],
        "max_results": page_size,
        "page_token": mlflow_words.offset_token(start) if start else None,
    }
    answer = service.mlflow.call("GET", "model-versions/search", workspace=place.workspace, params=params)
    listed = answer.get("model_versions", ())
    more = bool(answer.get("next_page_token"))
    return Page(
        items=_with_marks(service, [to_version(found, each) for each in listed if each["name"] == found.name]),
        next_page_token=paging.encode_token(scope, start + len(listed)) if more else None,
    )


def get_version(service: Service, principal: Principal, registry: str, model: str, version: int) -> ModelVersion:
    """One version, and how far its archive is while it is being stored. Raises Missing, WrongState, PartUnavailable."""
    place = enter_registry(service, registry, reader=principal)
    found = models.find_model(service, principal, place, model)
    return _with_marks(service, [find_version(service, place, found, version)])[0]


def _with_marks(service: Service, found: Sequence[ModelVersion]) -> list[ModelVersion]:
    """The versions, each with its signatures and the verdict of its newest scan."""
    ids = [each.id for each in found]
    with service.database.reading() as session:
        known = signing.marks(session, ids)
        rows = session.execute(
            select(VersionScanRow.version_id, VersionScanRow.verdict).where(VersionScanRow.version_id.in_(ids))
        )
        verdicts = {id_: Verdict(verdict) for id_, verdict in rows}
    return [
        each.model_copy(
            update={"signatures": known.get(each.id, each.signatures), "scan": verdicts.get(each.id, each.scan)}
        )
        for each in found
    ]


def find_version(service: Service, place: RegistryPlace, model: RegisteredModel, version: int) -> ModelVersion:
    """As `get_version`, of a model that is known already."""
    try:
        answer = service.mlflow.call(
            "GET",
            "model-versions/get",
            workspace=place.workspace,
            params={"name": model.name, "version": str(version)},
        )
    except Missing as error:
        raise _no_version(service, place, model, version) from error
    found = to_version(model, answer["model_version"])
    if found.status is VersionStatus.PENDING_REGISTRATION:
        with service.database.reading() as session:
            workflow = active_workflow(session, "version", found.id)
        if workflow is not None:
            found = found.model_copy(update={"workflow_id": workflow.id, "status_message": _how_far(workflow)})
    return found


def _no_version(service: Service, place: RegistryPlace, model: RegisteredModel, version: int) -> Missing:
    """The error for a missing version. Numbers are not reused, so those of a model may begin anywhere."""
    params = {
        "filter": f"name {'LIKE' if unquotable(model.name) else '='} {quoted(model.name)}",
        "order_by": ["version_number ASC"],
        "max_results": 1,
    }
    answer = service.mlflow.call("GET", "model-versions/search", workspace=place.workspace, params=params)
    first = next((int(each["version"]) for each in answer.get("model_versions", ())), None)
    begin = f"; its versions begin at {first}" if first is not None and version < first else ""
    return Missing(
        f"Model {model.name} has no version {version}{begin}", action=f"See `registry-tui models versions {model.name}`"
    )


def update_version(
    service: Service, principal: Principal, registry: str, model: str, version: int, request: VersionUpdate
) -> ModelVersion:
    """Changes notes and tags. Raises Missing, NotPermitted, InvalidInput, PartUnavailable."""
    place = enter_registry(service, registry, reader=principal)
    with events.recording(
        service, principal, "version.update", Resource("version", f"{model}/{version}", f"{model} v{version}", place.id)
    ) as event:
        found = models.find_model(service, principal, place, model)
        known = find_version(service, place, found, version)
        event.resource = resource_of(place, known)
        models.require_owner(principal, found, "change its versions", also=known.creator)
        require_change(request)
        models.check_tags(request.set_tags, request.delete_tags)
        named = {"name": found.name, "version": str(version)}
        if request.notes is not None:
            service.mlflow.call(
                "PATCH",
                "model-versions/update",
                workspace=place.workspace,
                json={**named, "description": request.notes},
            )
        service.mlflow.set_version_tags(
            place.workspace, found.name, version, {tag.key: tag.value for tag in request.set_tags}
        )
        for key in request.delete_tags:
            if key in known.tags:
                service.mlflow.call(
                    "DELETE", "model-versions/delete-tag", workspace=place.workspace, json={**named, "key": key}
                )
    return find_version(service, place, found, version)


# -- MLflow's objects ------------------------------------------------------------------------------------


def to_version(model: RegisteredModel, found: Mapping[str, Any]) -> ModelVersion:
    """MLflow's `ModelVersion` as ours."""
    tags = {tag["key"]: tag.get("value", "") for tag in found.get("tags", ())}
    number = int(found["version"])
    archive = archive_facts(tags.get(mlflow_tags.ARCHIVE))
    stored = stages.stage_of(tags, found)
    return ModelVersion(
        id=tags.get(mlflow_tags.VERSION_ID, f"{model.id}/{number}"),
        model_id=model.id,
        model_name=model.name,
        registry_id=model.registry_id,
        version=number,
        status=VersionStatus(found.get("status", VersionStatus.READY)),
        status_message=found.get("status_message", ""),
        notes=found.get("description", ""),
        creator=tags.get(mlflow_tags.CREATOR, found.get("user_id", "")),
        created_at=mlflow_words.moment(found.get("creation_timestamp")),
        updated_at=mlflow_words.moment(found.get("last_updated_timestamp")),
        aliases=_aliases(model, number),
        tags=models.own_tags(tags),
        origin=origin_of(tags.get(mlflow_tags.ORIGIN), found),
        archive_uri=archive.uri if archive else None,
        archive_bytes=archive.bytes if archive else None,
        archive_files=archive.files if archive else None,
        verified_at=archive.verified_at if archive else None,
        archive_damage=archive.damage or None if archive else None,
        servable=not (archive and archive.not_servable),
        not_servable_reason=(archive.not_servable or None) if archive else None,
        workflow_id=tags.get(mlflow_tags.WORKFLOW_ID),
        stage=stored.stage,
        stage_status=stored.status,
        stage_description=stored.description,
    )


def resource_of(place: RegistryPlace, version: ModelVersion) -> Resource:
    """A version as events and workflows name it."""
    return named_resource(place.id, version.id, version.model_name, version.version)


def named_resource(registry_id: str, version_id: str, model: str, version: int) -> Resource:
    """As `resource_of`, of a version that is only known by name."""
    return Resource("version", version_id, f"{model} v{version}", registry_id)


def _aliases(model: RegisteredModel, number: int) -> list[str]:
    return sorted(alias for alias, version in model.aliases.items() if version == number)


def archive_facts(tag: str | None) -> StoredArchive | None:
    """The content of the tag `mlflow_tags.ARCHIVE`; None without it."""
    with suppress(ValidationError):  # a tag that an administrator changed by hand
        return StoredArchive.model_validate_json(tag) if tag else None
    return None


def origin_of(tag: str | None, found: Mapping[str, Any]) -> Origin:
    """A version's origin from its tag, else from the run and source of MLflow's `ModelVersion`."""
    with suppress(ValidationError):
        if tag:
            return Origin.model_validate_json(tag)
    return Origin(run_id=found.get("run_id") or None, source=found.get("source", ""))


def _how_far(workflow: Workflow) -> str:
    done, total = workflow.progress.bytes_done, workflow.progress.bytes_total
    return (
        f"{workflow.step or workflow.status.value}: {done * 100 // total} %"
        if total
        else (workflow.step or workflow.status.value)
    )


def archive_tag(archive: StoredArchive) -> str:
    """The value of the tag `mlflow_tags.ARCHIVE`."""
    return archive.model_dump_json()
