"""Why MLflow's auth app refuses: it also answers "Permission denied" when no project or a missing resource was named.

It cannot distinguish them, because it looks for a permission first: a call that names no project is about MLflow's own
workspace, and a resource that its store cannot find has no permissions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from flask import Flask, Response, request
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from registry_tui.contracts.mlflow_routes import RoutesFile
from registry_tui.mlflow_plugin.artifacts import load_routes
from registry_tui.mlflow_plugin.asked import DEFAULT_WORKSPACE, Asked, asked
from registry_tui.mlflow_plugin.mlflow_private import role_permission, wrap_authentication, wrap_stores

#: Addresses of the REST API that are about no project.
_ABOUT_NO_PROJECT = ("/mlflow/users/", "/mlflow/roles/", "/mlflow/workspaces", "/mlflow/server-info")
_REST = "/api/"
#: The role that changes nothing (`schemas.places.Role`).
_VIEWER = "viewer"


class Membership:
    """Watches MLflow's auth app (the module `mlflow.server.auth`) look for users and resources."""

    def __init__(self, auth: Any, routes: RoutesFile) -> None:
        self._auth = auth
        self._routes = routes

    def install(self, app: Flask) -> None:
        """Adds the watching to the auth app, and a hook to MLflow's Flask app, behind the auth app's own."""
        auth = self._auth
        wrap_authentication(auth, _noting_user)
        wrap_stores(auth, partial(_watching, in_registry=False), partial(_watching, in_registry=True))
        app.before_request(self._require_project)

    def explain(self, request: Asked, bare: bool) -> MlflowException | None:
        """The reason of a refusal, when that is not a missing permission; also then, when the refusal is `bare`."""
        if request.user is None:
            return None
        if self._misses_project(request):
            return _no_project(request)
        if request.not_found is not None and self._may_read(request):
            return request.not_found
        return self._missing_role(request) if bare and request.names_project else None

    def _missing_role(self, request: Asked) -> MlflowException | None:
        """Returns the same error for a project where the user does not work and for a missing one."""
        assert request.user is not None
        routes = load_routes(self._routes)
        if request.user.username in routes.administrators:
            return None
        project = routes.projects.get(request.workspace)
        role = None if project is None else project.collaborators.get(request.user.username)
        if role is None or project is None:
            text = (
                f"{request.user.username} does not work in a project '{request.workspace}'. "
                "`registry-tui projects list` shows yours."
            )
        elif role == _VIEWER:
            text = (
                f"{request.user.username} is a viewer of the project '{project.project_name}' and may change nothing "
                "in it: that needs the role contributor. Ask one of the project's owners, who "
                f"`registry-tui projects collaborators list {project.project_name}` shows."
            )
        else:
            return None
        return MlflowException(text, error_code=PERMISSION_DENIED)

    def _require_project(self) -> Response | None:
        """Lists and searches would only be empty."""
        current = asked()
        if current is not None:
            # The auth app has let the request pass. It may have checked that a name is free; a later refusal has its
            # own reason.
            current.not_found = None
            current.refusal = None
        if (
            current is None
            or not request.path.startswith(_REST)
            or any(part in request.path for part in _ABOUT_NO_PROJECT)
        ):
            return None
        return _answer(_no_project(current)) if self._misses_project(current) else None

    def _misses_project(self, request: Asked) -> bool:
        if request.names_project or request.user is None or request.user.is_admin:
            return False
        permission = role_permission(self._auth, request.user.id, "workspace", DEFAULT_WORKSPACE)
        return permission is None or not permission.can_use

    def _may_read(self, request: Asked) -> bool:
        """Whether the user sees everything there, and so may know that something is missing."""
        if request.user is None:
            return False
        registry = load_routes(self._routes).registry_of(request.workspace) if request.in_registry else None
        workspace, kind = (request.workspace, "experiment") if registry is None else (registry, "registered_model")
        permission = role_permission(self._auth, request.user.id, kind, workspace)
        return permission is not None and bool(permission.can_read)


def _noting_user(authenticate: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
    """Authenticates a person once for each request.

    MLflow's auth app authenticates again at every step, and assumes that the result is a user: a password replaced
    between two steps, or a removed person, would end the request with an error.
    """

    @wraps(authenticate)
    def noting(username: str, password: str) -> Any:
        request = asked()
        if request is None:
            return authenticate(username, password)
        if request.credentials != (username, password):
            request.user = authenticate(username, password)
            request.credentials = None if request.user is None else (username, password)
        return request.user

    return noting


def _watching(store: Callable[[], Any], *, in_registry: bool) -> Callable[[], Any]:
    @wraps(store)
    def watched() -> Any:
        return _Watched(store(), in_registry)

    return watched


class _Watched:
    """A store of MLflow's that notes its first error with the request."""

    def __init__(self, store: Any, in_registry: bool) -> None:
        self._store = store
        self._in_registry = in_registry

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._store, name)
        if not callable(attribute):
            return attribute

        @wraps(attribute)
        def noting(*arguments: Any, **named: Any) -> Any:
            try:
                found = attribute(*arguments, **named)
                if name == "get_dataset_experiment_ids" and not found:
                    # MLflow's auth app finds no experiment either way.
                    self._store.get_dataset(*arguments, **named)
                return found
            except MlflowException as error:
                request = asked()
                if request is not None and request.not_found is None:
                    request.not_found, request.in_registry = error, self._in_registry
                raise

        return noting


def _no_project(request: Asked) -> MlflowException:
    name = "you do not work" if request.user is None else f"{request.user.username} does not work"
    return MlflowException(
        f"This call names no project, so it is about the project 'default', where {name}. Use the tracking URI of a "
        "project (it ends in /projects/NAME), or name its MLflow workspace in the header X-MLFLOW-WORKSPACE, as "
        "MLflow's clients since 3.10 do with MLFLOW_WORKSPACE. `registry-tui env --project NAME` prints both.",
        error_code=PERMISSION_DENIED,
    )


def _answer(error: MlflowException) -> Response:
    return Response(error.serialize_as_json(), error.get_http_status_code(), mimetype="application/json")
