"""Keeps the key that signs the sessions of MLflow's own pages as the installation's secrets have it."""

from __future__ import annotations

from typing import Any

from registry_tui.platform.secrets import SecretsFile


def install(app: Any, file: SecretsFile) -> None:
    """Makes MLflow's Flask app take up a key that was replaced, with the next request."""

    @app.before_request  # type: ignore[untyped-decorator, unused-ignore]
    def take_up() -> None:
        app.secret_key = file.current().mlflow_flask_secret
