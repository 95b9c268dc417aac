"""MLflow servers elsewhere that workspaces show."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema
from registry_tui.schemas.places import NAME_MAX, NAME_MIN, NAME_PATTERN


class AttachedServer(Schema):
    """A stock MLflow server that a workspace shows through its one project, which has the same name."""

    id: str
    name: str
    url: str
    #: The user of the requests; None with a token, or where nobody has to sign in.
    user: str | None = None
    #: Whether a bearer token is sent, which is never shown.
    has_token: bool = False
    #: Whether certificates of its own are trusted instead of the usual authorities.
    has_certificate: bool = False
    #: MLflow's version there; empty if the server does not report it.
    version: str = ""
    #: Features of the newest MLflow that the server lacks, a sentence each.
    limits: list[str] = []
    proxy: str | None = None
    aws_profile: str | None = None
    aws_region: str | None = None
    workspace_id: str
    project_id: str
    environment_id: str
    environment_name: str
    creator: str
    created_at: datetime
    #: Why it cannot be read now; only `GET /attached-servers/{server}` asks the server.
    problem: str | None = None


class AttachedServerCreate(RequestSchema):
    """A server to attach. With a user the secret is the user's password, without one it is a token."""

    name: str = Field(pattern=NAME_PATTERN, min_length=NAME_MIN, max_length=NAME_MAX)
    #: Name or ID.
    environment: str
    #: The tracking URI, with its path prefix where it has one.
    url: str = Field(max_length=2000)
    user: str | None = Field(default=None, min_length=1, max_length=200)
    secret: str | None = Field(default=None, min_length=1, max_length=20_000, repr=False)
    #: PEM certificates to trust instead of the usual authorities.
    certificate: str | None = Field(default=None, max_length=200_000)
    proxy: str | None = Field(default=None, max_length=2000)
    #: Signs with an AWS identity (SigV4), instead of a user or a token: a profile of the account that runs the service.
    aws_profile: str | None = Field(default=None, min_length=1, max_length=200)
    aws_region: str | None = Field(default=None, pattern=r"^[a-z0-9-]{1,64}$")
    #: Sends the credentials to another machine without TLS.
    allow_http: bool = False


class AttachedServerChange(RequestSchema):
    """The new address of an attached server, and how it is reached. Omitted fields stay unchanged."""

    url: str = Field(max_length=2000)
    #: New credentials, which replace the current ones: a user's password, a token, or an AWS profile.
    user: str | None = Field(default=None, min_length=1, max_length=200)
    secret: str | None = Field(default=None, min_length=1, max_length=20_000, repr=False)
    certificate: str | None = Field(default=None, max_length=200_000)
    proxy: str | None = Field(default=None, max_length=2000)
    aws_profile: str | None = Field(default=None, min_length=1, max_length=200)
    aws_region: str | None = Field(default=None, pattern=r"^[a-z0-9-]{1,64}$")
    #: The parts to drop: the server is reached without them from now on.
    without: list[Literal["credentials", "certificate", "proxy"]] = Field(default=[], max_length=3)
    #: Sends the credentials to another machine without TLS.
    allow_http: bool = False


class AttachedImport(RequestSchema):
    """Which registered models of an attached server are imported: all when none is named."""

    models: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(default=[], max_length=1000)
    #: Name or ID; refused when the project's workspace is synchronized with another one.
    registry: str | None = Field(default=None, max_length=200)


class AttachedModel(Schema):
    """A registered model of an attached server."""

    name: str
    description: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    latest_version: int | None = None
    #: Alias to version number.
    aliases: dict[str, int] = {}
    tags: dict[str, str] = {}


class AttachedVersion(Schema):
    """A version of a registered model of an attached server."""

    model_name: str
    version: int
    status: str
    #: `None` is a stage too: MLflow's word for no stage.
    stage: str = ""
    notes: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    run_id: str | None = None
    #: Where its model was when it was registered.
    source: str = ""
    aliases: list[str] = []
    tags: dict[str, str] = {}
