"""What happens around MLflow's request handlers, in its Flask app."""

from __future__ import annotations

import logging
from http import HTTPStatus

from flask import Flask, Response, jsonify, request
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from registry_tui.mlflow_plugin.identity import current_user, is_administrator
from registry_tui.mlflow_plugin.store import EnvironmentRegistryStore

_logger = logging.getLogger(__name__)

#: The service keeps users and roles; a change made here would be undone at its next mirroring.
_ACCESS_PATHS = ("/mlflow/users/", "/mlflow/roles/")
_CREATE_VERSION = "/mlflow/model-versions/create"


def install(app: Flask) -> None:
    """Adds our hooks; after MLflow's own, so that the user is known."""
    app.before_request(_refuse_access_changes)
    app.after_request(_withdraw_model_of_refused_version)


def _refuse_access_changes() -> Response | None:
    if request.method == "GET" or not any(path in request.path for path in _ACCESS_PATHS) or is_administrator():
        return None
    refused = MlflowException(
        "Who may do what is kept by registry-tui. Use `registry-tui projects collaborators`.",
        error_code=PERMISSION_DENIED,
    )
    response = jsonify({"error_code": refused.error_code, "message": refused.message})
    response.status_code = HTTPStatus.FORBIDDEN
    return response


def _withdraw_model_of_refused_version(response: Response) -> Response:
    """Clients make a model and its first version in two calls; a refused version leaves no empty model behind."""
    if not (request.path.endswith(_CREATE_VERSION) and response.status_code >= 400 and current_user()):
        return response
    from mlflow.server.handlers import _get_model_registry_store

    store = _get_model_registry_store()
    body = request.get_json(silent=True)
    name = body.get("name") if isinstance(body, dict) else None
    if isinstance(name, str) and name and isinstance(store, EnvironmentRegistryStore):
        try:
            store.withdraw_empty_model(name)
        except MlflowException as error:
            # The refusal itself is what the client must hear.

            _logger.info("The empty model %r stays: %s", name, error.message)
    return response
