"""Hooks around MLflow's request handlers, in its Flask app."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify, request
from graphql import GraphQLError, parse
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, PERMISSION_DENIED
from mlflow.utils.workspace_context import get_request_workspace

from registry_tui.mlflow_plugin import borders, changing_models, closed_doors, deleting, grants, mlflow_private
from registry_tui.mlflow_plugin.identity import adds_version, current_user, is_administrator
from registry_tui.mlflow_plugin.store import EnvironmentRegistryStore

_logger = logging.getLogger(__name__)

#: The service keeps users and roles; a change made here would be undone at its next mirroring.
_ACCESS_PATHS = ("/mlflow/users/", "/mlflow/roles/")
#: Ends of the paths below them that people may read: MLflow returns only the requesting user's data.
_OWN_ACCESS_PATHS = (
    "/users/current",
    "/users/current/permissions",
    "/users/get",
    "/users/permissions/get",
    "/users/permissions/list",
    "/users/roles/list",
)
_GET_RUN = "/mlflow/runs/get"
_SEARCH_LOGGED_MODELS = "/mlflow/logged-models/search"
#: The filter with which MLflow's client looks for a logged model (`tracking/_model_registry/fluent.py`).
_BY_NAME = re.compile(r"name = '[^']*'")
_GRAPHQL = "/graphql"


class _Forgetful(dict[str, "str | None"]):
    """Replaces MLflow's cache of the workspaces of resources.

    MLflow also caches for an hour that a name does not exist, and refuses its creator in that time; and the registry of
    a project changes when it is synchronized.
    """

    def __setitem__(self, key: str, value: str | None) -> None:
        """Stores nothing."""


def install(app: Flask, auth: Any) -> None:
    """Adds our hooks to MLflow's app, after its own, so that the user is known, and to `mlflow.server.auth`."""
    closed_doors.install(app)
    app.before_request(_guard_access)
    app.before_request(_refuse_unreadable_graphql)
    app.after_request(_mark_model_of_refused_version)
    mlflow_private.replace_workspace_memory(auth, _Forgetful())
    borders.install()
    grants.install(auth)
    deleting.install(auth)
    changing_models.install(auth)
    mlflow_private.wrap_may_create(auth, lambda allowed: partial(_may_create, auth, allowed))


def _may_create(auth: Any, allowed: Callable[[str], bool], username: str) -> bool:
    """Viewers need the workspace's USE to read archives, for which MLflow would also let them make experiments."""
    if not allowed(username):
        return False
    workspace, user = get_request_workspace(), auth.store.get_user(username)
    permission = mlflow_private.role_permission(auth, user.id, "experiment", workspace)
    return permission is not None and bool(permission.can_update)


def _guard_access() -> Response | None:
    if not any(path in request.path for path in _ACCESS_PATHS) or is_administrator():
        return None
    if request.method == "GET":
        if request.path.endswith(_OWN_ACCESS_PATHS):
            return None
        message = "Only administrators may list people and their roles."
    else:
        message = "registry-tui manages permissions. Use `registry-tui projects collaborators`."
    return _error(MlflowException(message, error_code=PERMISSION_DENIED))


def _refuse_unreadable_graphql() -> Response | None:
    """Refuses GraphQL requests without a valid query, for which MLflow's handler ends in a traceback."""
    if not request.path.endswith(_GRAPHQL):
        return None
    body = request.get_json(silent=True)
    query = body.get("query") if isinstance(body, Mapping) else None
    variables = body.get("variables") if isinstance(body, Mapping) else None
    problem = "The body must be a JSON object with the text of a query in `query` and an object in `variables`."
    if isinstance(query, str) and (variables is None or isinstance(variables, Mapping)):
        try:
            parse(query)
            return None
        except (GraphQLError, RecursionError) as error:
            problem = str(error)
    return _error(MlflowException(problem, error_code=BAD_REQUEST))


def _mark_model_of_refused_version(response: Response) -> Response:
    """Clients make a model before its first version; lists leave out the model when no version can come of it.

    A server error is not a refusal: clients send the call again.
    """
    refused = HTTPStatus.BAD_REQUEST <= response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    of_version = adds_version()
    if not current_user() or not ((refused and of_version) or _finds_nothing_to_register(response, refused)):
        return response
    store, name = _registry_store(), _asked_name() if of_version else None
    if store is not None and (name or not of_version):
        try:
            store.mark_left_behind(name)
        except MlflowException as error:
            # The client needs the refusal itself.
            _logger.info("An empty model is not marked: %s", error.message)
    return response


def _finds_nothing_to_register(response: Response, refused: bool) -> bool:
    """Whether MLflow's client ends `register_model("runs:/RUN/NAME", …)` by itself on this response.

    It does so for a missing run or logged model. It requests both after it made the registered model.
    """
    if request.path.endswith(_GET_RUN):
        return refused
    if not request.path.endswith(_SEARCH_LOGGED_MODELS) or not response.is_json:
        return False
    return _BY_NAME.fullmatch(_asked("filter") or "") is not None and not response.get_json().get("models")


def _registry_store() -> EnvironmentRegistryStore | None:
    store = mlflow_private.registry_store()
    return store if isinstance(store, EnvironmentRegistryStore) else None


def _asked_name() -> str | None:
    return _asked("name")


def _asked(field: str) -> str | None:
    body = request.args if request.method == "GET" else request.get_json(silent=True)
    value = body.get(field) if isinstance(body, Mapping) else None
    return value if isinstance(value, str) else None


def _error(error: MlflowException) -> Response:
    response = jsonify({"error_code": error.error_code, "message": error.message})
    response.status_code = error.get_http_status_code()
    return response
