"""The command line on a real platform: each noun once through its life."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest

from registry_tui.platform.children import without_proxy
from registry_tui.schemas.places import Project
from support.platforms import PATIENCE, Platform, unique, wait_for

TRAIN = """
import sys, mlflow, numpy
from sklearn.linear_model import LinearRegression
mlflow.set_experiment("lines")
for slope in (1.0, 2.0, 3.0):
    with mlflow.start_run(run_name=f"slope-{slope}") as run:
        x = numpy.arange(4.0).reshape(4, 1)
        model = LinearRegression().fit(x, slope * x[:, 0])
        mlflow.log_param("slope", slope)
        for step in range(3):
            mlflow.log_metric("error", slope / (step + 1), step=step)
        mlflow.log_text("first line\\n" + "x" * 2000, "notes/readme.txt")
        mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
print(run.info.run_id)
"""


def ask(platform: Platform, *arguments: str) -> Any:
    """A command's JSON."""
    return json.loads(platform.command(*arguments, "--json").stdout)


@pytest.fixture
def run_id(sdk: Callable[..., str]) -> str:
    return sdk(TRAIN).split()[-1]


def test_places_and_their_registry_come_and_go(platform: Platform) -> None:
    environment, workspace, project = unique("e"), unique("w"), unique("p")
    ask(platform, "environments", "create", environment, "--cloud", "azure", "--no-raz")
    refused = platform.command("registries", "create", environment, "--existing-nfs", "nowhere", check=False)
    assert refused.returncode == 1
    assert "nfs" in refused.stderr.lower()
    registry = ask(
        platform, "registries", "create", environment, "--existing-nfs", "10.0.0.4:/m", "--nfs-protocol-version", "4.1"
    )
    assert (registry["status"], registry["cloud"]) == ("installation:finished", "azure")
    ask(platform, "workspaces", "create", workspace, "--environment", environment)
    made = ask(platform, "projects", "create", project, "-w", workspace, "--description", "tried out")
    assert made["registry_id"] is None
    synchronized = ask(platform, "registries", "synchronize", registry["name"])
    assert [each["state"] for each in synchronized["workspaces"]] == ["completed"]
    assert ask(platform, "projects", "show", project)["registry_id"] == registry["id"]

    platform.command("projects", "collaborators", "set", project, "ada", "viewer")
    people = {each["user"]: each["role"] for each in ask(platform, "projects", "collaborators", "list", project)}
    assert people["ada"] == "viewer"
    assert platform.command("--user", "ada", "projects", "show", project).stdout.startswith("name ")
    denied = platform.command("--user", "ada", "projects", "delete", project, "--yes", check=False)
    assert denied.returncode == 1
    assert "request ID:" in denied.stderr

    granted = ask(platform, "registries", "revoke-storage", registry["name"])["storage_access"]
    assert granted == registry["storage_access"] == "not granted"
    shown = platform.command("registries", "show", registry["name"]).stdout
    assert re.search(
        rf"not granted \(tried .*\): `registry-tui registries grant-storage {registry['name']}` grants it", shown
    )
    assert ask(platform, "registries", "grant-storage", registry["name"])["storage_access"] == "granted"
    listed = platform.command("registries", "list", "-e", environment).stdout.splitlines()
    assert listed[0].startswith("NAME ")
    assert registry["name"] in listed[1]

    actions = {each["action"] for each in ask(platform, "events", "list", "--registry", registry["name"], "--all")}
    assert {"registry.create", "registry.synchronize"} <= actions
    work = ask(platform, "workflows", "list", "--kind", "provision")
    mine = next(each for each in work if each["resource_id"] == registry["id"])
    assert ask(platform, "workflows", "show", mine["id"])["status"] == "succeeded"
    assert ask(platform, "workflows", "logs", mine["id"])
    assert ask(platform, "workflows", "wait", mine["id"])["id"] == mine["id"]

    assert platform.command("registries", "delete", registry["name"], check=False).returncode == 2
    gone = platform.command("registries", "delete", registry["name"], "--delete-archives", "--yes")
    assert gone.stdout == ""
    platform.command("projects", "delete", project, "--yes", "--force")
    platform.command("workspaces", "delete", workspace, "--yes")
    platform.command("environments", "delete", environment, "--yes")
    assert environment not in platform.command("environments", "list").stdout


