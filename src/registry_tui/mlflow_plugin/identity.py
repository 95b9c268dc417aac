"""Who asks MLflow's server: the user whom MLflow's auth app let in."""

from __future__ import annotations

import os

from flask import g, has_request_context


def current_user() -> str | None:
    """The user of this request; None outside a request or before the password was checked."""
    if not has_request_context():
        return None
    user = getattr(g, "mlflow_authenticated_user", None)
    return None if user is None else str(user)


def is_administrator() -> bool:
    """Whether the request comes from the service's own account, which acts for everyone."""
    return current_user() == os.environ["MLFLOW_AUTH_ADMIN_USERNAME"]
