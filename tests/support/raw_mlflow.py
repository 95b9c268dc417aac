"""MLflow's server as clients without workspaces ask it: R, Java, Go, curl, and MLflow's own before 3.10."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import httpx

from registry_tui.client import RegistryClient
from registry_tui.platform.secrets import mlflow_password
from registry_tui.schemas.places import CollaboratorChange, Role
from support.platforms import PATIENCE, PLAIN, Platform, unique


@dataclass(frozen=True)
class RawMlflow:
    """Calls as one user at one tracking URI."""

    platform: Platform
    uri: str
    user: str

    @property
    def auth(self) -> tuple[str, str]:
        """Name and password."""
        return self.user, mlflow_password(self.platform.secrets, self.user)

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One call. A path without a leading slash lies below `/api/2.0/mlflow/`."""
        address = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        request.setdefault("auth", self.auth)
        return httpx.request(method, f"{self.uri}{address}", timeout=PATIENCE, trust_env=False, verify=PLAIN, **request)

    def at(self, path: str) -> RawMlflow:
        """The same user at another path of the server."""
        return replace(self, uri=f"{self.platform.ports.mlflow_url}{path}")


def contributor(platform: Platform, *projects: str, role: Role = Role.CONTRIBUTOR) -> RawMlflow:
    """A new user with a role in these projects only, at the first one's tracking URI."""
    user = unique("u")
    for project in projects:
        platform.call(RegistryClient.set_collaborator, project, user, CollaboratorChange(role=role))
    uri = platform.ask(lambda client: client.credentials(projects[0]), user).tracking_uri if projects else ""
    return RawMlflow(platform, uri or platform.ports.mlflow_url, user)


def error(response: httpx.Response) -> tuple[int, str]:
    """Status and `error_code` of an answer, which has a message."""
    fields = response.json()
    assert isinstance(fields["message"], str) and fields["message"]
    return response.status_code, fields["error_code"]
