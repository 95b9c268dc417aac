"""Models of an attached server become versions of the Model Registry here, with verified archives of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from registry_tui.schemas.models import Manifest
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Role
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import RegistryRow, WorkspaceSyncRow, now
from registry_tui.service.engine.engine import Engine
from registry_tui.service.publishing import mlflow as routing
from registry_tui.service.stores.seaweedfs import open_stores
from registry_tui.service.workflows.catalog import DEFINITIONS
from support.bare import asking, bare_service, make_place, set_roles
from support.databases import workflows_url
from support.mlflow_parts import Parts, running_parts
from support.platforms import PATIENCE, temporary_folder
from support.stock_mlflow import StockServer, stock_server

PLACE, REGISTRY = "lab", "lab-registry"


def files() -> dict[str, bytes]:
    """The model's files; one is larger than a part of an upload."""
    return {
        "MLmodel": b"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\nmodel_uuid: x\n",
        "requirements.txt": b"scikit-learn\n",
        "data/weights.bin": bytes(range(256)) * (48 << 10),
        "data/ümläut +%.txt": b"",
    }


@dataclass(frozen=True)
class Stage:
    parts: Parts
    service: Service
    stock: StockServer
    run: str


@contextmanager
def working_service(parts: Parts, threads: int) -> Iterator[Service]:
    """A service with a place for models, whose workflows run."""
    given: dict[str, Any] = {"ports": parts.ports, "mlflow": parts.mlflow, "access": parts.access}
    stores = open_stores(parts.home, parts.ports, parts.secrets)
    with bare_service(parts.home.root, **given, stores=stores) as bare:
        engine = Engine(workflows_url(bare.database, parts.home.service), DEFINITIONS, threads=threads, patience=5.0)
        service = replace(bare, secrets=parts.secrets, workflows=engine)
        engine.attach(service)
        make_place(service, PLACE)
        parts.s3.create_bucket(Bucket=f"{PLACE}-data")
        parts.mlflow.create_workspace(f"mr-{PLACE}")
        with service.database.session() as session:
            row = session.get_one(RegistryRow, REGISTRY)
            row.machine_user_access_key_id = parts.secrets.object_store_admin.access_key_id
            row.machine_user_secret_access_key = parts.secrets.object_store_admin.secret_access_key
        routing.publish(service)
        engine.launch()
        yield service
        engine.stop()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with running_parts() as parts, temporary_folder() as folder, stock_server(folder) as stock:
        experiment = stock.experiment("churn")
        run = stock.run(experiment, "trained", metrics={"loss": [0.5]})
        uri = stock.call("GET", "runs/get", params={"run_id": run})["run"]["info"]["artifact_uri"]
        for path, content in files().items():
            stock.upload(uri, f"model/{path}", content)
        stock.upload(uri, "notes.txt", b"no model")
        with working_service(parts, threads=2) as service:
            yield Stage(parts, service, stock, run)


async def attach(http: httpx.AsyncClient, stage: Stage, name: str) -> None:
    sent = {"name": name, "environment": PLACE, "url": stage.stock.url}
    made = (await http.post("/attached-servers", json=sent)).raise_for_status().json()
    with stage.service.database.session() as session:
        session.add(synchronized(made["workspace_id"]))


def synchronized(workspace: str) -> WorkspaceSyncRow:
    return WorkspaceSyncRow(workspace_id=workspace, registry_id=REGISTRY, state="completed", synchronized_at=now())


def finished(stage: Stage, answer: httpx.Response) -> dict[str, Any]:
    """The version that a registration made, once its workflow has ended."""
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    stage.service.workflows.wait(found["workflow"]["id"], PATIENCE)
    return found


async def test_a_model_of_an_attached_run_gets_a_verified_archive_here(stage: Stage) -> None:
    async with asking(stage.service) as http:
        await attach(http, stage, "theirs")
        sent = {"name": "churn", "run_id": stage.run, "artifact_path": "model", "notes": "from there"}
        made = finished(stage, await http.post("/projects/theirs/register", json=sent))
        path = f"/registries/{REGISTRY}/models/churn/versions/1"
        version = (await http.get(path)).raise_for_status().json()
        assert (version["status"], version["notes"]) == ("READY", "from there"), version
        origin = version["origin"]
        assert (origin["project_name"], origin["run_id"], origin["artifact_path"]) == ("theirs", stage.run, "model")
        assert (origin["experiment_name"], origin["run_name"]) == ("churn", "trained")
        manifest = Manifest.model_validate_json((await http.get(f"{path}/manifest")).raise_for_status().text)
        assert {file.path: (file.size, file.sha256) for file in manifest.files} == {
            name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in files().items()
        }
        read = await http.get(f"{path}/content", params={"path": "data/weights.bin"})
        assert read.content == files()["data/weights.bin"]
        run = (await http.get(f"/projects/theirs/runs/{stage.run}")).raise_for_status().json()
        assert [(each["model_name"], each["version"]) for each in run["registered_as"]] == [("churn", 1)]
        workflow = (await http.get(f"/workflows/{made['workflow']['id']}")).raise_for_status().json()
        assert workflow["status"] == WorkflowStatus.SUCCEEDED
        # Registered versions stay when the server is detached.
        assert (await http.delete("/attached-servers/theirs")).status_code == 204
        assert (await http.get(path)).raise_for_status().json()["status"] == "READY"
        checked = (await http.post(f"{path}/verify")).raise_for_status().json()
        assert (checked["missing"], checked["changed"], checked["unexpected"]) == ([], [], [])


async def test_what_is_no_model_there_is_not_registered(stage: Stage) -> None:
    async with asking(stage.service) as http:
        await attach(http, stage, "others")
        for sent, status in (
            ({"run_id": stage.run, "artifact_path": ""}, 422),
            ({"run_id": stage.run, "artifact_path": "notes.txt"}, 422),
            ({"run_id": "0" * 32, "artifact_path": "model"}, 404),
            ({"logged_model_id": "m-none"}, 404),
            ({"source": f"registry-tui-attached:/x/runs/{stage.run}/model"}, 422),
        ):
            answer = await http.post("/projects/others/register", json={"name": "nothing", **sent})
            assert answer.status_code == status, f"{sent}: {answer.text}"
        assert (await http.get(f"/registries/{REGISTRY}/models/nothing")).status_code == 404


async def test_nobody_else_registers_from_an_attached_server_at_mlflows_own_door(stage: Stage) -> None:
    user, workspace = "mia", f"{PLACE}-wine"
    stage.parts.mlflow.create_workspace(workspace)
    set_roles(stage.service, user, PLACE, project="contributor")
    with stage.service.database.session() as session:
        session.add(synchronized(f"{PLACE}-workspace"))
    routing.publish(stage.service)
    stage.parts.access.mirror_project(workspace, {user: Role.CONTRIBUTOR}, f"mr-{PLACE}")
    made = stage.parts.ask(user, "POST", "registered-models/create", project=workspace, json={"name": "sly"})
    assert made.is_success, made.text
    version = {"name": "sly", "source": f"registry-tui-attached:/some-project/runs/{stage.run}/model"}
    answer = stage.parts.ask(user, "POST", "model-versions/create", project=workspace, json=version)
    assert answer.status_code == 400 and "cannot be registered" in answer.json()["message"], answer.text
