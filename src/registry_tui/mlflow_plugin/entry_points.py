"""The entry points of `pyproject.toml` that MLflow loads.

MLflow loads them while it is itself being imported, in every process, so nothing of MLflow is imported before a
scheme of ours is really used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_tui.mlflow_plugin.artifacts import EnvironmentArtifactRepository
    from registry_tui.mlflow_plugin.store import EnvironmentRegistryStore


def open_store(store_uri: str | None = None) -> EnvironmentRegistryStore:
    """The registry store of MLflow's server, for `registry-tui://registry`."""
    from registry_tui.mlflow_plugin.store import open_store as open_

    return open_()


def open_artifacts(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> EnvironmentArtifactRepository:
    """The artifact repository of MLflow's server, for `registry-tui://artifacts`."""
    from registry_tui.mlflow_plugin.artifacts import EnvironmentArtifactRepository

    return EnvironmentArtifactRepository(artifact_uri, tracking_uri, registry_uri)
