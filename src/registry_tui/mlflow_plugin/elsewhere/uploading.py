"""Files of a model, brought into a project of the platform as artifacts of a run of their own.

The platform has no credentials for the model's store, so the registering client sends the bytes. The received files are
compared with the sent ones before a version is made of them; the archive is stored and verified from there.
"""

from __future__ import annotations

import os
import posixpath
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mlflow.entities import LifecycleStage, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.store.tracking.rest_store import RestStore

from registry_tui.contracts import file_paths
from registry_tui.mlflow_plugin.elsewhere import calls
from registry_tui.mlflow_plugin.elsewhere.address import Address

EXPERIMENT = "Registered from other MLflow servers"
#: The model's folder in its run.
FOLDER = "model"
#: Tags of the run and of the version: the source and the run as they are named where the model came from.
SOURCE_TAG, RUN_TAG = "registered_from.source", "registered_from.run_id"
#: Characters that MLflow 2.9 takes in a tag of a run.
_MAX_TAG = 5000


@dataclass(frozen=True)
class Uploaded:
    """A model as the platform's MLflow server names it."""

    source: str
    run_id: str


def upload(address: Address, model: Path, facts: dict[str, str], name: str) -> Uploaded:
    """Stores the files of a model in a new run, which is deleted when that fails. Raises MlflowException, OSError."""
    files = _files(model)
    tracking = RestStore(lambda: calls.host_credentials(address))
    tags = [RunTag(key, value[:_MAX_TAG]) for key, value in facts.items()]
    run = tracking.create_run(_experiment(tracking), "", _now(), tags, name)
    run_id, root = run.info.run_id, str(run.info.artifact_uri)
    try:
        folder = posixpath.join(urlsplit(root).path.strip("/"), FOLDER)
        for path, file in files.items():
            calls.upload(address, f"{folder}/{path}", file)
        _compare(address, folder, {path: file.stat().st_size for path, file in files.items()})
        tracking.update_run_info(run_id, RunStatus.FINISHED, _now(), name)
    except BaseException:
        tracking.delete_run(run_id)
        raise
    return Uploaded(f"{root.rstrip('/')}/{FOLDER}", run_id)


def withdraw(address: Address, run_id: str) -> None:
    """Deletes the run of a model that no version was made of. Raises MlflowException."""
    RestStore(lambda: calls.host_credentials(address)).delete_run(run_id)


def _files(model: Path) -> dict[str, Path]:
    """The files of a model by their relative paths. Raises MlflowException for paths that cannot be stored."""
    if not (model / "MLmodel").is_file():
        raise calls.invalid("The source holds no model: there is no file MLmodel in it")
    found = {}
    for folder, _, names in os.walk(model):
        for name in names:
            file = Path(folder) / name
            path = file.relative_to(model).as_posix()
            if problem := file_paths.problem(path):
                raise calls.invalid(f"The model's file {path!r} cannot be stored: its path {problem}")
            found[path] = file
    return found


def _compare(address: Address, folder: str, sent: dict[str, int]) -> None:
    stored, waiting = {}, [""]
    while waiting:
        below = waiting.pop()
        for entry in calls.list_folder(address, posixpath.join(folder, below).rstrip("/")):
            path = posixpath.join(below, str(entry["path"]))
            if entry.get("is_dir"):
                waiting.append(path)
            else:
                stored[path] = int(entry.get("file_size", 0))
    if stored != sent:
        different = sorted(path for path in stored.keys() | sent.keys() if stored.get(path) != sent.get(path))
        raise MlflowException(f"Not all files of the model arrived whole, among them {different[0]}: register it again")


def _experiment(tracking: RestStore) -> str:
    """The ID of the experiment for such runs, which is made with the first one."""
    found = tracking.get_experiment_by_name(EXPERIMENT)
    if found is None:
        try:
            return str(tracking.create_experiment(EXPERIMENT))
        except MlflowException as error:
            # Somebody else registers the first model at the same time.
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise
            found = tracking.get_experiment_by_name(EXPERIMENT)
    if found is None or found.lifecycle_stage != LifecycleStage.ACTIVE:
        raise calls.invalid(f"The experiment {EXPERIMENT!r} of the project is deleted: restore it")
    return str(found.experiment_id)


def _now() -> int:
    return int(time.time() * 1000)
