"""Runs that logged a model, by MLflow's REST API: quicker than importing MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from registry_tui.schemas.places import Project, ProjectCredentials
from support.platforms import PATIENCE, PLAIN, Platform, unique

ML_MODEL = b"""\
flavors:
  python_function:
    loader_module: mlflow.sklearn
    model_path: part-0.bin
    python_version: 3.11.0
mlflow_version: 3.17.2
"""


@dataclass(frozen=True)
class LoggedRun:
    """A run with a model in its artifacts."""

    run_id: str
    experiment_id: str
    #: The model's folder below the run's artifacts.
    artifact_path: str
    #: Where the run's artifacts begin in the bucket, without a slash at the end.
    key: str


def mlflow_client(credentials: ProjectCredentials) -> httpx.Client:
    """A client of MLflow's REST API, acting in a project."""
    return httpx.Client(
        base_url=credentials.tracking_uri,
        auth=(credentials.username, credentials.password),
        headers={"X-MLFLOW-WORKSPACE": credentials.mlflow_workspace},
        timeout=PATIENCE,
        verify=PLAIN,
    )


def log_model(
    platform: Platform,
    project: Project,
    *,
    size: int = 2000,
    files: int = 3,
    contents: Mapping[str, bytes] | None = None,
) -> LoggedRun:
    """A finished run whose folder `model` holds an `MLmodel` and `files` files of `size` bytes, or these contents."""
    credentials = platform.ask(lambda client: client.credentials(project.id))
    with mlflow_client(credentials) as http:
        made = http.post("/api/2.0/mlflow/experiments/create", json={"name": unique("experiment")})
        experiment_id = made.raise_for_status().json()["experiment_id"]
        created = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": experiment_id, "run_name": "trained"})
        info = created.raise_for_status().json()["run"]["info"]
        folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        parts = {f"part-{number}.bin": bytes([number]) * size for number in range(files)}
        for name, content in ({"MLmodel": ML_MODEL, **parts} if contents is None else contents).items():
            path = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/model/{name}"
            http.put(path, content=content).raise_for_status()
        http.post("/api/2.0/mlflow/runs/update", json={"run_id": info["run_id"], "status": "FINISHED"})
    return LoggedRun(info["run_id"], experiment_id, "model", folder)


def object_store(platform: Platform) -> Any:
    """A boto3 client with the administrator's key."""
    import boto3
    from botocore.config import Config

    key = platform.secrets.object_store_admin
    return boto3.client(
        "s3",
        endpoint_url=platform.ports.s3_endpoint,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


def object_names(platform: Platform, bucket: str, prefix: str) -> list[str]:
    """The names of all objects below a prefix."""
    pages = object_store(platform).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]
