"""Names of artifacts keep their own bytes through every door, and names that no disk can hold pass through none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.saving import archive_files, artifact_files, save_all
from registry_tui.schemas.models import RegisterModel, VersionStatus
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Project
from support.file_names import KEPT, KEPT_ENCODED, REFUSED
from support.platforms import Platform, unique
from support.registered import LoggedRun, log_model, mlflow_client, object_names, object_store

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
#: Logs files beside a model with MLflow's own client, reads them again with it, and registers the model.
SDK = """
import json, pathlib, sys, tempfile, mlflow, numpy
from sklearn.linear_model import LinearRegression
names, model = json.loads(sys.argv[1]), sys.argv[2]
folder = pathlib.Path(tempfile.mkdtemp())
mlflow.sklearn.save_model(LinearRegression().fit(numpy.eye(2), [1.0, 2.0]), folder / "model")
for name in names:
    target = folder / "model" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(name)
mlflow.set_experiment("names")
with mlflow.start_run() as run:
    mlflow.log_artifacts(str(folder / "model"), "model")
    mlflow.log_artifact(str(folder / "model" / names[0]), "model/sub folder")
local = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="model"))
for name in names:
    assert (local / name).read_text() == name, name
version = mlflow.register_model(f"runs:/{run.info.run_id}/model", model)
client = mlflow.MlflowClient()
import time
for _ in range(2400):
    if client.get_model_version(model, version.version).status != "PENDING_REGISTRATION":
        break
    time.sleep(0.1)
loaded = pathlib.Path(mlflow.artifacts.download_artifacts(f"models:/{model}/{version.version}"))
for name in names:
    assert (loaded / name).read_text() == name, name
assert mlflow.pyfunc.load_model(f"models:/{model}/{version.version}").predict(numpy.eye(2)).shape == (2,)
print(json.dumps([run.info.run_id, version.version]))
"""


async def contents(client: RegistryClient, project: str, run: str, folder: str) -> dict[str, bytes]:
    """Every file below a folder of a run, by its path, over the service."""
    found, todo = {}, [folder]
    while todo:
        for entry in (await client.artifacts(project, run, todo.pop())).entries:
            if entry.is_folder:
                todo.append(entry.path)
            else:
                path = entry.path.removeprefix(f"{folder}/")
                found[path] = await client.read_artifact(project, run, entry.path)
    return found


async def require_kept(
    client: RegistryClient, project: Project, run: str, model: str, number: int, names: tuple[str, ...], folder: Path
) -> None:
    """Every door of the service has each file under its own name, with its name as its content."""
    registry, expected = project.registry_id or "", {name: name.encode() for name in names}
    listed = await contents(client, project.id, run, "model")
    assert {name: listed.get(name) for name in names} == expected
    manifest = {entry.path for entry in (await client.manifest(registry, model, number)).files}
    assert set(names) <= manifest and len(manifest) == len(listed)
    for name in names:
        assert await client.read_archive(registry, model, number, name) == name.encode()
    version = await client.version(registry, model, number)
    assert (await client.verify_archive(registry, model, number)).sound
    for place, files in (
        ("a", archive_files(client, version)),
        ("r", artifact_files(client, project.id, run, "model")),
    ):
        await save_all(files, folder / place, lambda *_: None)
        saved = {str(path.relative_to(folder / place)): path for path in (folder / place).rglob("*") if path.is_file()}
        assert {name: saved[name].read_bytes() for name in names} == expected


async def test_names_survive_the_python_client_and_every_door(
    client: RegistryClient, project: Project, sdk: Callable[..., str], tmp_path: Path
) -> None:
    model = unique("names")
    run, number = json.loads(sdk(SDK, json.dumps(KEPT), model).splitlines()[-1])
    await require_kept(client, project, run, model, int(number), KEPT, tmp_path)


async def test_encoded_names_survive_every_door(
    platform: Platform, client: RegistryClient, project: Project, tmp_path: Path
) -> None:
    logged, model = log_model(platform, project), unique("names")
    with mlflow_client(await client.credentials(project.id)) as http:
        for name in KEPT_ENCODED:
            address = f"{ARTIFACTS}/{logged.key}/model/{quote(name)}"
            http.put(address, content=name.encode()).raise_for_status()
        for name in KEPT_ENCODED:
            address = f"{ARTIFACTS}/{logged.key}/model/{quote(name)}"
            assert http.get(address).raise_for_status().content == name.encode()
        files = http.get(ARTIFACTS, params={"path": f"{logged.key}/model"}).raise_for_status().json()["files"]
        assert {name for name in KEPT_ENCODED if "/" not in name} <= {file["path"] for file in files}
        below = {"run_id": logged.run_id, "path": "model"}
        files = http.get("/api/2.0/mlflow/artifacts/list", params=below).raise_for_status().json()["files"]
        assert {f"model/{name}" for name in KEPT_ENCODED if "/" not in name} <= {file["path"] for file in files}
    accepted = await client.register_model(
        project.id, RegisterModel(name=model, run_id=logged.run_id, artifact_path="model")
    )
    ended = await client.wait_for_workflow(accepted.workflow.id)
    assert ended.status is WorkflowStatus.SUCCEEDED, ended.error
    await require_kept(client, project, logged.run_id, model, accepted.resource.version, KEPT_ENCODED, tmp_path)
    with mlflow_client(await client.credentials(project.id)) as http:
        asked = {"name": model, "version": str(accepted.resource.version)}
        uri = http.get("/api/2.0/mlflow/model-versions/get-download-uri", params=asked).json()["artifact_uri"]
        for name in KEPT_ENCODED:
            address = f"{ARTIFACTS}/{uri.removeprefix('mlflow-artifacts:/')}/{quote(name)}"
            assert http.get(address).raise_for_status().content == name.encode()


def refusal(response: httpx.Response) -> dict[str, Any]:
    """The body of an answer that refuses a client's request as MLflow does, with a sentence."""
    assert response.status_code == 400, (response.request.url, response.status_code, response.text[:300])
    body: dict[str, Any] = response.json()
    assert body["error_code"] == "INVALID_PARAMETER_VALUE" and len(body["message"]) > 20, body
    return body


