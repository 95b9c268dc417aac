"""Where deployments run, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.contracts.counts import counted
from registry_tui.schemas.places import BackendKind, EnvironmentBackend

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import Revision
    from registry_tui.schemas.scaling import Autoscaling


def backend_said(backend: EnvironmentBackend) -> str:
    """Where an environment's deployments run."""
    if backend.kind is BackendKind.LOCAL:
        return "on the registry's machine"
    return f"in the Ray {backend.version} cluster at {backend.address}"


def runs_said(kind: BackendKind) -> str:
    """Where a deployment runs."""
    return "on the registry's machine" if kind is BackendKind.LOCAL else "in the Ray cluster of its environment"


def runs(kind: BackendKind) -> str:
    """The same in a column."""
    return "here" if kind is BackendKind.LOCAL else "Ray"


def scaled(autoscaling: Autoscaling | None, before: str = "") -> str:
    """How a cluster finds the number of replicas; empty where it is fixed."""
    if autoscaling is None:
        return ""
    least, most = autoscaling.min_replicas, autoscaling.max_replicas
    return f"{before}{least} to {most} for {counted(autoscaling.target_requests, 'request')} under way in each"


def replicas_of(revision: Revision) -> str:
    """How many replicas a revision has, in a column: 2, or 1–4."""
    if revision.autoscaling is None:
        return str(revision.replicas)
    return f"{revision.autoscaling.min_replicas}–{revision.autoscaling.max_replicas}"
