"""A whole platform with its rows in PostgreSQL: begun there, and moved there from SQLite."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from registry_tui.platform.database_urls import Databases, databases_of
from registry_tui.platform.paths import Home
from support import secret_search, served
from support.platforms import Platform, run_python, temporary_folder, unique, wait_for
from support.postgres import PostgresServer
from support.rows import ask, tables

pytestmark = pytest.mark.long

REGISTER = """
import sys, mlflow
mlflow.set_experiment("sums")
class Sum(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [float(row) for row in model_input.sum(axis=1)]
with mlflow.start_run() as run:
    mlflow.log_metric("loss", 0.25)
    info = mlflow.pyfunc.log_model(name="model", python_model=Sum(), registered_model_name=sys.argv[1])
version = mlflow.MlflowClient().get_model_version(sys.argv[1], info.registered_model_version)
print("RESULT", version.version, version.status, run.info.run_id)
"""
#: While it was down, another platform may have taken its ports.
UP_AGAIN = ("up", "--new-ports")
LOAD = """
import sys, mlflow, pandas
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[1]}/{sys.argv[2]}")
print("RESULT", model.predict(pandas.DataFrame({"a": [1.5], "b": [2.0]}))[0])
"""


@pytest.fixture
def stopped() -> Iterator[Platform]:
    """A platform that never started, in a new home."""
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        try:
            yield platform
            secret_search.require_none_out_of_place(platform)
        finally:
            platform.down()


def result(output: str) -> list[str]:
    return next(line for line in output.splitlines() if line.startswith("RESULT")).split()[1:]


def printed(platform: Platform, *arguments: str) -> Any:
    """The output of a command with --json."""
    return json.loads(platform.command(*arguments, "--json").stdout)


def healthy(platform: Platform) -> bool:
    return all(part["state"] == "healthy" for part in printed(platform, "status")["parts"])


def test_a_moved_platform_has_everything_and_goes_on(stopped: Platform, postgres: PostgresServer) -> None:
    platform, url = stopped, postgres.new_database()
    platform.command("up")
    project, other = platform.new_project(), platform.new_project()
    name = unique("Sum")
    _, _, run_id = result(run_python(REGISTER, platform.exports(project.id), name))
    model = served.register(platform, project, add=10)
    deployment = deploy(platform, model)
    refused = platform.command("database", "move", url, "--yes", check=False)
    assert refused.returncode != 0 and "registry-tui down" in refused.stderr
    platform.command("down")

    kill_in_the_middle(platform, url)
    assert databases_of(platform.home) == Databases.in_home(platform.home)
    platform.command(*UP_AGAIN)
    assert answer(platform, deployment) == [13.0]
    assert printed(platform, "models", "versions", name)[0]["version"] == 1
    platform.command("down")

    before = contents(Databases.in_home(platform.home))
    moved = platform.command("database", "move", url, "--yes", "--json").stdout.splitlines()
    assert [json.loads(line)["part"] for line in moved] == ["service", "workflows", "mlflow", "mlflow_auth"]
    after = contents(databases_of(platform.home))
    assert databases_of(platform.home) == Databases.on_postgresql(url)
    assert {each: after[each] for each in before} == before
    assert before["mlflow", "runs"] >= 2 and before["workflows", "workflow_status"] >= 2

    platform.command(*UP_AGAIN)
    assert healthy(platform)
    wait_for(lambda: answer(platform, deployment) == [13.0], what="the deployment to answer after the move")
    assert result(run_python(LOAD, platform.exports(other.id), name, "1")) == ["3.5"]
    register = ("models", "register", "-p", project.id, "--run", run_id, "--path", "model", "--name", name)
    assert printed(platform, *register)["version"] == 2
    assert result(run_python(REGISTER, platform.exports(other.id), name))[:2] == ["3", "READY"]
    environment = platform.ask(lambda client: client.project(project.id)).environment_name
    before_rotation = signers(platform, name)
    assert len(set(before_rotation)) == 1, "version 1 was signed before the move"
    new = printed(platform, "signing", "keys", "rotate", environment, "--yes")["name"]
    platform.command("models", "sign", name, "3")
    assert signers(platform, name) == [*before_rotation[:2], new]
    old, now = (events(databases) for databases in (Databases.in_home(platform.home), databases_of(platform.home)))
    assert now[: len(old)] == old and len(now) > len(old), "new events got IDs behind those that were moved"
    platform.command("deployments", "delete", deployment, "--yes", "--force")
    backed_up_and_restored(platform, name, postgres)


def backed_up_and_restored(platform: Platform, name: str, postgres: PostgresServer) -> None:
    """Backs a running platform up, and restores it into SQLite, and into another database, where it starts."""
    folder = platform.home.root.parent
    (folder / "passphrase").write_text("correct horse battery\n")
    given = (str(folder / "backups"), "--passphrase-file", str(folder / "passphrase"))
    platform.command("backup", *given)
    before = contents(databases_of(platform.home))
    in_files, there = Platform(Home(folder / "f")), Platform(Home(folder / "r"))
    in_files.command("restore", *given)
    assert databases_of(in_files.home) == Databases.in_home(in_files.home)
    there.command("restore", *given, "--database", postgres.new_database())
    for each in (in_files, there):
        found = contents(databases_of(each.home))
        for part, table in (
            ("service", "events"),
            ("service", "deployments"),
            ("mlflow", "runs"),
            ("mlflow_auth", "users"),
        ):
            assert found[part, table] == before[part, table], (each.home.root, table)
    try:
        there.command("up")
        versions = printed(there, "models", "versions", name)
        assert {each["version"] for each in versions} == {1, 2, 3}
        there.command("models", "verify", name, "3")
        signed = signers(platform, name)
        assert signers(there, name) == signed
        # The private half came with the secrets.
        there.command("models", "sign", name, "1")
        assert signers(there, name) == [signed[2], *signed[1:]]
    finally:
        there.down()


def signers(platform: Platform, name: str) -> list[str]:
    """The keys whose signatures of versions 1 to 3 count; the command fails where none does."""
    found = (printed(platform, "models", "signature", name, str(number)) for number in (1, 2, 3))
    return [each["signatures"][0]["key_name"] for each in found]


def events(databases: Databases) -> list[tuple[int, str]]:
    """All events in the order of their IDs."""
    return [tuple(row) for row in ask(databases.service, "SELECT id, request_id FROM events ORDER BY id")]


def deploy(platform: Platform, model: served.Served) -> str:
    """Deploys a version by the command; returns the deployment's name."""
    name = unique("d")
    version = ("-m", model.version.model_id, "--version", str(model.version.version))
    made = printed(platform, "deployments", "create", name, "-p", model.project.id, *version, "--no-authentication")
    served.DEPLOYED.append((platform, made["id"]))
    assert made["state"] == "deployed"
    return name


