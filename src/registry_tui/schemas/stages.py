"""The stages of a version's life, and MLflow's older stages for them. Only the standard library is imported."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Stage(StrEnum):
    """The stage of a version's life, in SageMaker's words; `NONE` until it is set."""

    NONE = "None"
    PROPOSAL = "Proposal"
    DEVELOPMENT = "Development"
    QA = "QA"
    PRE_PRODUCTION = "PreProduction"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


class StageStatus(StrEnum):
    """How a version is in its stage."""

    PENDING_APPROVAL = "PendingApproval"
    IN_PROGRESS = "InProgress"
    ON_HOLD = "OnHold"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    RETIRED = "Retired"


_MLFLOW: Mapping[Stage, str] = {
    Stage.PRE_PRODUCTION: "Staging",
    Stage.PRODUCTION: "Production",
    Stage.ARCHIVED: "Archived",
}
_FROM_MLFLOW: Mapping[str, Stage] = {name: stage for stage, name in _MLFLOW.items()}

#: Stages that the person who registered the version may choose too; the others need the right to release.
EARLY = frozenset({Stage.NONE, Stage.PROPOSAL, Stage.DEVELOPMENT, Stage.QA})


def to_mlflow(stage: Stage) -> str:
    """MLflow's stage; it has none for the early ones."""
    return _MLFLOW.get(stage, "None")


def from_mlflow(name: str | None) -> Stage:
    """Our stage for one of MLflow's."""
    return _FROM_MLFLOW.get(name or "", Stage.NONE)


def purpose_of(stage: Stage) -> str:
    """The purpose of an approval for a stage."""
    return f"stage:{stage.value}"
