"""Small real models for tests, registered without importing MLflow here."""

from __future__ import annotations

import json
import os
import platform as this_machine
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from registry_tui.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.schemas.deployments import Deployment, DeploymentCreate, DeploymentUpdate, ReplicaStatus
from registry_tui.schemas.models import ModelVersion, RegisterModel
from registry_tui.schemas.operations import Accepted, Workflow, WorkflowStatus
from registry_tui.schemas.places import Project
from registry_tui.schemas.registries import RegistryDelete
from support.platforms import PATIENCE, PLAIN, Platform, unique, wait_for
from support.registered import mlflow_client

#: `add` rows up and add a constant, with side effects chosen by columns.
CODE = """
import json, os, sys, time
from pathlib import Path

SETTINGS = json.loads((Path(__file__).parent / "settings.json").read_text())

def wait_until(path):
    while path and not os.path.exists(path):
        time.sleep(0.05)

def _load_pyfunc(path):
    if SETTINGS.get("fail"):
        raise RuntimeError(SETTINGS["fail"])
    time.sleep(SETTINGS.get("load_seconds", 0))
    wait_until(SETTINGS.get("load_until"))
    if SETTINGS.get("die"):
        os._exit(3)
    return Model()

class Model:
    def __init__(self):
        self.kept = []

    def predict(self, data, params=None):
        if SETTINGS.get("raises"):
            raise ValueError(SETTINGS["raises"])
        time.sleep(SETTINGS.get("hangs", 0))
        if SETTINGS.get("dies"):
            os._exit(3)
        if "raise" in data and data["raise"].any():
            raise ValueError("a row that it cannot take")
        if "log" in data:
            with open(data["log"][0], "a") as log:
                print("called", file=log)
        if "nan" in data:
            return [float("nan"), float("inf"), -float("inf"), 0.1 + 0.2]
        if "object" in data:
            return [object()]
        if "until" in data:
            wait_until(data["until"][0])
        if "sleep" in data:
            time.sleep(float(data["sleep"].max()))
        if "grow" in data:
            self.kept.append(bytearray(int(data["grow"].max()) << 20))
        if "die" in data and data["die"].any():
            os._exit(3)
        if "exit" in data and data["exit"].any():
            sys.exit(3)
        if "variable" in data:
            return [os.environ.get(name, "") for name in data["variable"]]
        return (data["a"] + data["b"] + SETTINGS["add"]).tolist()

    def predict_stream(self, data, params=None):
        row = data if isinstance(data, dict) else data[0]
        try:
            for number in range(int(row["pieces"])):
                if number == row.get("wait_at"):
                    wait_until(row["until"])
                if number == row.get("raise_at"):
                    raise ValueError("no more of this")
                if number == row.get("die_at"):
                    os._exit(3)
                if number == row.get("object_at"):
                    yield object()
                yield {"number": number, "text": row.get("text", "") * int(row.get("size", 1))}
        finally:
            if row.get("log"):
                with open(row["log"], "a") as log:
                    print("closed", file=log)
"""

ML_MODEL = """\
flavors:
  python_function:
    loader_module: {module}
    code: code
{streamable}    env:
      virtualenv: python_env.yaml
    python_version: 3.11.0
mlflow_version: 3.17.2
model_uuid: {uuid}
"""

PYTHON_ENV = f"python: {this_machine.python_version()}\ndependencies:\n- -r requirements.txt\n"

#: Deployments made by `deploy` and not deleted yet: they use resources of the machine.
DEPLOYED: list[tuple[Platform, str]] = []


@dataclass(frozen=True)
class Served:
    """A registered version that can be deployed."""

    project: Project
    version: ModelVersion

    @property
    def registry(self) -> str:
        return self.version.registry_id


