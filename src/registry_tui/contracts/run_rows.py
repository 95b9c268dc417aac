"""How MLflow's server answers the service's searches of runs: a list for each run, without names of fields."""

from __future__ import annotations

from typing import Any, NamedTuple

#: The route, below `/api/2.0/mlflow/`.
PATH = "registry-tui/runs"
#: Runs in one answer at most. Beyond `SMALL_PAGE` runs, an answer ends where it has more than `MOST_VALUES` metrics,
#: params and tags, or more than `MOST_CHARACTERS` in their keys and texts, so that experiments with thousands of
#: metrics or with long params take no more memory than others.
MOST_RUNS = 10_000
SMALL_PAGE = 1000
MOST_VALUES = 300_000
MOST_CHARACTERS = 32_000_000


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
    """An answer: runs in order, and MLflow's token of the next page."""

    runs: list[Any]
    next_page_token: str | None
