"""An object store and MLflow's server with our plugin, as the platform starts them, in a temporary home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import httpx

from registry_tui.mlflow_plugin.launch import server_command
from registry_tui.mlflow_plugin.routes import ProjectRoute, RegistryRoute, Routes
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import Ports, choose_ports
from registry_tui.platform.secrets import Secrets, load_secrets, mlflow_password, write_private
from registry_tui.schemas.places import Role
from registry_tui.service.adapters.access import Access
from registry_tui.service.adapters.mlflow import Mlflow

BUCKET = "env-a"
REGISTRY = "mr-env-a"
START_SECONDS = 120

#: Who works where. `lonely` is not synchronized; ann also works there.
TEAMS: Mapping[str, Mapping[str, Role]] = {
    "wine": {"ann": Role.CONTRIBUTOR, "bob": Role.CONTRIBUTOR, "vic": Role.VIEWER},
    "beer": {"ann": Role.CONTRIBUTOR, "cleo": Role.CONTRIBUTOR},
    "lonely": {"ann": Role.CONTRIBUTOR},
    "default": {"ann": Role.CONTRIBUTOR},
}


@dataclass(frozen=True)
class Logged:
    """A run that logged a model."""

    run_id: str
    experiment_id: str
    #: `mlflow-artifacts:/…`
    source: str
    path: str


@dataclass(frozen=True)
class Parts:
    home: Home
    ports: Ports
    secrets: Secrets
    mlflow: Mlflow
    access: Access

    def route(self, project: str) -> ProjectRoute:
        registry = None if project == "lonely" else REGISTRY
        return ProjectRoute(f"id-of-{project}", project, f"team-{project}", "env-a", BUCKET, registry)

    def write_routes(self) -> None:
        projects = {project: self.route(project) for project in TEAMS}
        registries = {REGISTRY: RegistryRoute("r1", BUCKET, "modelregistry")}
        Routes(projects, registries).dump(self.home.routes_file)

    @cached_property
    def s3(self) -> Any:
        key = self.secrets.object_store_admin
        return boto3.client(
            "s3",
            endpoint_url=self.ports.s3_endpoint,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            region_name="us-east-1",
        )

    def environment(self, project: str, user: str) -> dict[str, str]:
        """What makes stock MLflow code work as somebody in a project."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTEST_"))}
        return {
            **kept,
            "MLFLOW_TRACKING_URI": self.ports.mlflow_url,
            "MLFLOW_WORKSPACE": project,
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": mlflow_password(self.secrets, user),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def ask(self, user: str | None, method: str, path: str, *, project: str = "wine", **request: Any) -> httpx.Response:
        """One raw call as somebody, or anonymously."""
        auth = None if user is None else (user, mlflow_password(self.secrets, user))
        url = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        return httpx.request(
            method,
            f"{self.ports.mlflow_url}{url}",
            auth=auth,
            headers={"X-MLFLOW-WORKSPACE": project},
            timeout=30,
            **request,
        )

    def log_model(self, user: str, project: str = "wine", *, file: str = "MLmodel") -> Logged:
        """A run with a folder `model` that holds one file, by REST."""
        name = f"experiment of {user}"
        made = self.ask(user, "POST", "experiments/create", project=project, json={"name": name})
        if made.is_success:
            experiment = made.json()["experiment_id"]
        else:
            found = self.ask(user, "GET", "experiments/get-by-name", project=project, params={"experiment_name": name})
            experiment = found.raise_for_status().json()["experiment"]["experiment_id"]
        run = self.ask(
            user, "POST", "runs/create", project=project, json={"experiment_id": experiment, "run_name": "first"}
        ).raise_for_status()
        info = run.json()["run"]["info"]
        path = f"{info['artifact_uri'].removeprefix('mlflow-artifacts:/')}/model"
        self.ask(
            user,
            "PUT",
            f"/api/2.0/mlflow-artifacts/artifacts/{path}/{file}",
            project=project,
            content=b"flavors: {}\n",
        ).raise_for_status()
        return Logged(info["run_id"], experiment, f"{info['artifact_uri']}/model", path)

    def register(self, user: str, name: str, logged: Logged, project: str = "wine", **more: Any) -> httpx.Response:
        """What a client does: the model, which may be there, and then the version."""
        self.ask(user, "POST", "registered-models/create", project=project, json={"name": name})
        body = {"name": name, "source": logged.source, "run_id": logged.run_id, **more}
        return self.ask(user, "POST", "model-versions/create", project=project, json=body)

    def store_archive(self, version: Mapping[str, Any]) -> None:
        """What the service's archive workflow does in the end: files below the registry's prefix, then READY."""
        tags = {tag["key"]: tag["value"] for tag in version["tags"]}
        model = self.mlflow.call("GET", "registered-models/get", workspace=REGISTRY, params={"name": version["name"]})[
            "registered_model"
        ]
        model_id = next(tag["value"] for tag in model["tags"] if tag["key"] == "registry_tui.model_id")
        source = json.loads(tags["registry_tui.origin"])["source"].removeprefix("mlflow-artifacts:/")
        folder = source if source.startswith("workspaces/") else f"workspaces/default/{source}"
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{folder}/")
        for entry in listed["Contents"]:
            relative = entry["Key"].removeprefix(f"{folder}/")
            self.s3.copy_object(
                Bucket=BUCKET,
                CopySource={"Bucket": BUCKET, "Key": entry["Key"]},
                Key=f"modelregistry/{model_id}/{tags['registry_tui.version_id']}/files/{relative}",
            )
        self.mlflow.set_version_status(REGISTRY, version["name"], version["version"], "READY")


@contextmanager
def running_parts(root: Path) -> Iterator[Parts]:
    """Starts both parts, and stops them at the end."""
    home = Home(root)
    home.create()
    ports, secrets = choose_ports(home), load_secrets(home)
    mlflow = Mlflow(ports, secrets)
    parts = Parts(home, ports, secrets, mlflow, Access(mlflow, secrets))
    processes = [_start(home, "object-store", *_object_store(home, ports, secrets))]
    processes.append(_start(home, "mlflow", *server_command(home, ports, secrets)))
    try:
        _wait(home, processes[0], lambda: "Buckets" in parts.s3.list_buckets())
        parts.s3.create_bucket(Bucket=BUCKET)
        parts.write_routes()
        _wait(home, processes[1], mlflow.answers)
        for workspace in (*TEAMS, REGISTRY):
            mlflow.create_workspace(workspace)
        for project, team in TEAMS.items():
            parts.access.mirror_project(project, team, parts.route(project).registry)
        parts.access.ensure_user("zoe")
        yield parts
    finally:
        mlflow.close()
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def _object_store(home: Home, ports: Ports, secrets: Secrets) -> tuple[list[str], dict[str, str]]:
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": key.access_key_id, "secretKey": key.secret_access_key}],
            "actions": actions,
        }
        for name, key, actions in (
            ("admin", secrets.object_store_admin, ["Admin", "Read", "Write", "List"]),
            ("mlflow", secrets.object_store_mlflow, ["Read", "Write", "List"]),
        )
    ]
    config = home.run / "identities.json"
    write_private(config, json.dumps({"identities": identities}))
    flags = {
        "dir": home.object_store,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3.port": ports.s3,
        "s3.port.grpc": ports.s3_grpc,
        "master.port": ports.master,
        "master.port.grpc": ports.master_grpc,
        "volume.port": ports.volume,
        "volume.port.grpc": ports.volume_grpc,
        "filer.port": ports.filer,
        "filer.port.grpc": ports.filer_grpc,
        "s3.config": config,
        "s3.port.iceberg": 0,
        "master.telemetry": "false",
        "webdav": "false",
        "admin.ui": "false",
    }
    weed = str(Path(sys.executable).parent / "weed")
    return [weed, "mini", *(f"-{flag}={value}" for flag, value in flags.items())], {"GOMEMLIMIT": "200MiB"}


def _start(home: Home, part: str, command: list[str], extra: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (home.logs / f"{part}.log").open("wb") as log:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        return subprocess.Popen(
            command, env={**environment, **extra}, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )


def _wait(home: Home, process: subprocess.Popen[bytes], ready: Any) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, "\n".join(log.read_text()[-3000:] for log in home.logs.glob("*.log"))
        try:
            if ready():
                return
        except Exception as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"{process.args!r} did not come up: {locals().get('last')}")
