"""The preparation of a rollout before its replicas start: its rows, the files of its version, their environment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import selectinload

from registry_tui.schemas.deployments import BuildState
from registry_tui.service.database.tables import DeploymentRow, RevisionRow, now
from registry_tui.service.deployments import (
    fetching,
    model_files,
    model_requirements,
    python_environments,
    shared_files,
)
from registry_tui.service.engine.steps import StepContext
from registry_tui.service.errors import Missing, ServiceError


def row_of(context: StepContext) -> DeploymentRow:
    """The deployment with its revisions. Raises Missing."""
    with context.service.database.reading() as session:
        row = session.get(DeploymentRow, context.resource.id, options=(selectinload(DeploymentRow.revisions),))
    if row is None:
        raise Missing(f"The deployment {context.resource.name} is gone")
    return row


def revision_of(context: StepContext, row: DeploymentRow) -> RevisionRow:
    """The revision that is being rolled out. Raises Missing."""
    number = context.arguments["revision"]
    found = next((revision for revision in row.revisions if revision.number == number), None)
    if found is None:
        raise Missing(f"{row.name} has no revision {number}")
    return found


def change(context: StepContext, *, revision: Mapping[str, Any] | None = None, **values: Any) -> None:
    """Writes values of the deployment's row, and of the revision's that is being rolled out."""
    with context.service.database.session() as session:
        row = session.get(DeploymentRow, context.resource.id)
        if row is None:
            return
        for name, value in values.items():
            setattr(row, name, value)
        row.updated_at = now()
        for each in row.revisions if revision else ():
            if each.number == context.arguments["revision"]:
                for name, value in (revision or {}).items():
                    setattr(each, name, value)


def fetch(context: StepContext) -> Mapping[str, Any]:
    """Fetches the version's files, as a step of the rollout."""
    return place(context)


def place(context: StepContext, without_nfs: str = "") -> Mapping[str, Any]:
    """Fetches the files; `without_nfs`: why not into the registry's NFS, which an earlier step used."""
    row = row_of(context)
    placed, checked = fetching.fetch(context, row, revision_of(context, row), without_nfs)
    return {
        "model": str(placed.folder),
        "files": placed.said,
        "shared": placed.shared,
        "manifest_sha256": placed.manifest_sha256,
        "signature": checked.signature,
        "trusted_keys": checked.trusted_keys,
        "signed_version": checked.version_id,
    }


def model_of(context: StepContext, row: DeploymentRow, revision: RevisionRow) -> Path:
    """The folder of the archive; older workflows always used the same place."""
    fetched = model_files.folder_of(context.service, row.model_id, revision.version_id)
    return Path(context.state.get("model", fetched))


def build(context: StepContext) -> Mapping[str, Any]:
    """Makes the environment that the model requires, as a step of the rollout. Raises ServiceError."""
    service, row = context.service, row_of(context)
    revision = revision_of(context, row)
    began = time.monotonic()
    change(context, revision={"build": BuildState.BUILDING.value})
    try:
        model = model_of(context, row, revision) / "files"
        shared = context.state.get("shared", False)
        placed: Mapping[str, Any] = {}
        try:
            wanted = shared_files.reading(lambda: model_requirements.read_wanted(model), shared=shared)
        except shared_files.NfsSilent as silent:
            placed = place(context, silent.detail)
            wanted = model_requirements.read_wanted(Path(placed["model"]) / "files")
        made = python_environments.ensure(service, wanted, context.log, context.check_cancelled)
    except ServiceError:
        change(
            context,
            revision={"build": BuildState.FAILED.value, "build_seconds": round(time.monotonic() - began, 3)},
        )
        raise
    change(
        context,
        revision={
            "build": BuildState.BUILT.value,
            "python_environment": made.key,
            "build_seconds": round(time.monotonic() - began, 3),
        },
    )
    return {**placed, "environment": made.key}
