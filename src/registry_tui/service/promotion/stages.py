"""Stages of versions: kept with the version in MLflow's server, their history here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.promotion import StageEntry
from registry_tui.schemas.stages import Stage, StageStatus, from_mlflow, to_mlflow
from registry_tui.service.core import paging
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import ApprovalRow, StageChangeRow, VersionCopyRow


class StoredStage(BaseModel):
    """The content of the tag `mlflow_tags.STAGE`."""

    model_config = ConfigDict(frozen=True)

    stage: Stage = Stage.NONE
    status: StageStatus | None = None
    description: str = ""


def stage_of(tags: Mapping[str, str], found: Mapping[str, Any]) -> StoredStage:
    """The stage of MLflow's `ModelVersion`: ours while it agrees with MLflow's, which older pipelines change."""
    theirs = found.get("current_stage") or "None"
    with suppress(ValidationError):
        if tag := tags.get(mlflow_tags.STAGE):
            stored = StoredStage.model_validate_json(tag)
            if to_mlflow(stored.stage) == theirs:
                return stored
    stage = from_mlflow(theirs)
    return StoredStage(stage=stage, status=None if stage is Stage.NONE else StageStatus.IN_PROGRESS)


def note_change(
    session: Session,
    principal: Principal,
    registry_id: str,
    model_id: str,
    version_id: str,
    change: tuple[Stage, Stage, StageStatus],
    comment: str,
) -> None:
    """Adds to the history: the stages before and after, and the status."""
    before, after, status = change
    session.add(
        StageChangeRow(
            registry_id=registry_id,
            model_id=model_id,
            version_id=version_id,
            from_stage=before.value,
            to_stage=after.value,
            status=status.value,
            comment=comment,
            user=principal.name,
        )
    )


def history(
    service: Service, version_id: str, *, page_size: int = DEFAULT_PAGE_SIZE, page_token: str | None = None
) -> Page[StageEntry]:
    """The changes of a version's stage, newest first. Raises InvalidInput."""
    with service.database.reading() as session:
        found = paging.keyset_page(
            session,
            select(StageChangeRow).where(StageChangeRow.version_id == version_id),
            [paging.Key(StageChangeRow.at, descending=True), paging.Key(StageChangeRow.id)],
            scope=f"stages:{version_id}",
            page_size=page_size,
            page_token=page_token,
        )
    return found.to_page(_entry)


def forget(session: Session, model_id: str, version_id: str | None) -> None:
    """Deletes the rows about a version, or about all of a model's."""
    for table in (StageChangeRow, ApprovalRow, VersionCopyRow):
        mine = table.model_id == model_id if version_id is None else table.version_id == version_id
        session.execute(delete(table).where(mine).execution_options(synchronize_session=False))


def _entry(row: StageChangeRow) -> StageEntry:
    return StageEntry(
        id=row.id,
        version_id=row.version_id,
        from_stage=Stage(row.from_stage),
        to_stage=Stage(row.to_stage),
        status=StageStatus(row.status),
        comment=row.comment,
        user=row.user,
        at=row.at,
    )
