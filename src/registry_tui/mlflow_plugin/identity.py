"""The user of a request to MLflow's server, as its auth app let them in, and the kind of request."""

from __future__ import annotations

import os

from flask import g, has_request_context, request

from registry_tui.mlflow_plugin.asked import asked
from registry_tui.schemas.mlflow_tags import ACTING_USER

#: Ends the address of MLflow's call that makes a version.
CREATE_VERSION = "/mlflow/model-versions/create"


def current_user() -> str | None:
    """The user of this request; None outside a request or before the password was checked."""
    if not has_request_context():  # uploads and downloads of artifacts, which FastAPI handles
        current = asked()
        return None if current is None or current.user is None else str(current.user.username)
    user = getattr(g, "mlflow_authenticated_user", None)
    return None if user is None else str(user)


def acting_user() -> str | None:
    """The person behind this request: the one on whose behalf the service calls, else the request's user."""
    user = current_user()
    if user is not None and is_service(user) and has_request_context():
        return request.headers.get(ACTING_USER) or user
    return user


def adds_version() -> bool:
    """Whether this request is for a new version of a model."""
    return has_request_context() and request.path.endswith(CREATE_VERSION)


def is_service(user: str) -> bool:
    """Whether a user is the service's own account."""
    return user == os.environ["MLFLOW_AUTH_ADMIN_USERNAME"]


def is_administrator() -> bool:
    """Whether the request comes from the service's own account, which acts for everyone."""
    user = current_user()
    return user is not None and is_service(user)