def answer(platform: Platform, deployment: str) -> Any:
    """A deployment's predictions for a = 1 and b = 2."""
    body = json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0]]}})
    told = platform.command("deployments", "test", deployment, "--body", body)
    return json.loads(told.stdout)["predictions"]


def kill_in_the_middle(platform: Platform, url: str) -> None:
    """Begins to move a platform, and kills the command after MLflow's rows, but before its users.

    Its output is not read, and the pipe holds less than that: it blocks after MLflow's tables.
    """
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    command = [sys.executable, "-m", "registry_tui", "database", "move", url, "--yes", "--json"]
    moving = subprocess.Popen(command, env=platform.environment(), stdout=write, stderr=subprocess.DEVNULL)
    os.close(write)
    there = Databases.on_postgresql(url)
    try:
        wait_for(lambda: ask(there.mlflow, "SELECT run_uuid FROM runs"), what="MLflow's rows to be there")
        assert moving.poll() is None
    finally:
        moving.kill()
        moving.wait()
        os.close(read)
    assert not tables(there.mlflow_auth)


def contents(databases: Databases) -> dict[tuple[str, str], int]:
    """The number of rows of each table of each part."""
    return {
        (part, table): ask(url, f'SELECT count(*) FROM "{table}"')[0][0]
        for part, url in asdict(databases).items()
        for table in tables(url)
    }
