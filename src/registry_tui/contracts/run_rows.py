"""MLflow's server's response to the service's searches of runs: the JSON of `schemas.base.Page[schemas.tracking.Run]`.

The service sends it on as it is, since reading and writing it again takes as long as the search.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

#: The route, below `/api/2.0/mlflow/`.
PATH = "registry-tui/runs"
#: Most runs in one response. Beyond `SMALL_PAGE` runs, a response ends where it has more than `MOST_VALUES` metrics,
#: params and tags, or more than `MOST_CHARACTERS` in their keys and texts, so that experiments with thousands of
#: metrics or with long params take no more memory than others.
MOST_RUNS = 10_000
SMALL_PAGE = 1000
MOST_VALUES = 300_000
MOST_CHARACTERS = 32_000_000
#: The tag in which clients of MLflow 2 note the models that they logged.
LOGGED_BY_MLFLOW_2 = "mlflow.log-model.history"
#: MLflow keeps infinities as the largest floats (`SqlAlchemyStore._sanitize_metric_value`).
LARGEST = sys.float_info.max


class RunRow(NamedTuple):
    """A run. Times are milliseconds since 1970; metrics as MLflow keeps them, infinities as the largest floats."""

    id: str
    name: str
    experiment_id: str
    user: str
    status: str
    stage: str
    started: int | None
    ended: int | None
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]
    has_model_outputs: bool


class RunRows(NamedTuple):
    """Runs in order, and MLflow's token of the next page."""

    runs: list[RunRow]
    next_page_token: str | bytes | None