def test_runs_and_artifacts(platform: Platform, project: Project, run_id: str, tmp_path: Path) -> None:
    where = ("--project", project.name)
    runs = ask(platform, "runs", "list", *where, "--experiment", "lines", "--order-by", "metrics.error ASC")
    assert [each["params"]["slope"] for each in runs] == ["1.0", "2.0", "3.0"]
    one = platform.command("runs", "list", *where, "--filter", "params.slope = '2.0'", "--param", "slope").stdout
    titles, row = one.splitlines()
    assert {"ID", "STATUS", "slope", "error"} <= set(titles.split())
    assert "slope-2.0" in row
    assert len(ask(platform, "runs", "list", *where, "--limit", "2")) == 2
    assert platform.command("runs", "list", *where, "--filter", "nonsense ><", check=False).returncode == 1

    assert ask(platform, "runs", "show", run_id, *where)["metrics"] == {"error": 1.0}
    assert [point["value"] for point in ask(platform, "runs", "metrics", run_id, "error", *where)] == [3.0, 1.5, 1.0]
    paths = {each["path"] for each in ask(platform, "runs", "artifacts", "list", run_id, *where, "-R")}
    assert {"notes/readme.txt", "model/MLmodel"} <= paths
    part = platform.command(
        "runs", "artifacts", "cat", run_id, "notes/readme.txt", *where, "--start", "6", "--length", "4"
    )
    assert part.stdout == "line"
    whole = platform.command("runs", "artifacts", "cat", run_id, "notes/readme.txt", *where)
    assert len(whole.stdout) == 2011
    platform.command("runs", "artifacts", "get", run_id, "model", *where, str(tmp_path / "model"))
    assert (tmp_path / "model" / "MLmodel").is_file()
    platform.command("runs", "artifacts", "get", run_id, "notes/readme.txt", *where, str(tmp_path))
    assert (tmp_path / "readme.txt").stat().st_size == 2011
    assert (
        platform.command("runs", "artifacts", "get", run_id, "none", *where, str(tmp_path), check=False).returncode == 1
    )


def test_models_from_registering_to_deleting(platform: Platform, project: Project, run_id: str, tmp_path: Path) -> None:
    name = unique("Line")
    register = ("models", "register", "--project", project.name, "--run", run_id, "--path", "model", "--name", name)
    first = platform.command(*register, "--description", "A line", "--notes", "first", "--tag", "team=lines", "--json")
    made = json.loads(first.stdout)
    assert (made["version"], made["status"], made["tags"]) == (1, "READY", {"team": "lines"})
    assert "version 1" in first.stderr
    assert platform.command(*register).stdout.splitlines()[1].split() == ["version", "2"]
    assert [each["version"] for each in ask(platform, "models", "versions", name)] == [2, 1]
    platform.command("models", "alias", "set", name, "champion", "2")
    assert ask(platform, "models", "show", name)["aliases"] == {"champion": 2}
    shown = platform.command("models", "alias", "delete", name, "champion", "--dry-run")
    assert shown.stdout == "Nothing depends on it.\n" and shown.stderr.endswith("Nothing was changed\n")
    refused = platform.command("models", "alias", "delete", name, "champion", check=False)
    assert refused.returncode == 2 and "--yes" in refused.stderr
    assert ask(platform, "models", "show", name)["aliases"] == {"champion": 2}
    shown = platform.command("models", "delete", name, "2", "--dry-run", "--yes")
    assert shown.stdout == "alias champion\n"
    platform.command("models", "alias", "delete", name, "champion", "--yes")
    assert ask(platform, "models", "update", name, "--visibility", "public", "--tag", "a=b")["visibility"] == "public"
    assert ask(platform, "models", "update-version", name, "1", "--notes", "new", "--untag", "team")["notes"] == "new"
    assert name in platform.command("models", "list", "--search", name).stdout

    assert ask(platform, "models", "verify", name, "1")["missing"] == []
    target = tmp_path / "archive"
    platform.command("models", "download", name, "1", str(target))
    sums = platform.command("models", "manifest", name, "1").stdout
    subprocess.run(["sha256sum", "--check", "--quiet"], input=sums, cwd=target, text=True, check=True)
    assert platform.command("models", "download", name, "1", str(target), check=False).returncode == 1
    again = platform.command("models", "download", name, "2", "--to", str(tmp_path / "second"))
    assert (again.stdout.strip(), "of" in again.stderr) == (str(tmp_path / "second"), True)
    twice = platform.command("models", "download", name, "2", str(target), "--to", str(target), check=False)
    assert twice.returncode == 2

    found = ask(platform, "models", "diff", name, "1", "2")
    assert {"kind": "version", "key": "notes", "one": "new", "other": None, "same": False} in found
    assert not [each for each in found if each["same"] or each["kind"] == "file"], "the same run was registered twice"
    both = ask(platform, "models", "diff", name, "1", "2", "--all")
    assert {(each["key"], each["same"]) for each in both if each["kind"] == "file"} >= {("MLmodel", True)}
    assert ("metric", "error", True) in [(each["kind"], each["key"], each["same"]) for each in both]
    titles, *rows = platform.command("models", "diff", name, "1", "2").stdout.splitlines()
    assert titles.split() == ["KIND", "KEY", "VERSION", "1", "VERSION", "2"]
    assert any(row.split()[:3] == ["version", "notes", "new"] for row in rows)
    assert platform.command("models", "diff", name, "1", "9", check=False).returncode == 1

    for wrong in ("", "../up", "x" * 300):
        refused = platform.command(*register[:-1], wrong, check=False)
        assert (refused.returncode, refused.stdout) == (1, "")
    platform.command("models", "delete", name, "1", "--yes")
    platform.command("models", "delete", name, "--yes")
    gone = platform.command("models", "show", name, check=False)
    assert gone.returncode == 1
    assert "models list" in gone.stderr


