"""Pages of runs as JSON, in the service's format."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from registry_tui.contracts.run_rows import LARGEST, LOGGED_BY_MLFLOW_2, RunRow, RunRows


def as_json(found: RunRows) -> bytes:
    """The JSON of `schemas.base.Page[schemas.tracking.Run]`."""
    page = {"items": list(map(_item, found.runs)), "next_page_token": found.next_page_token, "total": None}
    return orjson.dumps(page, default=bytes.decode)  # MLflow's tokens are bytes


def _item(run: RunRow) -> dict[str, Any]:
    """The fields of `schemas.tracking.Run`."""
    return {
        "id": run.id,
        "name": run.name,
        "experiment_id": run.experiment_id,
        "user": run.user,
        "status": run.status,
        "lifecycle_stage": run.stage,
        "started_at": _moment(run.started),
        "ended_at": _moment(run.ended),
        "metrics": {
            key: value if -LARGEST < value < LARGEST else _in_words(value) for key, value in run.metrics.items()
        },
        "params": run.params,
        "tags": run.tags,
        "holds_model": run.has_model_outputs or LOGGED_BY_MLFLOW_2 in run.tags,
    }


def _moment(milliseconds: int | None) -> str | None:
    """MLflow's time (milliseconds since 1970) in ISO 8601; None for 0 and times out of range."""
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
    except (OverflowError, ValueError, OSError):
        return None
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _in_words(value: float) -> str:
    """NaN and infinities as words: JSON has no numbers for them."""
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
