"""Every spelling of a model's folder leads to the same model at every door, and no file of a run is hidden unsaid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from registry_tui.client.errors import RegistryError
from registry_tui.schemas.models import ModelVersion, RegisterModel, VersionStatus
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Project
from support.platforms import Platform, run_python, unique, wait_for
from support.registered import mlflow_client, object_store

MLMODEL = b"flavors: {python_function: {loader_module: mine}}\nnumber: %d\n"
#: Names of folders below a run's artifacts; "" is their root.
FOLDERS = ("", "plain", "a#b", "what?", "100%", "my model", "a%20b", "x+y;z:1", "deep/er")


class Logging:
    """Runs and models logged by MLflow's REST API, in one project."""

    def __init__(self, http: httpx.Client, project: Project) -> None:
        self.http, self.project = http, project
        made = self.post("experiments/create", name=unique("sources"))
        self.experiment = made["experiment_id"]

    def post(self, call: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(f"/api/2.0/mlflow/{call}", json=body)
        assert answer.status_code == 200, (call, answer.text)
        return dict(answer.json())

    def run(self) -> tuple[str, str]:
        """A run's ID, and its folder behind the artifact proxy."""
        info = self.post("runs/create", experiment_id=self.experiment)["run"]["info"]
        return info["run_id"], info["artifact_uri"].removeprefix("mlflow-artifacts:/")

    def put(self, folder: str, path: str, content: bytes) -> None:
        url = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/{quote(path)}"
        self.http.put(url, content=content).raise_for_status()

    def model(self, run: str, name: str, number: int, step: int | None) -> str:
        """A model that a run logged by name, with some files; its ID."""
        made = self.post("logged-models", experiment_id=self.experiment, name=name, source_run_id=run)
        info = made["model"]["info"]
        folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for path, content in {"MLmodel": MLMODEL % number, "data.bin": b"model", "code/mine.py": b"pass"}.items():
            self.put(folder, path, content)
        if step is not None:
            self.post("runs/outputs", run_id=run, models=[{"model_id": info["model_id"], "step": step}])
        return str(info["model_id"])


@pytest.fixture(scope="module")
def logging(platform: Platform) -> Iterator[Logging]:
    project = platform.new_project()
    with mlflow_client(platform.ask(lambda client: client.credentials(project.id))) as http:
        yield Logging(http, project)


@pytest.fixture(scope="module")
def folders(platform: Platform, logging: Logging) -> str:
    """A run with a model in each of `FOLDERS`; its output is the folder's place in them."""
    return log_folders(platform, logging, FOLDERS)


def log_folders(platform: Platform, logging: Logging, names: Sequence[str]) -> str:
    run, root = logging.run()
    bucket = platform.ask(lambda client: client.environment(logging.project.environment_id)).bucket
    store = object_store(platform)
    for number, name in enumerate(names):
        # MLflow's proxy accepts no `#` in an upload's address; the object store keeps the files of other tools.
        store.put_object(Bucket=bucket, Key=f"{root}/{name}/MLmodel".replace("//", "/"), Body=MLMODEL % number)
    return run


def registered(platform: Platform, logging: Logging, **fields: Any) -> ModelVersion:
    """The READY version that the service makes."""
    request = RegisterModel(name=unique("m"), **fields)
    accepted = platform.ask(lambda client: client.register_model(logging.project.id, request))
    ended = platform.ask(lambda client: client.wait_for_workflow(accepted.workflow.id))
    assert ended.status is WorkflowStatus.SUCCEEDED, ended.error
    return platform.ask(lambda client: client.version(logging.project.registry_id or "", request.name, 1))


def registered_by_rest(platform: Platform, logging: Logging, source: str, **fields: Any) -> ModelVersion:
    """The READY version that MLflow's own API makes."""
    name = unique("m")
    logging.post("registered-models/create", name=name)
    logging.post("model-versions/create", name=name, source=source, **fields)

    def ready() -> ModelVersion | None:
        found = platform.ask(lambda client: client.version(logging.project.registry_id or "", name, 1))
        assert found.status is not VersionStatus.FAILED_REGISTRATION, found.status_message
        return found if found.status is VersionStatus.READY else None

    return wait_for(ready)


def content(platform: Platform, version: ModelVersion) -> bytes:
    return platform.ask(
        lambda client: client.read_archive(version.registry_id, version.model_id, version.version, "MLmodel")
    )


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_any_name_is_registered_by_the_service_and_by_mlflow(
    platform: Platform, logging: Logging, folders: str, name: str
) -> None:
    said = MLMODEL % FOLDERS.index(name)
    by_service = registered(platform, logging, run_id=folders, artifact_path=name)
    by_source = registered(platform, logging, source=f"runs:/{folders}/{name}")
    by_rest = registered_by_rest(platform, logging, f"runs:/{folders}/{name}", run_id=folders)
    for version in (by_service, by_source, by_rest):
        assert content(platform, version) == said
        assert (version.origin.run_id, version.origin.artifact_path) == (folders, name)


def test_the_roots_and_other_spellings_lead_to_the_same_folder(
    platform: Platform, logging: Logging, folders: str
) -> None:
    for fields in ({"source": f"runs:/{folders}"}, {"run_id": folders, "artifact_path": "."}):
        assert content(platform, registered(platform, logging, **fields)) == MLMODEL % 0
    assert content(platform, registered_by_rest(platform, logging, f"runs:/{folders}", run_id=folders)) == MLMODEL % 0
    spelled = registered(platform, logging, run_id=folders, artifact_path="./plain/")
    assert content(platform, spelled) == MLMODEL % FOLDERS.index("plain")
    encoded = registered_by_rest(platform, logging, f"runs:/{folders}/my%20model", run_id=folders)
    assert content(platform, encoded) == MLMODEL % FOLDERS.index("my model")
    options = ("--project", logging.project.id, "--name", unique("cli"), "--source", f"runs:/{folders}/a#b", "--json")
    assert '"artifact_path": "a#b"' in platform.command("models", "register", *options).stdout


STOCK = """
import sys, mlflow, pathlib
run, name, *folders = sys.argv[1:]
for number, folder in enumerate(folders, 1):
    made = mlflow.register_model(f"runs:/{run}/{folder}".rstrip("/"), name)
    assert int(made.version) == number
    path = pathlib.Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{number}"))
    print((path / "MLmodel").read_text().splitlines()[-1])
"""


def test_stock_code_registers_the_same_folders(platform: Platform, logging: Logging) -> None:
    # MLflow's client itself refuses a run that holds a name with `#` or `?`, and its listing decodes `%20` once more.
    names = [name for name in FOLDERS if not {"#", "?"} & set(name) and "%20" not in name]
    run = log_folders(platform, logging, names)
    said = run_python(STOCK, platform.exports(logging.project.id), run, unique("stock"), *names)
    assert said.splitlines()[-len(names) :] == [f"number: {number}" for number in range(len(names))]


def test_a_run_and_a_name_mean_the_model_of_the_largest_step_at_every_door(
    platform: Platform, logging: Logging
) -> None:
    run, _ = logging.run()
    logging.model(run, "net", 1, step=3)
    best = logging.model(run, "net", 2, step=7)
    logging.model(run, "net", 3, step=5)
    logging.model(logging.run()[0], "net", 4, step=9)
    versions = [
        registered(platform, logging, run_id=run, artifact_path="net"),
        registered(platform, logging, source=f"runs:/{run}/net"),
        registered(platform, logging, source=f"models:/{best}"),
        registered_by_rest(platform, logging, f"runs:/{run}/net", run_id=run),
    ]
    for version in versions:
        assert content(platform, version) == MLMODEL % 2
        assert (version.origin.run_id, version.origin.artifact_path) == (run, best)
    options = ("--project", logging.project.id, "--run", run, "--path", "net", "--name", unique("cli"), "--json")
    assert best in platform.command("models", "register", *options).stdout


def test_a_model_without_outputs_of_its_run_is_found_by_name(platform: Platform, logging: Logging) -> None:
    run, _ = logging.run()
    only = logging.model(run, "alone", 1, step=None)
    assert registered(platform, logging, run_id=run, artifact_path="alone").origin.artifact_path == only
    found = registered_by_rest(platform, logging, f"runs:/{run}/alone", run_id=run)
    assert found.origin.artifact_path == only


@pytest.mark.parametrize("source", ["runs:/{run}/none", "runs:/{run}/../x", "s3://bucket/x", "runs:/", "models:/", ""])
def test_other_sources_are_refused_in_words(platform: Platform, logging: Logging, folders: str, source: str) -> None:
    with pytest.raises(RegistryError) as caught:
        registered(platform, logging, source=source.format(run=folders))
    assert caught.value.request_id


def test_files_logged_under_a_models_folder_are_shown_and_saved_with_the_model(
    platform: Platform, logging: Logging, tmp_path: Path
) -> None:
    run, root = logging.run()
    model = logging.model(run, "model", 1, step=0)
    logging.put(root, "model/plots/roc.txt", b"roc")
    logging.put(root, "model/data.bin", b"the run's")
    project = logging.project.id

    folder = platform.ask(lambda client: client.artifacts(project, run, "model"))
    assert [entry.path for entry in folder.entries] == [
        "model/code",
        "model/plots",
        "model/MLmodel",
        "model/data.bin",
    ]
    assert (folder.is_model, folder.logged_model_id, folder.hidden) == (True, model, ["model/data.bin"])
    totals = platform.ask(lambda client: client.artifact_totals(project, run, "model"))
    assert (totals.files, totals.model_files, totals.outside_model) == (4, 3, ["data.bin", "plots/roc.txt"])
    assert totals.bytes == totals.model_bytes + len(b"roc")

    saved = platform.command("runs", "artifacts", "get", run, "model", str(tmp_path / "m"), "--project", project)
    assert "The run's own model/data.bin is left out" in saved.stderr
    files = {path.relative_to(tmp_path / "m").as_posix(): path.read_bytes() for path in (tmp_path / "m").rglob("*.*")}
    assert files == {"code/mine.py": b"pass", "data.bin": b"model", "plots/roc.txt": b"roc"}
    assert (tmp_path / "m" / "MLmodel").read_bytes() == MLMODEL % 1
    version = registered(platform, logging, run_id=run, artifact_path="model")
    assert (version.archive_files, content(platform, version)) == (3, MLMODEL % 1)


def test_a_runs_own_model_hides_no_logged_model_in_the_lists(platform: Platform, logging: Logging) -> None:
    run, root = logging.run()
    logging.model(run, "both", 1, step=0)
    logging.put(root, "both/MLmodel", MLMODEL % 2)
    totals = platform.ask(lambda client: client.artifact_totals(logging.project.id, run, "both"))
    assert totals.outside_model == ["MLmodel", "code/mine.py", "data.bin"] and totals.model_files == 1
    assert content(platform, registered(platform, logging, run_id=run, artifact_path="both")) == MLMODEL % 2
