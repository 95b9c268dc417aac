"""The side panel of a version, as text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from registry_tui.schemas.models import ModelVersion, Origin, VersionStatus
from registry_tui.schemas.stages import Stage, StageStatus
from registry_tui.screens.models.version_panel import panel

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stage", "status", "description", "shown"),
    [
        (Stage.NONE, None, "", None),
        (Stage.NONE, StageStatus.PENDING_APPROVAL, "", "PendingApproval"),
        (Stage.QA, None, "", "QA"),
        (Stage.PRODUCTION, StageStatus.APPROVED, "since the audit", "Production, Approved: since the audit"),
    ],
)
def test_the_panel_shows_the_stage(
    stage: Stage, status: StageStatus | None, description: str, shown: str | None
) -> None:
    version = ModelVersion(
        id="aaaa-bbbb-cccc-dddd",
        model_id="aaaa-bbbb-cccc-eeee",
        model_name="Wine",
        registry_id="r",
        version=3,
        status=VersionStatus.READY,
        status_message="",
        notes="",
        creator="ann",
        created_at=NOW,
        updated_at=NOW,
        origin=Origin(),
        stage=stage,
        stage_status=status,
        stage_description=description,
    )
    lines = [" ".join(line.split()) for line in panel(version, 60).plain.splitlines()]
    assert [line for line in lines if line.startswith("Stage")] == ([] if shown is None else [f"Stage {shown}"])
