"""Versions leave as bundles and come back with the same sums; other folders come in, too."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, ServiceProblem
from registry_tui.contracts import modelpack
from registry_tui.schemas.cards import CardChange
from registry_tui.schemas.deployments import DeploymentCreate
from registry_tui.schemas.models import ModelVersion, VersionStatus
from registry_tui.schemas.places import Project
from registry_tui.wording.bom_differences import BomLine, bom_difference
from support import forked_commands
from support.platforms import PATIENCE, Platform, unique
from support.registered import mlflow_client
from support.served import register


def sums(platform: Platform, version: ModelVersion) -> dict[str, str]:
    found = platform.call(RegistryClient.manifest, version.registry_id, version.model_id, version.version)
    return {entry.path: entry.sha256 for entry in found.files}


def imported(platform: Platform, *arguments: str) -> ModelVersion:
    return ModelVersion.model_validate(json.loads(platform.command("models", "import", *arguments, "--json").stdout))


def test_a_version_goes_out_as_a_bundle_and_comes_in_with_the_same_sums(platform: Platform, tmp_path: Path) -> None:
    project = platform.new_project()
    original = register(platform, project).version
    here = ("models", "export", original.model_name, "1", "--registry", original.registry_id, "--to")
    for target in (tmp_path / "out.tar", tmp_path / "out"):
        platform.command(*here, str(target))
        assert platform.command(*here, str(target), check=False).returncode == 1
        name = unique("back")
        back = imported(platform, str(target), "--name", name, "--project", project.id)
        assert (back.model_name, back.status, back.servable) == (name, VersionStatus.READY, True)
        assert sums(platform, back) == sums(platform, original)
        signed = platform.call(RegistryClient.signatures, back.registry_id, name, 1).signatures
        # Its own, and that of the original.
        assert [each.problem for each in signed] == ["", ""]


@dataclass(frozen=True)
class Told:
    """A version whose run has its training data, with a card that a person wrote, and its bundle."""

    project: Project
    version: ModelVersion
    bundle: Path

    def changed(self, target: Path, type_: str, change: Callable[[bytes], bytes]) -> Path:
        """The bundle with another content of one layer, under its own right digest."""
        shutil.copytree(self.bundle, target)
        index = json.loads((target / "index.json").read_text())
        whole = json.loads(self._blob(index["manifests"][0]).read_bytes())
        for each in whole["layers"]:
            if each["mediaType"] == type_:
                self._store(target, each, change(self._blob(each).read_bytes()))
        self._store(target, index["manifests"][0], json.dumps(whole).encode())
        (target / "index.json").write_text(json.dumps(index))
        return target

    def _blob(self, entry: dict[str, Any]) -> Path:
        return self.bundle / "blobs/sha256" / str(entry["digest"]).removeprefix("sha256:")

    def _store(self, target: Path, entry: dict[str, Any], content: bytes) -> None:
        sha = hashlib.sha256(content).hexdigest()
        (target / "blobs/sha256" / sha).write_bytes(content)
        entry.update(digest=f"sha256:{sha}", size=len(content))


@pytest.fixture(scope="module")
def told(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Told:
    project = platform.new_project()
    version = register(platform, project, requirements="numpy<2\n").version
    run = version.origin.run_id
    metrics = [{"key": "rmse", "value": 0.123456789012, "timestamp": 1}]
    metrics.append({"key": "odd", "value": "NaN", "timestamp": 1})
    dataset = {"name": "wine", "digest": "d1", "source_type": "local", "source": "wine.csv"}
    context = [{"key": "mlflow.data.context", "value": "training"}]
    with mlflow_client(platform.ask(lambda client: client.credentials(project.id))) as http:
        for path, body in (
            ("log-batch", {"metrics": metrics, "params": [{"key": "alpha", "value": "0.5"}]}),
            ("log-inputs", {"datasets": [{"dataset": dataset, "tags": context}]}),
            ("set-tag", {"key": "base_model", "value": "org/base"}),
        ):
            http.post(f"/api/2.0/mlflow/runs/{path}", json={"run_id": run, **body}).raise_for_status()
    here = (version.registry_id, version.model_name, 1)
    platform.call(RegistryClient.make_bom, *here)
    platform.call(RegistryClient.set_card, *here, CardChange(text="# Wine\n\nAda trained it.\n"))
    target = tmp_path_factory.mktemp("told") / "out"
    platform.command("models", "export", here[1], "1", "--registry", here[0], "--to", str(target))
    return Told(project, version, target)


def described(platform: Platform, version: ModelVersion) -> tuple[str, list[BomLine]]:
    """A version's card, and the content of its bill of materials."""
    here = (version.registry_id, version.model_name, version.version)
    found = platform.call(RegistryClient.bom, *here).document
    return platform.call(RegistryClient.card, *here).text, bom_difference({}, found)


