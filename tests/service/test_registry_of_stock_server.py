"""A stock MLflow server with `--registry-store-uri registry-tui://…`: its models are in a platform's registry."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.schemas.models import VersionStatus
from registry_tui.schemas.places import Project
from support.platforms import Platform, run_python, temporary_folder, unique, wait_for
from support.stock_mlflow import StockServer, stock_server

#: A model's folder that any MLflow reads.
FILES = {
    "MLmodel": b"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\nmodel_uuid: x\n",
    "data/weights.bin": bytes(range(256)) * 4096,
    "data/ümläut +%.txt": b"",
    # Folders whose only entry has their own name, as a package in a project's folder has.
    "code/churn/churn/__init__.py": b"pass\n",
    "a/a": b"a",
}
READ = """
import sys
from pathlib import Path
import mlflow
uri, into = sys.argv[1:]
got = Path(mlflow.artifacts.download_artifacts(uri, dst_path=into))
print(sorted((path.relative_to(got).as_posix(), path.stat().st_size) for path in got.rglob("*") if path.is_file()))
"""


@dataclass(frozen=True)
class Stage:
    platform: Platform
    project: Project
    stock: StockServer
    variables: dict[str, str]


@pytest.fixture(scope="module")
def stage(platform: Platform) -> Iterator[Stage]:
    project = platform.new_project()
    exports = platform.exports(project.id)
    # MLflow's server refuses a client's workspace; the address names the project.
    variables = {name: value for name, value in exports.items() if name != "MLFLOW_WORKSPACE"}
    registry = f"registry-tui://{urlsplit(exports['MLFLOW_TRACKING_URI']).netloc}/{project.mlflow_workspace}"
    with temporary_folder() as folder, stock_server(folder, registry=registry, variables=variables) as stock:
        yield Stage(platform, project, stock, {**variables, "MLFLOW_REGISTRY_URI": registry})


def test_a_model_of_a_stock_server_gets_a_verified_archive_here(stage: Stage) -> None:
    stock, name = stage.stock, unique("churn")
    run = stock.run(stock.experiment(unique("e")), "trained")
    uri = stock.call("GET", "runs/get", params={"run_id": run})["run"]["info"]["artifact_uri"]
    for path, content in FILES.items():
        stock.upload(uri, f"model/{path}", content)
    tags = [{"key": "team", "value": "blue"}]
    stock.call("POST", "registered-models/create", json={"name": name, "tags": tags})
    asked = {"name": name, "source": f"{uri}/model", "run_id": run, "tags": tags, "description": "first"}
    made = stock.call("POST", "model-versions/create", json=asked)["model_version"]
    assert made["version"] == "1"

    def ready() -> bool:
        version = stage.platform.call(RegistryClient.version, stage.project.registry_id or "", name, 1)
        assert version.status is not VersionStatus.FAILED_REGISTRATION, version
        return version.status is VersionStatus.READY

    wait_for(ready, what="the archive of the version")
    found = stock.call("GET", "model-versions/get", params={"name": name, "version": "1"})["model_version"]
    kept = {tag["key"]: tag["value"] for tag in found["tags"]}
    assert found["status"] == "READY" and found["description"] == "first"
    assert kept["team"] == "blue" and kept["registered_from.run_id"] == run
    assert kept["registered_from.source"] == f"{uri}/model"
    with temporary_folder() as into:
        printed = run_python(READ, stage.variables, f"models:/{name}/1", str(into))
    sizes = {path: len(content) for path, content in FILES.items()}
    got = dict(ast.literal_eval(printed))
    # MLflow's client adds a file with the model's name and version.
    assert {path: size for path, size in got.items() if path != "registered_model_meta"} == sizes


def test_models_of_the_stock_server_are_those_of_the_registry(stage: Stage) -> None:
    stock, name = stage.stock, unique("m")
    stock.call("POST", "registered-models/create", json={"name": name, "description": "ours"})
    here = stage.platform.call(RegistryClient.model, stage.project.registry_id or "", name)
    assert here.name == name
    found = stock.call("GET", "registered-models/search", params={"filter": f"name = '{name}'"})
    assert [each["description"] for each in found["registered_models"]] == ["ours"]
    stock.call("DELETE", "registered-models/delete", json={"name": name})
    assert not stock.call("GET", "registered-models/search", params={"filter": f"name = '{name}'"})
