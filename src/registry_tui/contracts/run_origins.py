"""Origins of runs as MLflow's server sends them to the service: a list for each run, without field names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: Most runs in one response.
MOST_RUNS = 1000


class OriginRow(NamedTuple):
    """A run with the data sets that it read, and the models that it read and logged."""

    id: str
    name: str
    experiment_id: str
    status: str
    stage: str
    commit: str
    #: Data sets by name, digest and kind of source.
    datasets: Sequence[tuple[str, str, str]]
    #: Logged models by ID and name, each with whether the run read it.
    models: Sequence[tuple[str, str, bool]]
