"""READY means loadable: a broken `MLmodel` ends as FAILED with a sentence at every door, an R model is not deployed."""

from __future__ import annotations

import asyncio

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import ServiceProblem
from registry_tui.schemas.deployments import DeploymentCreate
from registry_tui.schemas.models import ModelVersion, RegisterModel, VersionStatus
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Project
from support.platforms import Platform, unique, wait_for
from support.registered import LoggedRun, log_model, mlflow_client

BROKEN = {
    "empty": (b"", "is empty"),
    "list": (b"- a\n", "holds a list"),
    "scalar": (b"7\n", "holds a single value"),
    "latin": (b"flavors: {caf\xe9: {}}\n", "is not text in UTF-8"),
    "no-flavors": (b"run_id: x\n", "names no flavors"),
    "deep": (b"flavors: " + b"{a: " * 5000 + b"}" * 5000, "levels deep"),
    "missing-file": (
        b"flavors: {python_function: {loader_module: mlflow.sklearn, model_path: model.pkl}}\n",
        "not among the model's files",
    ),
}
R_MODEL = b"flavors: {crate: {version: 0.4.0, model: crate.bin}}\nmlflow_version: 2.14.0\n"


@pytest.fixture(scope="module")
def project(platform: Platform) -> Project:
    return platform.new_project()


@pytest.fixture(scope="module")
def run(platform: Platform, project: Project) -> LoggedRun:
    """A run with one model folder for each broken file, and one with an R model."""
    broken = {f"{name}/MLmodel": content for name, (content, _) in BROKEN.items()}
    return log_model(platform, project, contents={**broken, "r/MLmodel": R_MODEL, "r/crate.bin": b"crate"})


@pytest.mark.parametrize(("folder", "problem"), [(name, problem) for name, (_, problem) in BROKEN.items()], ids=BROKEN)
async def test_a_broken_model_file_ends_as_failed_in_words(
    client: RegistryClient, project: Project, run: LoggedRun, folder: str, problem: str
) -> None:
    name = unique(folder)
    accepted = await client.register_model(
        project.id, RegisterModel(name=name, run_id=run.run_id, artifact_path=f"model/{folder}")
    )
    ended = await client.wait_for_workflow(accepted.workflow.id)
    assert ended.status is WorkflowStatus.FAILED and problem in (ended.error or "")
    assert "Log the model again" in (ended.action or "")
    found = await client.version(project.registry_id or "", name, 1)
    assert_failed(found, problem)
    with pytest.raises(ServiceProblem, match="cannot be deployed"):
        await deploy(client, project, found)


def test_mlflows_own_api_and_the_command_line_come_to_the_same(
    platform: Platform, project: Project, run: LoggedRun
) -> None:
    name, registry = unique("rest"), project.registry_id or ""
    with mlflow_client(platform.ask(lambda client: client.credentials(project.id))) as http:
        http.post("/api/2.0/mlflow/registered-models/create", json={"name": name}).raise_for_status()
        body = {"name": name, "source": f"runs:/{run.run_id}/model/list", "run_id": run.run_id}
        http.post("/api/2.0/mlflow/model-versions/create", json=body).raise_for_status()

        def ended() -> ModelVersion | None:
            found = platform.ask(lambda client: client.version(registry, name, 1))
            return None if found.status is VersionStatus.PENDING_REGISTRATION else found

        assert_failed(wait_for(ended), "holds a list")
        answer = http.get("/api/2.0/mlflow/model-versions/get", params={"name": name, "version": "1"}).json()
    assert answer["model_version"]["status"] == "FAILED_REGISTRATION"
    assert "holds a list" in answer["model_version"]["status_message"]

    options = ("--project", project.id, "--run", run.run_id, "--path", "model/empty", "--name", unique("cli"))
    failed = platform.command("models", "register", *options, check=False)
    assert failed.returncode != 0 and "is empty" in failed.stderr and "Log the model again" in failed.stderr


async def test_an_r_model_is_ready_and_says_at_every_door_why_it_is_not_deployed(
    platform: Platform, client: RegistryClient, project: Project, run: LoggedRun
) -> None:
    name, registry = unique("crate"), project.registry_id or ""
    request = RegisterModel(name=name, run_id=run.run_id, artifact_path="model/r")
    accepted = await client.register_model(project.id, request)
    assert (await client.wait_for_workflow(accepted.workflow.id)).status is WorkflowStatus.SUCCEEDED
    found = await client.version(registry, name, 1)
    assert found.status is VersionStatus.READY and not found.servable
    why = "no python_function flavor (only crate)"
    assert why in (found.not_servable_reason or "")
    assert why in ((await client.suggest_deployment(registry, name, 1)).not_servable_reason or "")
    with pytest.raises(ServiceProblem, match="no python_function flavor"):
        await deploy(client, project, found)

    shown = await asyncio.to_thread(platform.command, "models", "version", name, "1", "--registry", registry)
    assert "not servable" in shown.stdout and why in shown.stdout
    options = ("--project", project.id, "--model", name, "--version", "1")
    refused = await asyncio.to_thread(platform.command, "deployments", "create", unique("d"), *options, check=False)
    assert refused.returncode != 0 and why in refused.stderr


def assert_failed(found: ModelVersion | None, problem: str) -> None:
    assert found is not None and found.status is VersionStatus.FAILED_REGISTRATION
    assert problem in found.status_message and "Log the model again" in found.status_message
    assert found.archive_uri is None


async def deploy(client: RegistryClient, project: Project, version: ModelVersion) -> None:
    request = DeploymentCreate(name=unique("d"), project=project.id, model=version.model_id, version=version.version)
    await client.create_deployment(request)
