"""Where deployments run, in words."""

from __future__ import annotations

from registry_tui.schemas.places import BackendKind, EnvironmentBackend


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
