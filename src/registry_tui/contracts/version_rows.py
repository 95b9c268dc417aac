"""Versions of a model as MLflow's server sends them to the service, for lineage."""

from __future__ import annotations

from typing import NamedTuple

#: The route, below `/api/2.0/mlflow/`.
PATH = "registry-tui/versions"
#: Most versions in one response.
MOST = 2000


class VersionRow(NamedTuple):
    """A version: its number, status, run, source and the tag of its origin; missing texts are empty."""

    version: int
    status: str
    run_id: str
    source: str
    origin: str
