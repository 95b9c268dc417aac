"""A deployment's reason when it cannot serve the version of its alias."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from registry_tui.schemas.models import ModelVersion, Origin, RegisteredModel, VersionStatus, Visibility
from registry_tui.service.database.tables import DeploymentRow
from registry_tui.service.loops.minder import _problem

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROW = DeploymentRow(model_name="wine", alias="champion", version=1)
MODEL = RegisteredModel(
    id="m", name="wine", registry_id="r", description="", owner="ann", visibility=Visibility.PUBLIC, location="",
    created_at=NOW, updated_at=NOW,
)  # fmt: skip


def named(status: VersionStatus, message: str = "") -> ModelVersion:
    return ModelVersion(
        id="v", model_id="m", model_name="wine", registry_id="r", version=2, status=status, status_message=message,
        notes="", creator="ann", created_at=NOW, updated_at=NOW, origin=Origin(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("model", "version", "words"),
    [
        (None, None, "model wine was deleted"),
        (MODEL, None, "model wine has no alias champion any more"),
        (MODEL, named(VersionStatus.PENDING_REGISTRATION), "version 2, which is still being stored"),
        (MODEL, named(VersionStatus.FAILED_REGISTRATION, "disk full."), "could not be stored (disk full)"),
        (MODEL, named(VersionStatus.FAILED_REGISTRATION), "could not be stored (the reason is not known)"),
    ],
)
def test_it_says_why_and_what_goes_on_serving(
    model: RegisteredModel | None, version: ModelVersion | None, words: str
) -> None:
    problem = _problem(ROW, model, version)
    assert words in problem and "version 1 goes on serving" in problem


def test_it_says_nothing_when_it_can_follow() -> None:
    assert _problem(ROW, MODEL, named(VersionStatus.READY)) == ""
