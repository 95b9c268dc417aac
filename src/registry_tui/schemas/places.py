"""Environments, workspaces, projects and their collaborators."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema
from registry_tui.schemas.stores import EnvironmentStore, Store

#: Names of environments, workspaces and projects, which MLflow workspaces and buckets take their names from
#: (MLflow's `WorkspaceNameValidator`: 2 to 63 characters; 40 leaves room for our prefixes).
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
NAME_MIN, NAME_MAX = 2, 40


class Cloud(StrEnum):
    AWS = "aws"
    AZURE = "azure"


class BackendKind(StrEnum):
    """Where an environment's deployments run."""

    LOCAL = "local"
    RAY = "ray"


class EnvironmentBackend(Schema):
    """Where an environment's deployments run; `address`, `http_port` and `version` are those of a cluster."""

    kind: BackendKind = BackendKind.LOCAL
    address: str = ""
    #: Where the cluster answers calls, unless Serve listened at another port there already.
    http_port: int | None = None
    version: str = ""


class BackendChange(RequestSchema):
    """Another backend; a cluster has an address and a token, which stays as it is where none is given."""

    kind: BackendKind
    address: str = Field(default="", max_length=500)
    token: str = Field(default="", max_length=500, repr=False)
    http_port: int = Field(default=8000, ge=1, le=65535)


class Environment(Schema):
    """A cloud account's corner."""

    id: str
    name: str
    crn: str
    cloud: Cloud
    raz_enabled: bool
    bucket: str
    endpoint: str
    creator: str
    created_at: datetime
    #: The environment's Model Registry, if it has one.
    registry_id: str | None = None
    registry_name: str | None = None
    workspace_count: int = 0
    #: Where its registry's archives lie, when that is not the bucket.
    store: EnvironmentStore | None = None
    backend: EnvironmentBackend = EnvironmentBackend()


class EnvironmentCreate(RequestSchema):
    name: str = Field(pattern=NAME_PATTERN, min_length=NAME_MIN, max_length=NAME_MAX)
    cloud: Cloud = Cloud.AWS
    raz_enabled: bool = True
    #: A store of its own for archives and artifacts; without one they lie in the embedded store.
    store: Store | None = Field(default=None, discriminator="kind")
    #: Whether the artifacts of its projects lie in its own store too, where it has one.
    store_artifacts: bool = True


class Workspace(Schema):
    """A place where teams work, in one environment."""

    id: str
    name: str
    crn: str
    environment_id: str
    environment_name: str
    creator: str
    created_at: datetime
    project_count: int = 0
    #: Whether the environment's Model Registry has been synchronized with this workspace, and when.
    synchronized: bool = False
    synchronized_at: datetime | None = None


class WorkspaceCreate(RequestSchema):
    name: str = Field(pattern=NAME_PATTERN, min_length=NAME_MIN, max_length=NAME_MAX)
    #: Name or ID.
    environment: str


class Project(Schema):
    """Holds experiments and deployments; is one MLflow workspace."""

    id: str
    name: str
    description: str
    workspace_id: str
    workspace_name: str
    environment_id: str
    environment_name: str
    #: The MLflow workspace (`X-MLFLOW-WORKSPACE`) that this project is.
    mlflow_workspace: str
    creator: str
    created_at: datetime
    #: The Model Registry that registrations from here go to, when synchronized.
    registry_id: str | None = None
    registry_name: str | None = None
    #: The MLflow server elsewhere whose experiments the project shows; None for a project of this installation.
    attached_url: str | None = None
    #: Where its run artifacts lie; empty for a project that shows a server elsewhere.
    artifacts_uri: str = ""


class ProjectCreate(RequestSchema):
    name: str = Field(pattern=NAME_PATTERN, min_length=NAME_MIN, max_length=NAME_MAX)
    #: Name or ID.
    workspace: str
    description: str = Field(default="", max_length=5000)


class Role(StrEnum):
    """A collaborator's permissions in a project; mirrored to MLflow's READ, EDIT and MANAGE."""

    VIEWER = "viewer"
    CONTRIBUTOR = "contributor"
    ADMIN = "admin"


class Collaborator(Schema):
    user: str
    role: Role


class CollaboratorChange(RequestSchema):
    role: Role = Role.CONTRIBUTOR


class ProjectCredentials(Schema):
    """The settings with which stock MLflow code works in a project (`registry-tui env`)."""

    tracking_uri: str
    mlflow_workspace: str
    username: str
    password: str
    #: Over the network, instead of name and password; the client adds its own.
    token: str = ""
    #: The file with the certificate that the client trusts there.
    certificate: str = ""

    def as_exports(self) -> dict[str, str]:
        """The environment variables that MLflow reads."""
        who = {"MLFLOW_TRACKING_USERNAME": self.username, "MLFLOW_TRACKING_PASSWORD": self.password}
        if self.token:
            who = {"MLFLOW_TRACKING_TOKEN": self.token}
        if self.certificate:
            who["MLFLOW_TRACKING_SERVER_CERT_PATH"] = self.certificate
        return {
            # Telemetry connects to an address elsewhere, and has failed a client's first call without a network.
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_WORKSPACE": self.mlflow_workspace,
            **who,
        }