def test_exports_make_stock_code_work(platform: Platform, project: Project) -> None:
    exports = platform.command("env", "--project", project.name).stdout
    script = f"{exports}\n{sys.executable} -c 'import mlflow; mlflow.set_experiment(\"from-the-shell\")'"
    subprocess.run(["sh", "-c", script], env=platform.environment(), capture_output=True, check=True)
    assert "from-the-shell" in platform.command("experiments", "list", "--project", project.name).stdout
    shown = ask(platform, "experiments", "show", "from-the-shell", "--project", project.name)
    assert shown["artifact_location"].startswith("mlflow-artifacts:/")
    exported = ask(platform, "env", "--project", project.name)
    assert {name: exported.pop(name) for name in ("NO_PROXY", "no_proxy")} == without_proxy({})
    assert exported == platform.exports(project.id)
    assert ask(platform, "whoami")["entitlements"] == ["ML_MODEL_REGISTRY"]


def test_a_reader_that_leaves_and_an_interrupt_end_commands_quietly(platform: Platform) -> None:
    command = [sys.executable, "-m", "registry_tui"]
    listing = subprocess.Popen(
        [*command, "events", "list", "--all", "--json"],
        env=platform.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert listing.stdout is not None and listing.stderr is not None
    listing.stdout.close()
    said = listing.stderr.read()
    listing.stderr.close()
    listing.wait(PATIENCE)
    assert said == ""

    following = subprocess.Popen(
        [*command, "logs", "service", "--follow"], env=platform.environment(), stdout=subprocess.PIPE, text=True
    )
    assert following.stdout is not None
    wait_for(following.stdout.readline, what="the log's first line")
    os.kill(following.pid, signal.SIGINT)
    following.stdout.close()
    assert following.wait(PATIENCE) == 130


def test_deleting_asks_on_a_terminal(platform: Platform) -> None:
    project = platform.new_project()
    child = pexpect.spawn(
        sys.executable,
        ["-m", "registry_tui", "projects", "delete", project.name],
        env=platform.environment(),
        encoding="utf-8",
        timeout=PATIENCE,
    )
    child.expect("Delete the project .* \\[y/N\\]")
    child.sendline("n")
    child.expect("Nothing was changed")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    assert ask(platform, "projects", "show", project.name)["id"] == project.id


def test_a_wait_that_is_interrupted_leaves_the_work_going_on(platform: Platform) -> None:
    environment = unique("e")
    ask(platform, "environments", "create", environment)
    waiting = subprocess.Popen(
        [sys.executable, "-m", "registry_tui", "registries", "create", environment],
        env=platform.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stderr is not None
    assert waiting.stderr.readline().startswith("provision registry-")
    os.kill(waiting.pid, signal.SIGINT)
    said = waiting.stderr.read()
    waiting.stderr.close()
    # On a quick machine the work may be done before the signal arrives.
    if waiting.wait(PATIENCE) != 0:
        assert waiting.returncode == 130
        found = said.split("registry-tui workflows wait ")[1].split()[0]
        platform.command("workflows", "wait", found)
    assert ask(platform, "registries", "show", f"registry-{environment}")["status"] == "installation:finished"
    platform.command("registries", "delete", f"registry-{environment}", "--yes")
    platform.command("environments", "delete", environment, "--yes")
