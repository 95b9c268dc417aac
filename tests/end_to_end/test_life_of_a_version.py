"""The life of a version: trained, refused, approved, promoted to another store, served, tampered with, explained."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.schemas.models import ModelVersion
from registry_tui.schemas.people import UserChange
from registry_tui.schemas.places import CollaboratorChange, EnvironmentCreate, Project, Role, WorkspaceCreate
from registry_tui.schemas.registries import RegistryCreate
from registry_tui.schemas.stores import DirectoryAddress, DirectoryStore
from support import served
from support.platforms import Platform, clean_environment, unique, wait_for
from support.webhook_receivers import Receiver, receiving

pytestmark = pytest.mark.long

#: MLflow's own way without pickles: the model is the file itself.
MODEL = """
import mlflow
class Sum(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [float(row) + BIAS for row in model_input.sum(axis=1)]
BIAS = {bias}
mlflow.models.set_model(Sum())
"""
TRAIN = """
import sys
import mlflow, pandas
mlflow.set_experiment("sums")
rows = pandas.DataFrame({"a": [1.0, 2.0], "b": [2.0, 3.0]})
with mlflow.start_run() as run:
    mlflow.log_input(mlflow.data.from_pandas(rows, name="pairs"), context="training")
    mlflow.log_metric("rmse", float(sys.argv[2]))
    made = mlflow.pyfunc.log_model(
        name="model", python_model="model.py", pip_requirements=["mlflow"], input_example=rows,
        registered_model_name=sys.argv[1],
    )
print("RESULT", made.registered_model_version, run.data.tags.get("mlflow.source.git.commit", ""))
"""
DEV_RULES = """
rules:
  - {name: good-enough, for: [promote], requires: metric, metric: rmse, at_most: 0.8, advice: Train it longer}
  - {name: signed, for: [promote], requires: trusted_signature}
  - {name: read-through, for: [promote], requires: scan, verdicts: [safe format, known imports, runs code]}
  - {name: second-person, for: [promote], requires: approval}
"""
PROD_RULES = """
rules:
  - {name: signed, for: [deploy], requires: trusted_signature}
  - {name: typed, for: [deploy], requires: model_signature}
"""


@dataclass(frozen=True)
class Line:
    """A registry for development in the embedded store and one for production in a directory."""

    platform: Platform
    model: str
    dev: Project
    prod: Project
    directory: Path
    sources: Path

    def run(self, *arguments: str, ends: int = 0) -> str:
        done = self.platform.command(*arguments, check=False)
        assert done.returncode == ends, done.stdout + done.stderr
        return done.stdout + done.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self.platform.command(*arguments, "--json").stdout)

    def named(self, number: int, *, there: bool = False) -> tuple[str, ...]:
        """How commands name a version of the model."""
        registry = (self.prod if there else self.dev).registry_id
        assert registry is not None
        return (self.model, str(number), "--registry", registry)


@contextmanager
def place(platform: Platform, prefix: str, store: DirectoryStore | None = None) -> Iterator[Project]:
    """A project that is synchronized with the registry of a new environment."""
    asked = EnvironmentCreate(name=unique(prefix), store=store)
    environment = platform.ask(lambda client: client.create_environment(asked))
    team = WorkspaceCreate(name=unique("team"), environment=environment.id)
    workspace = platform.ask(lambda client: client.create_workspace(team))
    project = platform.new_project(workspace.id)
    made = platform.ask(lambda client: client.create_registry(RegistryCreate(environment=environment.id)))
    served.finish(platform, made.workflow)
    if store is None:
        platform.ask(lambda client: client.grant_storage_access(made.resource.id))
    served.finish(platform, platform.ask(lambda client: client.synchronize_registry(made.resource.id)).workflow)
    yield platform.ask(lambda client: client.project(project.id))
    served.remove_registry(platform, made.resource.id)


@pytest.fixture
def line(platform: Platform, tmp_path: Path) -> Iterator[Line]:
    directory, sources = tmp_path / "store", tmp_path / "sources"
    directory.mkdir()
    sources.mkdir()
    store = DirectoryStore(address=DirectoryAddress(path=str(directory)))
    with place(platform, "dev") as dev, place(platform, "prod", store) as prod:
        yield Line(platform, unique("Sum"), dev, prod, directory, sources)


def train(line: Line, bias: float, rmse: float) -> tuple[int, str]:
    """Trains at a commit of its own. Returns the version's number and the commit."""
    (line.sources / "model.py").write_text(MODEL.replace("{bias}", str(bias)))
    (line.sources / "train.py").write_text(TRAIN)
    git = ["git", "-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    if not (line.sources / ".git").exists():
        subprocess.run([*git, "init", "-q"], cwd=line.sources, check=True)
    subprocess.run([*git, "add", "."], cwd=line.sources, check=True)
    subprocess.run([*git, "commit", "-q", "-m", f"Train with a bias of {bias}"], cwd=line.sources, check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], cwd=line.sources, check=True, capture_output=True, text=True)
    done = subprocess.run(
        [sys.executable, "train.py", line.model, str(rmse)],
        cwd=line.sources,
        env=clean_environment({"MLFLOW_DISABLE_TELEMETRY": "true", **line.platform.exports(line.dev.id)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    number, noted = done.stdout.rpartition("RESULT")[2].split()
    assert noted == commit.stdout.strip()
    return int(number), noted


def test_a_version_from_training_to_evidence(line: Line, tmp_path: Path) -> None:
    with receiving() as receiver:
        secret = watch(line, receiver)
        first, second = (train(line, bias, rmse) for bias, rmse in ((1.0, 0.9), (0.0, 0.5)))
        assert first[1] != second[1] and (first[0], second[0]) == (1, 2)
        refused(line, first[0])
        signed_and_scanned(line, second[0], tmp_path)
        approved(line, second[0])
        copy = promoted(line, second[0])
        deployment = followed(line, copy)
        told(line, receiver, secret)
    tampered(line, copy, deployment)
    explained(line, second, copy, deployment)
    evident(line, copy, tmp_path / "pack")


def watch(line: Line, receiver: Receiver) -> str:
    environment = line.prod.environment_id
    receiver_url = ("webhooks", "create", "story", receiver.url, "--environment", environment, "--event", "*")
    return str(line.json(*receiver_url)["secret"])


def refused(line: Line, number: int) -> None:
    """The first version is not good enough, and each API reports it with the rule's name and the next step."""
    rules(line, line.dev.environment_id, DEV_RULES)
    check = ("models", "check", *line.named(number), "--rules", "--for", "promote")
    for arguments in (check, ("models", "promote", *line.named(number), "--to", str(line.prod.registry_id))):
        said = line.run(*arguments, ends=1)
        assert "good-enough" in said and "metric rmse is 0.9, and has to be at most 0.8" in said
        assert "Train it longer" in said


def rules(line: Line, environment: str, text: str) -> None:
    path = line.sources.parent / "rules.yaml"
    path.write_text(text)
    line.run("rules", "set", environment, str(path))


def signed_and_scanned(line: Line, number: int, folder: Path) -> None:
    """The public tool verifies a download with the key that the environment publishes."""
    verdict = line.json("models", "scan", *line.named(number))["verdict"]
    assert verdict == "runs code"
    verify_download(line, number, folder / "dev", there=False)


def verify_download(line: Line, number: int, folder: Path, *, there: bool) -> None:
    folder.mkdir()
    files, signature, key = folder / "model", folder / "model.sig", folder / "key.pem"
    named = line.named(number, there=there)
    line.run("models", "download", *named[:2], str(files), *named[2:])
    found = line.json("models", "signature", *named)["signatures"]
    own = next(each for each in found if each["kind"] == "registry")
    line.run("models", "signature", *named, "--save", str(signature))
    environment = (line.prod if there else line.dev).environment_id
    key.write_text(line.run("signing", "keys", "show", environment, own["fingerprint"]))
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(files)]
    command += ["--signature", str(signature), "--public_key", str(key)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def approved(line: Line, number: int) -> None:
    """The requester may not approve; a second person with the role may."""
    platform, chief = line.platform, unique("chief")
    platform.call(RegistryClient.put_user, chief, UserChange())
    platform.call(RegistryClient.set_collaborator, line.dev.id, chief, CollaboratorChange(role=Role.CONTRIBUTOR))
    line.run("environments", "roles", "grant", line.dev.environment_id, "EnvironmentUser", "MLAdmin", "--to", chief)
    said = line.run("models", "promote", *line.named(number), "--to", str(line.prod.registry_id), ends=1)
    assert "second-person" in said and "approvals ask" in said
    asked = line.json("approvals", "ask", *line.named(number), "--purpose", "promote", "-m", "better on all slices")
    assert asked["state"] == "pending"
    line.run("approvals", "approve", asked["id"], ends=1)
    line.run("models", "wait-approved", *line.named(number), "--purpose", "promote", "--timeout", "0", ends=4)
    line.run("--user", chief, "approvals", "approve", asked["id"], "-m", "read it")
    line.run("models", "wait-approved", *line.named(number), "--purpose", "promote", "--timeout", "60")
    line.run("models", "check", *line.named(number), "--rules", "--for", "promote")


def promoted(line: Line, number: int) -> int:
    """The copy has the same digests, and lies in the other store."""
    rules(line, line.prod.environment_id, PROD_RULES)
    made = line.json("models", "promote", *line.named(number), "--to", str(line.prod.registry_id))
    again = line.json("models", "promote", *line.named(number), "--to", str(line.prod.registry_id))
    assert again["id"] == made["id"] and made["status"] == "READY"
    here, there = (
        {each["path"]: each["sha256"] for each in line.json("models", "manifest", *line.named(n, there=far))["files"]}
        for n, far in ((number, False), (made["version"], True))
    )
    assert here == there
    assert list(line.directory.rglob("MLmodel"))
    return int(made["version"])


def followed(line: Line, copy: int) -> str:
    registry = line.prod.registry_id
    name = unique("sums")
    line.run("models", "alias", "set", line.model, "champion", str(copy), "--registry", str(registry))
    create = ("deployments", "create", name, "--project", line.prod.id, "--model", line.model)
    made = line.json(*create, "--alias", "champion", "--follow", "--no-authentication", "--wait")
    assert made["version"] == copy
    return str(made["id"])


def told(line: Line, receiver: Receiver, secret: str) -> None:
    """The receiver's library accepts each message."""

    def types() -> set[str]:
        return {each["type"] for each in receiver.verified(secret)}

    wait_for(lambda: {"version.ready", "version.alias_set", "deployment.ready"} <= types(), what="the messages")


def tampered(line: Line, copy: int, deployment: str) -> None:
    """A replica does not start from an archive that is no longer as it was signed; those that serve go on."""
    version = line.platform.ask(lambda client: client.version(str(line.prod.registry_id), line.model, copy))
    [stored] = [path for path in line.directory.rglob("model.py") if path.is_file()]
    fetched = model_folder(line.platform, version) / "files/model.py"
    before = stored.read_bytes()
    for code in (stored, fetched):
        code.chmod(0o600)
        code.write_bytes(before.replace(b"BIAS = 0.0", b"BIAS = 9.0"))
    assert "model.py" in line.run("models", "verify", *line.named(copy, there=True), ends=1)
    assert "model.py" in line.run("deployments", "restart", deployment, "--wait", ends=1)
    found = line.platform.ask(lambda client: client.deployment(deployment))
    assert served.answer(found, served.split(a=[1.0], b=[2.0])) == [3.0]
    stored.write_bytes(before)
    line.run("deployments", "restart", deployment, "--wait")


def model_folder(platform: Platform, version: ModelVersion) -> Path:
    """The copy of a version's archive from which replicas of this machine start."""
    return platform.home.serving / "models" / version.model_id / version.id


def explained(line: Line, trained: tuple[int, str], copy: int, deployment: str) -> None:
    shown = line.run("models", "lineage", line.model, str(copy), "--registry", str(line.prod.registry_id))
    found = line.platform.ask(lambda client: client.deployment(deployment))
    for each in (
        "data set pairs",
        f"promoted from: version {line.model} v{trained[0]}",
        "named by: alias champion",
        f"served by: deployment {found.name}",
    ):
        assert each in shown, shown


def evident(line: Line, copy: int, folder: Path) -> None:
    """The folder for auditors verifies by public tools: both signatures, all files, and the chain of events."""
    line.run("models", "evidence", *line.named(copy, there=True), "--to", str(folder), "--with-model")
    readme = (folder / "README.md").read_text().splitlines()
    signed = [words for words in (each.split() for each in readme) if words[:1] == ["model_signing"]]
    assert len(signed) == 2, "the registry's own signature and the one that came with it"
    checks = (
        (folder, ["sha256sum", "--quiet", "-c", "SHA256SUMS"]),
        (folder / "model", ["sha256sum", "--quiet", "-c", "../archive.sha256"]),
        (folder, [sys.executable, "verify-events.py"]),
        *((folder, [sys.executable, "-m", *words]) for words in signed),
    )
    for place_, command in checks:
        done = subprocess.run(command, cwd=place_, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    line.run("events", "verify")
