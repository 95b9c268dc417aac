"""How MLflow's server tells the service about many versions of a model: what its lineage shows of them."""

from __future__ import annotations

from typing import NamedTuple

#: The route, below `/api/2.0/mlflow/`.
PATH = "registry-tui/versions"
#: Versions in one answer at most.
MOST = 2000


class VersionRow(NamedTuple):
    """A version: its number, status and run, and the tag that says where it came from; empty texts for none."""

    version: int
    status: str
    run_id: str
    source: str
    origin: str
