"""An object store and MLflow's server with our plugin, as the platform starts them, in a temporary home."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
import httpx

from registry_tui.contracts.mlflow_routes import ProjectRoute, RegistryRoute, Routes
from registry_tui.platform.children import isolated
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from registry_tui.platform.ports import Ports, choose_ports
from registry_tui.platform.secrets import Secrets, load_secrets, mlflow_password, write_private
from registry_tui.platform.supervisor import PARTS
from registry_tui.schemas.places import Role
from registry_tui.service.adapters.access import Access
from registry_tui.service.adapters.mlflow import Mlflow
from support.databases import keep_on_postgresql
from support.platforms import PATIENCE, clean_environment, short_folder, wait_for

BUCKET = "env-a"
REGISTRY = "mr-env-a"

#: The people of each project. `lonely` is not synchronized; ann also works there.
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
    #: By the part's name.
    processes: dict[str, subprocess.Popen[bytes]]

    @contextmanager
    def without_object_store(self) -> Iterator[None]:
        """Kills the object store, and starts it again after the block."""
        self.processes["object-store"].kill()
        self.processes["object-store"].wait()
        try:
            yield
        finally:
            self.processes["object-store"] = _start_object_store(self.home)
            wait_for(lambda: _in_store(self), what="the object store")

    def route(self, project: str) -> ProjectRoute:
        registry = None if project == "lonely" else REGISTRY
        people = {user: role.value for user, role in TEAMS[project].items()}
        return ProjectRoute(
            f"id-of-{project}", project, f"team-{project}", "env-a", BUCKET, registry, collaborators=people
        )

    def write_routes(self) -> None:
        projects = {project: self.route(project) for project in TEAMS}
        registries = {REGISTRY: RegistryRoute("r1", BUCKET, "modelregistry")}
        write_private(self.home.routes_file, Routes(projects, registries).to_json())

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

    def exports(self, project: str, user: str) -> dict[str, str]:
        """The variables with which stock MLflow code works as somebody in a project."""
        return {
            "MLFLOW_TRACKING_URI": self.ports.mlflow_url,
            "MLFLOW_WORKSPACE": project,
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": mlflow_password(self.secrets, user),
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
            timeout=PATIENCE,
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
        """Registers as a client does: the model, which may exist, and then the version."""
        self.ask(user, "POST", "registered-models/create", project=project, json={"name": name})
        body = {"name": name, "source": logged.source, "run_id": logged.run_id, **more}
        return self.ask(user, "POST", "model-versions/create", project=project, json=body)

    def publish_model(self, name: str) -> None:
        """Makes a model public, as its owner does with the service."""
        body = {"name": name, "key": "registry_tui.visibility", "value": "public"}
        self.mlflow.call("POST", "registered-models/set-tag", workspace=REGISTRY, json=body)

    def store_archive(self, version: Mapping[str, Any]) -> None:
        """The result of the service's archive workflow: files below the registry's prefix, then READY."""
        named = {"name": version["name"], "version": version["version"]}
        found = self.mlflow.call("GET", "model-versions/get", workspace=REGISTRY, params=named)["model_version"]
        tags = {tag["key"]: tag["value"] for tag in found["tags"]}
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
def running_parts() -> Iterator[Parts]:
    """Starts both parts in a temporary home, and stops them at the end."""
    folder = short_folder()
    home = Home(folder)
    home.create()
    keep_on_postgresql(home)
    ports, secrets = choose_ports(home), load_secrets(home)
    mlflow = Mlflow(ports, secrets)
    processes = {
        "object-store": _start_object_store(home),
        "mlflow": _start(home, "mlflow", isolated(PARTS["mlflow"]), {ENVIRONMENT_VARIABLE: str(home.root)}),
    }
    parts = Parts(home, ports, secrets, mlflow, Access(mlflow, secrets), processes)
    try:
        parts.write_routes()
        wait_for(lambda: _in_store(parts), what="the object store")
        wait_for(mlflow.answers, what="MLflow's server")
        for workspace in (*TEAMS, REGISTRY):
            mlflow.create_workspace(workspace)
        for project, team in TEAMS.items():
            parts.access.mirror_project(project, team, parts.route(project).registry)
        parts.access.ensure_user("zoe")
        yield parts
    finally:
        mlflow.close()
        for process in reversed(processes.values()):
            process.terminate()
        for process in processes.values():
            try:
                process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _in_store(parts: Parts) -> bool:
    """Makes the bucket; only a put shows that the store takes objects."""
    if BUCKET not in [bucket["Name"] for bucket in parts.s3.list_buckets()["Buckets"]]:
        parts.s3.create_bucket(Bucket=BUCKET)
    parts.s3.put_object(Bucket=BUCKET, Key="probe", Body=b"")
    return True


def _start_object_store(home: Home) -> subprocess.Popen[bytes]:
    here = {ENVIRONMENT_VARIABLE: str(home.root)}
    return _start(home, "object-store", [sys.executable, "-m", "registry_tui.platform.object_store"], here)


def _start(home: Home, part: str, command: list[str], extra: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (home.logs / f"{part}.log").open("wb") as log:
        return subprocess.Popen(
            command, env=clean_environment(extra), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