async def test_names_that_no_disk_can_hold_are_refused_at_every_door(
    platform: Platform, client: RegistryClient, project: Project
) -> None:
    logged = log_model(platform, project, files=1)
    bucket = (await client.environment("local")).bucket
    root = f"workspaces/{project.mlflow_workspace}/"
    before = object_names(platform, bucket, root)
    with mlflow_client(await client.credentials(project.id)) as http:
        for name in REFUSED:
            for address in (f"{logged.key}/model/{name}", f"{logged.key}/{name}"):
                for prefix in ("/api", "/ajax-api"):
                    refusal(http.put(f"{prefix}/2.0/mlflow-artifacts/artifacts/{address}", content=b"x"))
                if not name.endswith("/"):
                    refusal(http.post(f"/api/2.0/mlflow-artifacts/mpu/create/{address}", json={"path": "x"}))
                    refusal(http.get(f"{ARTIFACTS}/{address}"))
                    refusal(http.delete(f"{ARTIFACTS}/{address}"))
            if "/" not in name.strip("/") and not name.endswith("/") and "%ff" not in name:
                query = f"run_uuid={logged.run_id}&path=model/{name}"
                refusal(http.post(f"/ajax-api/2.0/mlflow/upload-artifact?{query}", content=b"x"))
                refusal(http.get(f"{ARTIFACTS}?path={logged.key}/model/{name}"))
                refusal(http.get(f"/api/2.0/mlflow/artifacts/list?run_id={logged.run_id}&path=model/{name}"))
                refusal(http.get(f"/get-artifact?run_id={logged.run_id}&path=model/{name}"))
    assert object_names(platform, bucket, root) == before


async def test_a_file_and_a_folder_of_one_name_are_refused_at_upload(
    platform: Platform, client: RegistryClient, project: Project
) -> None:
    logged = log_model(platform, project, files=1)
    with mlflow_client(await client.credentials(project.id)) as http:

        def put(path: str) -> httpx.Response:
            return http.put(f"{ARTIFACTS}/{logged.key}/model/{path}", content=b"x")

        put("a").raise_for_status()
        put("a").raise_for_status()
        assert "'" in refusal(put("a/b"))["message"] and "is a file" in refusal(put("a/b/c"))["message"]
        put("d/e/f").raise_for_status()
        assert "is a folder" in refusal(put("d/e"))["message"] and "is a folder" in refusal(put("d"))["message"]
        put("A/b").raise_for_status()
        put("a.b/c").raise_for_status()
        query = f"run_uuid={logged.run_id}&path=model/a/b"
        refusal(http.post(f"/ajax-api/2.0/mlflow/upload-artifact?{query}", content=b"x"))
        run_folder = f"{ARTIFACTS}/{logged.key.removesuffix('/artifacts')}"
        refusal(http.put(run_folder, content=b"x"))
        http.delete(f"{ARTIFACTS}/{logged.key}/model/a").raise_for_status()
        put("a/b").raise_for_status()


@pytest.mark.parametrize("added", ["MLmodel/x", "part-0.bin/below/x"])
async def test_a_model_that_no_disk_can_hold_is_never_ready(
    platform: Platform, client: RegistryClient, project: Project, added: str
) -> None:
    logged: LoggedRun = log_model(platform, project)
    bucket = (await client.environment("local")).bucket
    # Behind the proxy's back, as two uploads at the same moment could.
    object_store(platform).put_object(Bucket=bucket, Key=f"{logged.key}/model/{added}", Body=b"x")
    model = unique("impossible")
    request = RegisterModel(name=model, run_id=logged.run_id, artifact_path="model")
    accepted = await client.register_model(project.id, request)
    ended = await client.wait_for_workflow(accepted.workflow.id)
    assert ended.status is WorkflowStatus.FAILED
    version = await client.version(project.registry_id or "", model, accepted.resource.version)
    assert version.status is VersionStatus.FAILED_REGISTRATION
    assert repr(added) in version.status_message
