"""Names, prompts and leftovers as the service and the command line see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry_tui.client import RegistryClient
from registry_tui.client.errors import NotFound, RegistryError
from registry_tui.schemas.deployments import DeploymentCreate
from registry_tui.schemas.models import RegisterModel, VersionStatus
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Project
from support.platforms import Platform, run_python, unique

#: A run with a model at the root of its artifacts, a prompt, and the leftover of a refused registration.
MAKE = """
import sys, tempfile, mlflow
from sklearn.linear_model import LinearRegression
mlflow.set_experiment("roots")
with mlflow.start_run() as run:
    with tempfile.TemporaryDirectory() as folder:
        model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
        # Naming the requirements spares MLflow looking for them in another process.
        mlflow.sklearn.save_model(model, f"{folder}/model", pip_requirements=["scikit-learn"])
        mlflow.log_artifacts(f"{folder}/model")
    mlflow.log_text("not a model", "notes/readme.txt")
mlflow.genai.register_prompt(sys.argv[1], "Hello {{name}}")
try:
    mlflow.register_model(f"runs:/{run.info.run_id}/notes", sys.argv[2])
except mlflow.exceptions.MlflowException as error:
    print("REFUSED", error.message)
print("RUN", run.info.run_id)
"""


@pytest.fixture(scope="module")
def names() -> tuple[str, str]:
    return unique("prompt"), unique("refused")


@pytest.fixture(scope="module")
def made(platform: Platform, names: tuple[str, str]) -> tuple[Project, str]:
    """A project, and its run."""
    project = platform.new_project()
    output = run_python(MAKE, platform.exports(project.id), *names)
    assert "REFUSED" in output
    return project, output.split("RUN ", 1)[1].split()[0]


async def test_a_prompt_is_not_a_model(
    client: RegistryClient, made: tuple[Project, str], names: tuple[str, str]
) -> None:
    (project, run), (prompt, _) = made, names
    registry = project.registry_id or ""
    assert prompt not in {each.name async for each in client.every(client.models, registry)}
    with pytest.raises(NotFound, match="has no model"):
        await client.model(registry, prompt)
    with pytest.raises(RegistryError, match="has no model"):
        await client.create_deployment(DeploymentCreate(name=unique("d"), project=project.id, model=prompt, version=1))
    with pytest.raises(RegistryError, match="already taken by a prompt"):
        await client.register_model(project.id, RegisterModel(name=prompt, run_id=run, artifact_path=""))


async def test_what_a_refused_registration_left_behind_is_as_if_it_were_not_there(
    client: RegistryClient, made: tuple[Project, str], names: tuple[str, str]
) -> None:
    (project, run), (_, refused) = made, names
    registry = project.registry_id or ""
    assert refused not in {each.name async for each in client.every(client.models, registry)}
    with pytest.raises(NotFound, match="has no model"):
        await client.model(registry, refused)
    request = RegisterModel(name=refused, run_id=run, artifact_path="", description="new")
    accepted = await client.register_model(project.id, request)
    assert (accepted.resource.version, (await client.model(registry, refused)).description) == (1, "new")


def test_the_root_of_a_runs_artifacts_is_named_by_nothing_or_a_dot(
    platform: Platform, made: tuple[Project, str], tmp_path: Path
) -> None:
    project, run = made
    for number, path in enumerate(("", "."), start=1):
        options = ("--run", run, "--path", path, "--name", f"Root of {run}", "--json")
        version = json.loads(platform.command("models", "register", "--project", project.id, *options).stdout)
        assert (version["version"], version["status"]) == (number, VersionStatus.READY)
        listed = platform.command("runs", "artifacts", "list", run, path, "--project", project.id).stdout
        assert "MLmodel" in listed and "notes" in listed
        target = tmp_path / str(number)
        platform.command("runs", "artifacts", "get", run, path, str(target), "--project", project.id)
        assert {"MLmodel", "notes"} <= {each.name for each in target.iterdir()}


async def test_aliases_have_mlflows_rule_and_a_missing_number_says_where_versions_begin(
    platform: Platform, client: RegistryClient, made: tuple[Project, str]
) -> None:
    (project, run), name = made, unique("Numbered")
    registry = project.registry_id or ""
    request = RegisterModel(name=name, run_id=run, artifact_path=".")
    for _ in range(2):
        accepted = await client.register_model(project.id, request)
        assert (await client.wait_for_workflow(accepted.workflow.id)).status is WorkflowStatus.SUCCEEDED
        await client.delete_model(registry, name, keep_archives=True)
    accepted = await client.register_model(project.id, request)
    assert accepted.resource.version == 3
    with pytest.raises(NotFound, match="has no version 1; its versions begin at 3"):
        await client.version(registry, name, 1)
    assert (await client.set_alias(registry, name, "é_2-x", 3)).aliases == {"é_2-x": 3}
    for alias in ("latest", "LATEST", "v3", "a b", "a.b", "a@b"):
        with pytest.raises(RegistryError, match="alias"):
            await client.set_alias(registry, name, alias, 3)
