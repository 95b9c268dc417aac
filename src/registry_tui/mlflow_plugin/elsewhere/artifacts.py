"""The files of a version's archive, read from the platform that holds it."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from registry_tui.contracts import file_paths
from registry_tui.mlflow_plugin.elsewhere import calls

#: Archives only: a server's users must not read anything else with its account.
_VERSION = r"workspaces/[^/]+/registry/[^/]+/[^/]+"
_ARCHIVE = re.compile(rf"{_VERSION}/files(/.*)?")
#: MLflow opens the folder above the requested one, and passes the rest as a path.
_OPENED = re.compile(rf"{_VERSION}(/files(/.*)?)?")


class ArchiveRepository(ArtifactRepository):  # type: ignore[misc]
    """Reads `registry-tui://HOST:PORT/PROJECT/<archive>`. Raises MlflowException."""

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None, **_: Any
    ) -> None:
        super().__init__(artifact_uri)
        self._address = calls.parsed(artifact_uri)
        _check(self._address.path)
        if not _OPENED.fullmatch(self._address.path):
            raise _no_archive(self._address.path)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """The entries of a folder; none for a file."""
        found = []
        for entry in calls.list_folder(self._address, self._full(path)):
            name = str(entry["path"])
            _check(name)
            size = None if entry.get("is_dir") else int(entry.get("file_size", 0))
            found.append(FileInfo(posixpath.join(path or "", name), bool(entry.get("is_dir")), size))
        return sorted(found, key=lambda each: str(each.path))

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        calls.download(self._address, self._full(remote_file_path), Path(local_path))

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Refuses: the archive of a version does not change."""
        raise calls.invalid("The archive of a version cannot be changed: register another version")

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Refuses: the archive of a version does not change."""
        raise calls.invalid("The archive of a version cannot be changed: register another version")

    def _full(self, path: str | None) -> str:
        if path:
            _check(path)
        full = posixpath.join(self._address.path, path) if path else self._address.path
        if not _ARCHIVE.fullmatch(full):
            raise _no_archive(full)
        return full


def _no_archive(path: str) -> MlflowException:
    return calls.invalid(f"{path!r} does not name the files of a version's archive")


def _check(path: str) -> None:
    if problem := file_paths.problem(path, decode=False):
        raise calls.invalid(f"The path {path!r} {problem}")
    if {".", ".."} & set(path.split("/")):
        raise calls.invalid(f"The path {path!r} must not climb")
