"""The entry points of `pyproject.toml` that MLflow loads.

MLflow loads them while it is itself being imported, in every process, so nothing of MLflow is imported before a scheme
of ours is really used. The platform's own server uses `registry-tui://registry` and `registry-tui://artifacts`;
everywhere else `registry-tui://HOST:PORT/PROJECT` is a platform reached over the network.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from registry_tui.mlflow_plugin.addresses import REGISTRY_STORE, TRACKING_URI_AT_START

if TYPE_CHECKING:
    from registry_tui.mlflow_plugin.artifacts import EnvironmentArtifactRepository
    from registry_tui.mlflow_plugin.elsewhere.artifacts import ArchiveRepository
    from registry_tui.mlflow_plugin.elsewhere.store import RegistryStore
    from registry_tui.mlflow_plugin.store import EnvironmentRegistryStore

#: The tracking URI at this process's start. MLflow's servers put their own database into that variable.
_TRACKING_URI_AT_START: Final = os.environ.get(TRACKING_URI_AT_START) or os.environ.get("MLFLOW_TRACKING_URI")


def open_store(store_uri: str | None = None) -> EnvironmentRegistryStore | RegistryStore:
    """The registry store of the platform's server, or for every other address one that calls a platform."""
    if store_uri is None or store_uri == REGISTRY_STORE:
        from registry_tui.mlflow_plugin.store import open_store as open_

        return open_()
    from registry_tui.mlflow_plugin.elsewhere.store import RegistryStore

    if _TRACKING_URI_AT_START:
        # For the processes that `mlflow server` starts.
        os.environ[TRACKING_URI_AT_START] = _TRACKING_URI_AT_START
    return RegistryStore(store_uri)


def open_artifacts(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> EnvironmentArtifactRepository | ArchiveRepository:
    """The artifact repository of the platform's server; everywhere else the archives of a platform.

    The platform's server connects to nothing else, for any address: people choose addresses there.
    """
    if _is_platform() or artifact_uri.startswith("registry-tui://artifacts"):
        from registry_tui.mlflow_plugin.artifacts import EnvironmentArtifactRepository

        return EnvironmentArtifactRepository(artifact_uri, tracking_uri, registry_uri)
    from registry_tui.mlflow_plugin.elsewhere.artifacts import ArchiveRepository

    return ArchiveRepository(artifact_uri, tracking_uri, registry_uri)


def _is_platform() -> bool:
    return os.environ.get("_MLFLOW_SERVER_REGISTRY_STORE") == REGISTRY_STORE
