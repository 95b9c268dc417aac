"""Bills of materials of versions: made when a version is registered, kept, and searched by their components."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from registry_tui.contracts import file_paths
from registry_tui.contracts.counts import counted
from registry_tui.platform.databases import without_nul
from registry_tui.schemas.boms import VersionBom
from registry_tui.schemas.models import ModelVersion
from registry_tui.service.adapters.mlflow_words import metric_value, pairs
from registry_tui.service.core import identity, ml_model, packages
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import VersionBomRow, VersionComponentRow, now
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted
from registry_tui.service.models import bom_document, versions
from registry_tui.service.models import registered as models
from registry_tui.service.models.bom_document import Dataset, Facts
from registry_tui.service.models.examining import examined
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.stores import archives, bucket_files
from registry_tui.service.stores.bucket_files import Folder
from registry_tui.service.tracking.project import enter_project
from registry_tui.service.tracking.runs import fetch_run

_logger = logging.getLogger(__name__)
#: Bytes of the largest file of requirements that is read.
_MAX_FILE = 4 << 20


def get_bom(service: Service, principal: Principal, registry: str, model: str, version: int) -> VersionBom:
    """A version's bill of materials. Raises Missing, also where none was made yet; NotPermitted."""
    place = enter_registry(service, registry, reader=principal)
    found = models.find_model(service, principal, place, model)
    known = versions.find_version(service, place, found, version)
    with service.database.reading() as session:
        row = session.get(VersionBomRow, known.id)
    if row is None:
        raise Missing(
            f"{found.name} v{version} has no bill of materials yet",
            action=f"Make it: `registry-tui models bom {found.name} {version} --again`",
        )
    return _to_schema(row)


def make_bom(service: Service, principal: Principal, registry: str, model: str, version: int) -> VersionBom:
    """Makes a version's bill of materials again, for its owner. Raises Missing, NotPermitted, WrongState."""
    work = {"action": "version.bom", "doing": "make its bills of materials"}
    with examined(service, principal, registry, model, version, **work) as (place, known, event):
        made = describe(service, place, known)
        event.detail = counted(len(made.document["components"]), "component")
    return made


def describe(service: Service, place: RegistryPlace, version: ModelVersion) -> VersionBom:
    """Makes and keeps the bill of materials of a version whose archive is stored.

    Raises Missing for a damaged archive, PartUnavailable.
    """
    facts = _facts(service, place, version)
    parts = bom_document.materials(facts)
    with service.database.session() as session:
        before = session.get(VersionBomRow, version.id)
        revision, made_at = 1 if before is None else before.revision + 1, now()
        if before is not None:
            session.delete(before)
            session.flush()
        row = VersionBomRow(
            version_id=version.id,
            registry_id=place.id,
            model_id=version.model_id,
            model_name=version.model_name,
            version=version.version,
            registered_at=version.created_at,
            revision=revision,
            document=_without_nul(bom_document.document(facts, revision, made_at)),
            made_at=made_at,
        )
        session.add(row)
        session.flush()
        session.add_all(
            VersionComponentRow(
                version_id=version.id,
                kind=part.kind.value,
                name=without_nul(part.name),
                wanted=without_nul(part.wanted),
                known=part.known,
                text=without_nul(part.text),
            )
            for part in parts
        )
        return _to_schema(row)


def forget(session: Session, model_id: str, version_id: str | None) -> None:
    """Deletes the bills of a version, or of a whole model, that was deleted."""
    chosen = VersionBomRow.model_id == model_id if version_id is None else VersionBomRow.version_id == version_id
    session.execute(delete(VersionBomRow).where(chosen))


def _facts(service: Service, place: RegistryPlace, version: ModelVersion) -> Facts:
    archive = place.archive(service, version.model_id, version.id)
    files = archive.below(archives.FILES)

    def read(path: str) -> bytes | None:
        return _small_file(files, path)

    run = _run(service, version)
    data, inputs = run.get("data", {}), run.get("inputs", {})
    return Facts(
        version=version,
        described=ml_model.read(read(ml_model.MODEL_FILE) or b""),
        requirements=packages.read(read),
        params=pairs(data.get("params", ())),
        metrics={each["key"]: metric_value(each.get("value", 0.0)) for each in data.get("metrics", ())},
        run_tags=pairs(data.get("tags", ())),
        datasets=[_dataset(each) for each in inputs.get("dataset_inputs", ())],
        manifest=hashlib.sha256(bucket_files.read_whole(archive, archives.MANIFEST)).hexdigest(),
    )


def _small_file(files: Folder, path: str) -> bytes | None:
    if file_paths.problem(path):
        return None
    there = bucket_files.files_there(files, [path])
    if not there:
        return None
    if there[0].size > _MAX_FILE:
        raise InvalidInput(
            f"{path} is too large for a bill of materials",
            action="Log the model again with a smaller one, and register that as a new version",
        )
    return bucket_files.read_whole(files, path) if there[0].size else b""


def _run(service: Service, version: ModelVersion) -> dict[str, Any]:
    """MLflow's run that the version comes from; empty if it is deleted or was not named."""
    origin = version.origin
    if origin.run_id is None or origin.project_id is None:
        return {}
    try:
        # The materials of a version are for everybody who may read the version, even without a role in its project.
        project = enter_project(service, identity.owner_principal(service), origin.project_id)
        return fetch_run(service, project, origin.run_id)
    except (Missing, NotPermitted):
        return {}


def _dataset(entry: Any) -> Dataset:
    found = entry.get("dataset", {})
    return Dataset(
        name=found.get("name", "") or "without a name",
        digest=found.get("digest", ""),
        source_type=found.get("source_type", ""),
        source=found.get("source", ""),
        context=pairs(entry.get("tags", ())).get("mlflow.data.context", ""),
    )


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return without_nul(value)
    if isinstance(value, dict):
        return {without_nul(key): _without_nul(each) for key, each in value.items()}
    return [_without_nul(each) for each in value] if isinstance(value, list) else value


def _to_schema(row: VersionBomRow) -> VersionBom:
    return VersionBom(version_id=row.version_id, made_at=row.made_at, document=row.document)
