"""The service's own account on MLflow's server, also while its password is being replaced."""

from __future__ import annotations

from collections.abc import Generator

import httpx

from registry_tui.platform import rotation
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import Secrets


class MlflowAccount(httpx.Auth):
    """Signs in with the current password of `secrets`.

    If MLflow refuses it, the other of the two passwords of a rotation in progress is tried.
    """

    def __init__(self, secrets: Secrets, home: Home | None = None) -> None:
        self._secrets, self._home = secrets, home

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """httpx's: yields the request with each password until one is accepted."""
        tried = self._secrets.mlflow_admin_password
        response = yield self._signed(request, tried)
        if response.status_code != 401 or self._home is None:
            return
        replaced = rotation.readable(self._home)
        others = [] if replaced is None else replaced.both("mlflow_admin_password")
        for other in (*others, self._secrets.mlflow_admin_password):
            if other != tried and response.status_code == 401:
                tried = other
                response = yield self._signed(request, other)

    def _signed(self, request: httpx.Request, password: str) -> httpx.Request:
        signed = next(httpx.BasicAuth(self._secrets.mlflow_admin_user, password).auth_flow(request))
        return signed