def register(
    platform: Platform,
    project: Project,
    model: str | None = None,
    *,
    requirements: str | None = "mlflow\n",
    example: Mapping[str, Any] | None = None,
    streamable: bool = False,
    signature: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Served:
    """Logs and registers a model that adds `add` to a + b; `fail` or `die` when it is loaded.

    One that is `streamable` also answers a row's number of `pieces`.
    With `load_until`, it is loaded once the file of that path exists. A row's `until` makes an answer wait so.
    """
    name = model or unique("Model")
    module = unique("served").replace("-", "_")
    files = {
        "MLmodel": ML_MODEL.format(
            module=module, uuid=module, streamable="    streamable: true\n" if streamable else ""
        ),
        f"code/{module}.py": CODE,
        "code/settings.json": json.dumps({"add": 0, **settings}),
        "python_env.yaml": PYTHON_ENV,
    }
    if signature is not None:
        files["MLmodel"] += f"signature: {json.dumps(signature)}\n"
    if requirements is not None:
        files["requirements.txt"] = requirements
    if example is not None:
        files["serving_input_example.json"] = json.dumps(example)
    credentials = platform.ask(lambda client: client.credentials(project.id))
    with mlflow_client(credentials) as http:
        made = http.post("/api/2.0/mlflow/experiments/create", json={"name": unique("experiment")})
        experiment = made.raise_for_status().json()["experiment_id"]
        created = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": experiment})
        info = created.raise_for_status().json()["run"]["info"]
        folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for path, text in files.items():
            url = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/model/{path}"
            http.put(url, content=text.encode()).raise_for_status()
    request = RegisterModel(name=name, run_id=info["run_id"], artifact_path="model")
    accepted = platform.ask(lambda client: client.register_model(project.id, request))
    finish(platform, accepted.workflow)
    registry, number = accepted.resource.registry_id, accepted.resource.version
    return Served(project, platform.ask(lambda client: client.version(registry, name, number)))


def with_columns(platform: Platform) -> Served:
    """Registers such a model with a signature and an example, so that it is called in several protocols."""
    columns = json.dumps([{"type": "double", "name": name, "required": True} for name in ("a", "b")])
    outputs = json.dumps([{"type": "double", "required": True}])
    signature = {"inputs": columns, "outputs": outputs, "params": None}
    return register(platform, platform.new_project(), example=split(a=[1.0], b=[2.0]), signature=signature)


def finish(platform: Platform, workflow: Workflow, status: WorkflowStatus = WorkflowStatus.SUCCEEDED) -> Workflow:
    """Waits for a workflow, which must end so."""
    ended = platform.ask(lambda client: client.wait_for_workflow(workflow.id))
    assert ended.status is status, ended.error
    return ended


def two_versions(platform: Platform) -> Served:
    """Registers version 1, which adds 10, and version 2, which adds 20; returns version 2."""
    project = platform.new_project()
    first = register(platform, project, add=10, example=split(a=[1.0], b=[2.0]))
    return register(platform, project, first.version.model_name, add=20)


def deploy(platform: Platform, served: Served, **fields: Any) -> Deployment:
    """Deploys a version, without authentication by default, and waits until it is ready."""
    request = DeploymentCreate(
        **{
            "name": unique("d"),
            "project": served.project.id,
            "model": served.version.model_id,
            "version": served.version.version,
            "authentication": False,
            **fields,
        }
    )
    accepted = platform.ask(lambda client: client.create_deployment(request))
    DEPLOYED.append((platform, accepted.resource.id))
    finish(platform, accepted.workflow)
    return platform.ask(lambda client: client.deployment(accepted.resource.id))


def now(platform: Platform, deployment: Deployment) -> Deployment:
    return platform.ask(lambda client: client.deployment(deployment.id))


def replicas(platform: Platform, deployment: Deployment) -> list[ReplicaStatus]:
    return platform.ask(lambda client: client.replicas(deployment.id))


def kill_replica(platform: Platform, deployment: Deployment) -> None:
    """Kills the first replica of a deployment, once it runs."""
    pid = wait_for(lambda: replicas(platform, deployment)[0].pid, what="a replica to run")
    os.kill(pid, signal.SIGKILL)


def update(
    platform: Platform, deployment: Deployment, status: WorkflowStatus = WorkflowStatus.SUCCEEDED, **fields: Any
) -> Deployment:
    """Rolls a change out; its workflow must end with `status`. Returns the deployment afterwards."""
    request = DeploymentUpdate.model_validate(fields)
    accepted = platform.ask(lambda client: client.update_deployment(deployment.id, request))
    assert isinstance(accepted, Accepted)
    finish(platform, accepted.workflow, status)
    return now(platform, deployment)


def take_away(made: list[tuple[Platform, str]]) -> None:
    """Begins to delete deployments; those whose platform is down, or that are gone, stay as they are."""
    for platform, id_ in made:
        with suppress(RegistryError):
            platform.call(RegistryClient.delete_deployment, id_, force=True)


def remove_registry(platform: Platform, registry: str) -> None:
    """Deletes a registry with its archives before its store ends; one that is gone is left out."""
    with suppress(RegistryError):
        request = RegistryDelete(delete_archives=True, force=True)
        begun = platform.ask(lambda client: client.delete_registry(registry, request))
        platform.ask(lambda client: client.wait_for_workflow(begun.workflow.id))


def split(**columns: list[Any]) -> dict[str, Any]:
    """A request with these columns."""
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return {"dataframe_split": {"columns": list(columns), "data": rows}}


def call(deployment: Deployment, body: Any = None, **options: Any) -> httpx.Response:
    """One request to `/invocations` through the gateway."""
    content = json.dumps(split(a=[1.0], b=[2.0]) if body is None else body)
    headers = {"Content-Type": "application/json", **options.pop("headers", {})}
    url = f"{deployment.endpoint_url}/invocations"
    return httpx.post(url, content=content, headers=headers, timeout=PATIENCE, trust_env=False, verify=PLAIN, **options)


def declare(deployment: Deployment, size: int) -> bytes:
    """The response to a request that declares a body of so many bytes, and sends none."""
    url = httpx.URL(f"{deployment.endpoint_url}/invocations")
    with socket.create_connection((url.host, url.port or 0), timeout=PATIENCE) as connection:
        head = f"POST {url.path} HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(head.encode())
        return connection.makefile("rb").read()


def answer(deployment: Deployment, body: Any = None, **options: Any) -> Any:
    """The predictions of a request that succeeds."""
    response = call(deployment, body, **options)
    assert response.status_code == 200, response.text
    return response.json()["predictions"]
