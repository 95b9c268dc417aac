"""Settings of the service: `config.toml` in the home, overridden by `REGISTRY_TUI_…` environment variables."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from registry_tui.platform.paths import Home
from registry_tui.wording.mistakes import said

PREFIX = "REGISTRY_TUI_"
#: Above the platforms' own ports, below those of outgoing connections (see `platform/ports.py`).
FIRST_DEPLOYMENT_PORT, LAST_DEPLOYMENT_PORT = 30_600, 32_700

_LISTS = (
    "entitlements",
    "package_indexes",
    "gateway_hosts",
    "gateway_origins",
    "listen_names",
    "webhook_hosts",
    "webhook_private_hosts",
)


class Settings(BaseModel):
    """The settings in the table `[service]` of `config.toml`, or as `REGISTRY_TUI_<NAME>` (lists as a,b,c)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: The account's entitlements.
    entitlements: tuple[str, ...] = ("ML_MODEL_REGISTRY",)
    #: Where a new platform keeps its rows: postgresql://USER:PASSWORD@HOST:PORT/DATABASE, in which each part has a
    #: schema of its own; empty: SQLite in the home. `--database` goes first.
    database_url: str = ""
    #: Another database for finished steps of workflows.
    workflows_database_url: str = ""
    #: Another database for MLflow's rows and its users.
    mlflow_database_url: str = ""
    #: Where archives are kept; `seaweedfs` is the store that the platform starts.
    store: str = "seaweedfs"
    #: The backend that runs the replicas of deployments; `supervisord` runs them on this machine.
    backend: str = "supervisord"
    #: Workflows that run at the same time; more wait.
    workflow_threads: int = Field(default=8, ge=1, le=64)
    #: Seconds that a workflow's step waits for a part of the platform to respond again.
    part_patience: float = Field(default=120.0, ge=0)
    #: Seconds between looks for versions that wait for their archive.
    pending_versions_every: float = Field(default=5.0, gt=0)
    #: Bytes; a larger request body is refused.
    max_request_bytes: int = Field(default=1 << 20, ge=1024)
    #: Bytes; a larger request for predictions is refused.
    max_prediction_bytes: int = Field(default=64 << 20, ge=1024)
    #: Seconds that a request for predictions may take; of an answer in pieces, each piece.
    prediction_seconds: float = Field(default=60.0, gt=0)
    #: Seconds that an answer in pieces (server-sent events) may take as a whole.
    stream_seconds: float = Field(default=600.0, gt=0)
    #: How many requests may wait for one replica; more are refused with 429.
    prediction_queue: int = Field(default=256, ge=1)
    #: Seconds that new replicas get to load their model before a change is rolled back.
    replica_patience: float = Field(default=300.0, gt=0)
    #: Days after which environments of models, and logs of replicas that are gone, are removed when nobody uses them.
    unused_days: float = Field(default=30.0, gt=0)
    #: Bytes that these may take together; beyond that those go that were used longest ago.
    unused_bytes: int = Field(default=20 << 30, ge=0)
    #: Addresses of package indexes that environments of models are built from, before uv's own. Models may name these.
    package_indexes: tuple[str, ...] = ()
    #: Names under which callers reach the gateway through a proxy that passes the header Host on; localhost, this
    #: machine's host name and `listen_names` always work.
    gateway_hosts: tuple[str, ...] = ()
    #: Origins of web pages (`https://app.example.com`) whose scripts may call deployments at the gateway, with API keys
    #: as every caller (CORS).
    gateway_origins: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s]+$")], ...] = ()
    #: The first of the ports of 127.0.0.1 that deployments with a port of their own get.
    first_deployment_port: int = Field(default=FIRST_DEPLOYMENT_PORT, ge=1024, le=65_535)
    #: The last of these ports.
    last_deployment_port: int = Field(default=LAST_DEPLOYMENT_PORT, ge=1024, le=65_535)
    #: HOST:PORT where other machines reach the platform by HTTPS, with tokens; empty: nowhere. `--listen` goes first.
    listen: str = ""
    #: The certificate to listen with, and its key, as files in PEM; empty: one that is made at the first start.
    listen_certificate: str = ""
    #: The key of that certificate, without a password.
    listen_key: str = ""
    #: More names and addresses of this machine, at MLflow's and the gateway's ports of this machine, and for a
    #: certificate that is made.
    listen_names: tuple[str, ...] = ()
    #: HTTP without TLS, only possible on an address of this machine alone.
    listen_plain_http: bool = False
    #: Hosts that webhooks may be sent to, at public addresses: names, or patterns as `*.example.com`; none without.
    webhook_hosts: tuple[str, ...] = ()
    #: Hosts that webhooks may be sent to also at private addresses, this machine's own among them.
    webhook_private_hosts: tuple[str, ...] = ()
    #: A PEM file of the authorities for receivers' certificates; empty: the usual authorities.
    webhook_ca: str = ""


def load_settings(home: Home, environment: Mapping[str, str] = os.environ) -> Settings:
    """This home's settings. Raises ValueError with the wrong setting and its place in the text; OSError."""
    values: dict[str, Any] = {}
    try:
        values = dict(tomllib.loads(home.config_file.read_text(encoding="utf-8")).get("service", {}))
    except FileNotFoundError:
        pass
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{home.config_file} is not valid TOML: {error}") from error
    for name in Settings.model_fields:
        if (raw := environment.get(PREFIX + name.upper())) is not None:
            values[name] = [part for part in raw.split(",") if part] if name in _LISTS else raw
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"Setting {where} ({home.config_file} or {PREFIX}{where.upper()}): {said(first)}") from error
