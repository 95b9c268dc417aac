"""Paths that climb out of their place are refused by every reading API, and files planted by others are left alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, WrongInput
from registry_tui.client.saving import artifact_files, partial_folder, save_all
from registry_tui.schemas.models import ModelVersion, RegisterModel, VersionStatus
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Project
from support.platforms import Platform, unique
from support.registered import ML_MODEL, LoggedRun, log_model, mlflow_client, object_names

#: Paths below a folder that lead out of it, as they are meant.
CLIMBING = (
    "..",
    "../x",
    "../../../other/artifacts/MLmodel",
    "model/../../x",
    "model/./../../x",
    "/etc/passwd",
    "//etc/passwd",
    "..\\x",
    "model\\..\\..\\x",
    "%2e%2e/x",
    "..%2fx",
    "%252e%252e/x",
    "model/x\0",
    "model/x\n",
)
THEIRS = "somebody's"


@dataclass(frozen=True)
class Made:
    """A project with a run, its model and a version of that."""

    project: Project
    run: LoggedRun
    version: ModelVersion


@pytest.fixture(scope="module")
def made(platform: Platform) -> Iterator[Made]:
    project = platform.new_project()
    run = log_model(platform, project)

    async def register(client: RegistryClient) -> ModelVersion:
        request = RegisterModel(name=unique("outside"), run_id=run.run_id, artifact_path="model")
        accepted = await client.register_model(project.id, request)
        ended = await client.wait_for_workflow(accepted.workflow.id)
        assert ended.status is WorkflowStatus.SUCCEEDED, ended.error
        return await client.version(project.registry_id or "", request.name, accepted.resource.version)

    yield Made(project, run, platform.ask(register))


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Path, Path]:
    """A folder that everybody may write, and a private one whose file must stay as it is."""
    shared, private = tmp_path / "shared", tmp_path / "private"
    shared.mkdir()
    private.mkdir()
    shared.chmod(0o777)
    (private / "MLmodel").write_text(THEIRS)
    return shared, private


@pytest.mark.parametrize("path", CLIMBING)
async def test_no_door_of_the_service_follows_a_path_that_climbs(client: RegistryClient, made: Made, path: str) -> None:
    project, run, version = made.project.id, made.run.run_id, made.version
    asked = (
        lambda: client.artifacts(project, run, path),
        lambda: client.artifact_totals(project, run, path),
        lambda: client.read_artifact(project, run, path),
        lambda: client.read_archive(version.registry_id, version.model_id, version.version, path),
        lambda: client.register_model(project, RegisterModel(name=unique("climbs"), run_id=run, artifact_path=path)),
    )
    for ask in asked:
        with pytest.raises((WrongInput, NotFound, ValueError)):
            await ask()


def refused(answer: httpx.Response) -> None:
    """An answer that gives nothing of any file."""
    assert 400 <= answer.status_code < 500, (answer.request.url, answer.status_code, answer.text[:300])
    assert ML_MODEL.decode() not in answer.text and "root:" not in answer.text


@pytest.mark.parametrize("path", CLIMBING)
async def test_no_door_of_mlflows_server_follows_a_path_that_climbs(
    platform: Platform, client: RegistryClient, made: Made, path: str
) -> None:
    bucket = (await client.environment("local")).bucket
    root = f"workspaces/{made.project.mlflow_workspace}/"
    before = object_names(platform, bucket, root)
    with mlflow_client(await client.credentials(made.project.id)) as http:
        body = {"experiment_id": made.run.experiment_id, "name": unique("logged"), "source_run_id": made.run.run_id}
        logged = http.post("/api/2.0/mlflow/logged-models", json=body).raise_for_status().json()
        model = logged["model"]["info"]["model_id"]
        run, version = made.run.run_id, {"name": made.version.model_name, "version": str(made.version.version)}
        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", "/get-artifact", {"params": {"run_id": run, "path": path}}),
            ("GET", "/model-versions/get-artifact", {"params": {**version, "path": path}}),
            ("GET", "/api/2.0/mlflow/artifacts/list", {"params": {"run_id": run, "path": path}}),
            # Behind a folder, a slash at the begin is one too many and changes nothing.
            ("GET", "/api/2.0/mlflow-artifacts/artifacts", {"params": {"path": f"{made.run.key}/../{path}"}}),
            (
                "GET",
                f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files",
                {"params": {"artifact_file_path": path}},
            ),
            (
                "GET",
                f"/api/2.0/mlflow/logged-models/{model}/artifacts/directories",
                {"params": {"artifact_directory_path": path}},
            ),
            (
                "POST",
                "/ajax-api/2.0/mlflow/upload-artifact",
                {"params": {"run_uuid": run, "path": path}, "content": "x"},
            ),
            ("POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", {"json": {"run_id": run, "path": path}}),
            ("POST", "/api/2.0/mlflow/artifacts/presigned-download-url", {"json": {"run_id": run, "path": path}}),
        ]
        sent = {"path": path, "upload_id": "x", "num_parts": 1, "parts": [{"part_number": 1, "etag": "x"}]}
        asked.append(("POST", f"/api/2.0/mlflow-artifacts/mpu/complete/{made.run.key}", {"json": sent}))
        for method, address, options in asked:
            refused(http.request(method, address, **options))
        # Clients name the file as it is on their machine: nothing but its own name counts.
        begun = http.post(f"/api/2.0/mlflow-artifacts/mpu/create/{made.run.key}", json=sent)
        if begun.status_code == 200:
            (part,) = begun.json()["credentials"]
            key = unquote(urlsplit(part["url"]).path).removeprefix(f"/{bucket}/")
            assert key == f"{made.run.key}/{path.rpartition('/')[2]}"
            sent["upload_id"] = begun.json()["upload_id"]
            http.post(f"/api/2.0/mlflow-artifacts/mpu/abort/{made.run.key}", json=sent).raise_for_status()
        else:
            refused(begun)
    assert object_names(platform, bucket, root) == before


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def command_fails(platform: Platform, *arguments: str) -> str:
    done = platform.command(*arguments, check=False)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def test_downloads_of_a_model_use_no_folder_that_others_planted(
    platform: Platform, made: Made, planted: tuple[Path, Path]
) -> None:
    (shared, private), version = planted, made.version
    download = ("models", "download", version.model_name, str(version.version), "--registry", version.registry_id)
    partial_folder(shared / "wine").symlink_to(private)
    said = command_fails(platform, *download, str(shared / "wine"))
    assert "is a link" in said and "Name another folder" in said
    assert (private / "MLmodel").read_text() == THEIRS and names_in(private) == ["MLmodel"]
    assert not (shared / "wine").exists()

    partial_folder(shared / "other").mkdir()
    for name in ("MLmodel", "other"):
        (partial_folder(shared / "other") / name).symlink_to(private / "MLmodel")
    platform.command(*download, str(shared / "other"))
    assert (shared / "other/MLmodel").read_bytes() == ML_MODEL and not (shared / "other/MLmodel").is_symlink()
    assert (private / "MLmodel").read_text() == THEIRS and not (shared / "other/other").exists()


def test_downloads_of_artifacts_follow_no_link_that_others_planted(
    platform: Platform, made: Made, planted: tuple[Path, Path]
) -> None:
    shared, private = planted
    get = ("runs", "artifacts", "get", made.run.run_id)
    project = ("--project", made.project.id)
    (shared / "run").mkdir()
    (shared / "run/model").symlink_to(private)
    assert "is a link" in command_fails(platform, *get, ".", str(shared / "run"), *project)
    (shared / "MLmodel").symlink_to(private / "MLmodel")
    assert "already exists" in command_fails(platform, *get, "model/MLmodel", str(shared), *project)
    assert (shared / "MLmodel").is_symlink()
    platform.command(*get, "model/MLmodel", str(shared), "--overwrite", *project)
    assert (shared / "MLmodel").read_bytes() == ML_MODEL and not (shared / "MLmodel").is_symlink()
    assert (private / "MLmodel").read_text() == THEIRS and names_in(private) == ["MLmodel"]


async def test_a_logged_model_without_files_keeps_nothing_else_from_being_saved(
    platform: Platform, client: RegistryClient, made: Made, tmp_path: Path
) -> None:
    run = log_model(platform, made.project, files=1)
    with mlflow_client(await client.credentials(made.project.id)) as http:
        body = {"experiment_id": run.experiment_id, "name": unique("logged"), "source_run_id": run.run_id}
        http.post("/api/2.0/mlflow/logged-models", json=body).raise_for_status()
    platform.command("runs", "artifacts", "get", run.run_id, ".", str(tmp_path / "a"), "--project", made.project.id)
    await save_all(artifact_files(client, made.project.id, run.run_id, ""), tmp_path / "b", lambda *_: None)
    for place in ("a", "b"):
        assert names_in(tmp_path / place) == ["model"] and names_in(tmp_path / place / "model") == [
            "MLmodel",
            "part-0.bin",
        ]


@pytest.mark.parametrize(
    "lines",
    [
        b"flavors: {python_function: {loader_module: m, model_path: ../../other/part-0.bin}}",
        b"flavors: {python_function: {loader_module: m, code: /etc}}",
        b"flavors: {python_function: {loader_module: m}}\nsaved_input_example_info: {artifact_path: ../x}",
        b"flavors: {python_function: {loader_module: m}}\nsaved_input_example_info: {serving_input_path: /etc/x}",
    ],
)
async def test_a_model_that_names_files_outside_is_not_stored(
    platform: Platform, client: RegistryClient, made: Made, lines: bytes
) -> None:
    run = log_model(platform, made.project, contents={"MLmodel": lines, "part-0.bin": b"x"})
    request = RegisterModel(name=unique("outside"), run_id=run.run_id, artifact_path="model")
    accepted = await client.register_model(made.project.id, request)
    ended = await client.wait_for_workflow(accepted.workflow.id)
    version = await client.version(made.project.registry_id or "", request.name, accepted.resource.version)
    assert (ended.status, version.status) == (WorkflowStatus.FAILED, VersionStatus.FAILED_REGISTRATION)
    assert "leads out of the model's folder" in version.status_message
