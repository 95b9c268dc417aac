"""Removes deleted runs for good inside MLflow's server: MLflow has no REST call for it, only `mlflow gc`.

The service first gets the remains of a run, removes those bytes, and then has the rows removed.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify, request
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.tracking.dbmodels.models import SqlLoggedModel
from sqlalchemy import select

from registry_tui.mlflow_plugin.identity import is_administrator
from registry_tui.mlflow_plugin.mlflow_private import deleted_runs, remove_logged_model, remove_run, tracking_store

#: The service calls these paths, below MLflow's own.
DELETED_PATH = "/api/2.0/mlflow/registry-tui/deleted-runs"
PURGE_PATH = "/api/2.0/mlflow/registry-tui/purge-runs"
#: Runs of one request.
MAX_RUNS = 100


def install(app: Flask) -> None:
    """Adds the routes, for the service's account only.

    The service first checks that the person may purge the project.
    """
    app.add_url_rule(DELETED_PATH, "registry_tui_deleted_runs", _deleted, methods=["GET"])
    app.add_url_rule(PURGE_PATH, "registry_tui_purge_runs", _purge, methods=["POST"])


def _refused() -> tuple[Response, int]:
    return jsonify({"error_code": "PERMISSION_DENIED", "message": "Ask the service."}), HTTPStatus.FORBIDDEN


def _invalid(message: str) -> tuple[Response, int]:
    return jsonify({"error_code": "INVALID_PARAMETER_VALUE", "message": message}), HTTPStatus.BAD_REQUEST


def _deleted() -> Response | tuple[Response, int]:
    """IDs of the workspace's runs that were deleted at least `older_than` milliseconds ago."""
    if not is_administrator():
        return _refused()
    try:
        older_than = int(request.args.get("older_than", "0"))
    except ValueError:
        return _invalid("older_than is a number of milliseconds")
    return jsonify({"run_ids": deleted_runs(tracking_store(), older_than)})


def _purge() -> Response | tuple[Response, int]:
    """Returns the remains of deleted runs, and with `execute` removes their rows. Other runs are listed and kept."""
    if not is_administrator():
        return _refused()
    given = request.get_json(silent=True)
    asked: dict[str, Any] = given if isinstance(given, dict) else {}
    run_ids = asked.get("run_ids")
    if not isinstance(run_ids, list) or not all(isinstance(each, str) for each in run_ids):
        return _invalid("run_ids is a list of IDs")
    if not 0 < len(run_ids) <= MAX_RUNS:
        return _invalid(f"run_ids are 1 to {MAX_RUNS} IDs")
    store, found, kept = tracking_store(), [], {}
    for run_id in dict.fromkeys(run_ids):
        try:
            run = store.get_run(run_id)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                raise
            continue
        if run.info.lifecycle_stage != LifecycleStage.DELETED:
            kept[run_id] = "it is not deleted"
            continue
        models = _models_of(store, run)
        if asked.get("execute"):
            for model in models:
                remove_logged_model(store, model["model_id"])
            remove_run(store, run_id)
        found.append(
            {
                "run_id": run_id,
                "name": run.info.run_name,
                "artifact_uri": run.info.artifact_uri,
                "models": models,
            }
        )
    return jsonify({"runs": found, "kept": kept})


def _models_of(store: Any, run: Any) -> list[dict[str, str]]:
    """The logged models that a run made, deleted ones too."""
    query = select(SqlLoggedModel.model_id, SqlLoggedModel.artifact_location).where(
        SqlLoggedModel.source_run_id == run.info.run_id,
        SqlLoggedModel.experiment_id == int(run.info.experiment_id),
    )
    with store.ManagedSessionMaker() as session:
        return [{"model_id": id_, "artifact_uri": uri} for id_, uri in session.execute(query)]