def test_a_bundle_brings_bill_of_materials_and_card(platform: Platform, told: Told) -> None:
    back = imported(platform, str(told.bundle), "--name", unique("back"), "--project", told.project.id)
    card, lines = described(platform, back)
    assert (card, lines) == described(platform, told.version)
    assert card.startswith("# Wine")
    said = {(line.kind, line.name): line.other for line in lines}
    assert said["metric", "rmse"] == "0.123456789012" and said["metric", "odd"] == "nan"
    assert said["data set", "wine"] == "d1" and said["base model", "org/base"] and said["package", "numpy"] == "numpy<2"
    # The import was complete: the next one finds its version, and people's changes there stay.
    here = (back.registry_id, back.model_name)
    platform.call(RegistryClient.set_card, *here, 1, CardChange(text="# Wine\n\nGrace keeps it here.\n"))
    shown = platform.command(
        "models", "import", str(told.bundle), "--name", back.model_name, "--project", told.project.id, "--json"
    )
    again = ModelVersion.model_validate(json.loads(shown.stdout))
    assert (again.id, again.version, again.origin.run_id) == (back.id, 1, back.origin.run_id)
    assert "v1 has these files already" in shown.stderr
    assert "Grace" in platform.call(RegistryClient.card, *here, 1).text
    assert [each.version for each in platform.ask(lambda client: client.versions(*here)).items] == [1]
    # One that is gone is stored again, by another run.
    platform.call(RegistryClient.delete_version, *here, 1)
    anew = imported(platform, str(told.bundle), "--name", back.model_name, "--project", told.project.id)
    assert anew.version == 2 and anew.origin.run_id != back.origin.run_id


@pytest.mark.parametrize(
    ("type_", "content", "said"),
    [
        (modelpack.BOM, b"[]", "is not a CycloneDX document"),
        (modelpack.BOM, None, "belongs to other files"),
        (modelpack.CARD, b"\xff", "is not a model card"),
    ],
    ids=["no-bom", "bom-of-other-files", "no-card"],
)
def test_a_bundle_that_says_something_else_of_its_files_is_refused(
    platform: Platform, told: Told, tmp_path: Path, type_: str, content: bytes | None, said: str
) -> None:
    def change(before: bytes) -> bytes:
        document = json.loads(before) if content is None else {}
        for each in document.get("metadata", {}).get("component", {}).get("properties", ()):
            each["value"] = "0" * 64 if each["name"].endswith("manifest-sha256") else each["value"]
        return json.dumps(document).encode() if content is None else content

    changed, name = told.changed(tmp_path / "changed", type_, change), unique("never")
    shown = platform.command(
        "models", "import", str(changed), "--name", name, "--project", told.project.id, check=False
    )
    assert shown.returncode == 1 and said in shown.stderr
    with pytest.raises(ServiceProblem):
        platform.call(RegistryClient.model, told.version.registry_id, name)


