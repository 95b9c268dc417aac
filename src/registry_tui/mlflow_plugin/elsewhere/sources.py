"""The files of a model that a stock server's or client's own store holds, brought to a local folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mlflow.artifacts import download_artifacts
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient

from registry_tui.mlflow_plugin.elsewhere.calls import invalid

#: The variables with which MLflow's server passes its options to its processes, from 2.9 to the newest.
_BACKEND, _DESTINATION = "_MLFLOW_SERVER_FILE_STORE", "_MLFLOW_SERVER_ARTIFACT_DESTINATION"
_PROXIED = "mlflow-artifacts"


def in_server() -> bool:
    """Whether this is a process of an MLflow server, which acts for its users."""
    return _BACKEND in os.environ


def fetch(source: str, run_id: str | None, model_id: str | None, into: Path) -> Path:
    """Downloads a model, and returns its folder.

    Inside a server the source has to lie in the run or logged model that the request names, so that its users can
    reach nothing else with the server's account. Raises MlflowException, OSError.
    """
    backend = os.environ.get(_BACKEND)
    if backend is None:
        return Path(download_artifacts(artifact_uri=source, dst_path=str(into)))
    client = MlflowClient(tracking_uri=backend)
    source, root = _inside(client, source, run_id, model_id)
    if not _is_within(source, root):
        raise invalid(
            "The source has to lie in the run or logged model that the request names: the server copies its files"
        )
    destination = os.environ.get(_DESTINATION)
    if urlsplit(source).scheme != _PROXIED:
        return Path(download_artifacts(artifact_uri=source, dst_path=str(into)))
    if not destination:
        raise invalid("This server holds no artifacts of its own: start it with `--artifacts-destination`")
    path = urlsplit(source).path.lstrip("/")
    return Path(get_artifact_repository(destination).download_artifacts(path, dst_path=str(into)))


def _inside(client: Any, source: str, run_id: str | None, model_id: str | None) -> tuple[str, str]:
    """The source as an address of a store, and the root that it has to lie in."""
    parts = urlsplit(source)
    if parts.scheme == "models" and not parts.netloc and (named := parts.path.strip("/")).startswith("m-"):
        if model_id and named != model_id:
            raise invalid("The source names another logged model than the request")
        location = str(client.get_logged_model(named).artifact_location)
        return location, location
    if model_id:
        return source, str(client.get_logged_model(model_id).artifact_location)
    if not run_id:
        raise invalid("Name the run of the model (`run_id`): the server copies its files from there")
    root = str(client.get_run(run_id).info.artifact_uri)
    if parts.scheme == "runs":
        named, _, path = parts.path.strip("/").partition("/")
        if parts.netloc or named != run_id:
            raise invalid("The source names another run than the request")
        return f"{root.rstrip('/')}/{path}".rstrip("/"), root
    return source, root


def _is_within(source: str, root: str) -> bool:
    if any(map(_climbs, source.split("/"))):
        return False
    inner, outer = (each.removeprefix("file://").rstrip("/") for each in (source, root))
    return f"{inner}/".startswith(f"{outer}/")


def _climbs(part: str) -> bool:
    """Whether a part of an address may lead to another folder than one below: stores decode it, some more than once."""
    while (decoded := unquote(part)) != part:
        part = decoded
    return "/" in part or not {".", ".."}.isdisjoint(re.split(r"\\", part))