#: The command line, which is killed before its n-th request, or after the n-th answer.
KILLED = """
import os, signal, sys
import httpx
from registry_tui.cli.main import run

left, before = int(sys.argv.pop(1)), sys.argv.pop(1) == "before"
send = httpx.AsyncClient.send

async def counted(self, request, **options):
    global left
    left -= 1
    if before and not left:
        os.kill(os.getpid(), signal.SIGKILL)
    answer = await send(self, request, **options)
    if not left and not request.url.path.endswith("/delete-tag"):  # the last one: then it has ended
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

httpx.AsyncClient.send = counted
run()
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_import_that_is_killed_at_any_request_leaves_nothing_half_and_goes_on(
    platform: Platform, told: Told, tmp_path: Path, when: str
) -> None:
    project, name = platform.new_project(), unique("killed")
    command = ("models", "import", str(told.bundle), "--name", name, "--project", project.id, "--json")
    wanted = sums(platform, told.version)
    for killed in range(1, 200):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(killed), when, *command],
            env=platform.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            listed = platform.ask(partial(RegistryClient.versions, registry=told.version.registry_id, model=name)).items
        except NotFound:
            listed = []
        assert [each.version for each in listed] in ([], [1])
        assert all(sums(platform, each) == wanted for each in listed if each.status is VersionStatus.READY)
        if done.returncode != -signal.SIGKILL:
            break
    assert done.returncode == 0, done.stderr
    assert killed > 10
    [made] = listed
    assert made.status is VersionStatus.READY
    assert described(platform, made) == described(platform, told.version)
    signed = platform.call(RegistryClient.signatures, made.registry_id, name, 1).signatures
    assert [each.problem for each in signed] == ["", ""]


def wheel(folder: Path, name: str) -> str:
    """A wheel with one module."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-1.0.dist-info"
    files = {
        f"{module}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        for each, text in files.items():
            file.writestr(each, text)
        file.writestr(f"{info}/RECORD", "".join(f"{each},,\n" for each in [*files, f"{info}/RECORD"]))
    return path.name


def test_a_bundle_takes_the_wheels_of_its_requirements_along(platform: Platform, tmp_path: Path) -> None:
    index, package = tmp_path / "index", unique("parcel").lower()
    index.mkdir()
    project = platform.new_project()
    version = register(platform, project, requirements=f"{package}\n").version
    target = tmp_path / "out.tar"
    command = ["models", "export", version.model_name, "1", "--registry", version.registry_id, "--to", str(target)]
    # pip's settings on a machine without a network.
    settings = {**platform.environment(), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}
    lacking = forked_commands.run([*command, "--wheels"], settings, PATIENCE)
    assert lacking.returncode == 1 and "pip could not fetch the wheels" in lacking.stderr and package in lacking.stderr
    assert not target.exists()
    name = wheel(index, package)
    done = forked_commands.run([*command, "--wheels"], settings, PATIENCE)
    assert done.returncode == 0, done.stderr
    unpacked = tmp_path / "wheels"
    imported(
        *(platform, str(target), "--name", unique("back"), "--project", project.id),
        *("--wheels-to", str(unpacked)),
    )
    assert (unpacked / name).read_bytes() == (index / name).read_bytes()


SAVE = """
import sys, numpy
import mlflow.sklearn
from sklearn.linear_model import LinearRegression
model = LinearRegression().fit(numpy.array([[1.0], [2.0]]), [2.0, 4.0])
mlflow.sklearn.save_model(model, sys.argv[1], serialization_format=sys.argv[2])
"""

LOAD = """
import sys, numpy
import mlflow.artifacts, mlflow.pyfunc
print(round(float(mlflow.pyfunc.load_model(f"models:/{sys.argv[1]}/1").predict(numpy.array([[3.0]]))[0]), 3))
print(mlflow.artifacts.download_artifacts(f"models:/{sys.argv[2]}/1"))
"""


def test_folders_come_in_and_stock_mlflow_loads_them(
    platform: Platform, project: Project, sdk: Callable[..., str], tmp_path: Path
) -> None:
    saved, (name, tiny) = tmp_path / "saved", (unique("linear"), unique("tiny"))
    sdk(SAVE, str(saved), "cloudpickle")
    found = imported(platform, str(saved), "--name", name, "--project", project.id)
    assert found.status is VersionStatus.READY and found.servable
    hub = hugging_face(tmp_path / "tiny")
    kept = imported(platform, str(hub), "--name", tiny, "--project", project.id)
    assert kept.status is VersionStatus.READY and not kept.servable
    assert kept.tags == {"card.license": "mit"} and "only safetensors" in (kept.not_servable_reason or "")
    predicted, fetched = sdk(LOAD, name, tiny).split()
    assert float(predicted) == 6.0
    assert {each.name: each.read_bytes() for each in hub.iterdir()}.items() <= {
        each.name: each.read_bytes() for each in Path(fetched).iterdir()
    }.items()
    with pytest.raises(ServiceProblem, match="only safetensors"):
        platform.ask(
            lambda client: client.create_deployment(
                DeploymentCreate(name=unique("d"), project=project.id, model=kept.model_id, version=1)
            )
        )


def hugging_face(folder: Path) -> Path:
    """A model as the Hugging Face Hub has it: weights with their card."""
    folder.mkdir()
    head = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Tiny\n")
    return folder


def test_a_changed_bundle_leaves_nothing(platform: Platform, tmp_path: Path) -> None:
    project = platform.new_project()
    original = register(platform, project).version
    target, name = tmp_path / "out", unique("never")
    platform.command(
        "models", "export", original.model_name, "1", "--registry", original.registry_id, "--to", str(target)
    )
    changed = next(iter(sums(platform, original).values()))
    (target / "blobs/sha256" / changed).write_bytes(b"x")
    shown = platform.command("models", "import", str(target), "--name", name, "--project", project.id, check=False)
    assert shown.returncode == 1 and "another content than its digest says" in shown.stderr
    listed = platform.ask(lambda client: client.experiments(project.id)).items
    assert [each.name for each in listed if "import" in each.name] == []


def test_what_is_stored_has_to_be_what_was_announced(platform: Platform) -> None:
    project = platform.new_project()
    original = register(platform, project).version
    shown = platform.command(
        *("models", "register", "--project", project.id, "--name", unique("m"), "--content", "0" * 64),
        *("--run", original.origin.run_id or "", "--path", "model"),
        check=False,
    )
    assert shown.returncode == 1 and "differ from the announced ones" in shown.stderr
