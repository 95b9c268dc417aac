"""The examples of `CONTRIBUTING.md` are one file and one line each, and work when they are added to the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
#: An example: its new file, perhaps the file that has the whole of it, its code, where its line belongs, and the line.
EXAMPLE = re.compile(
    r"```python\n# (?P<path>\S+\.py)(?:, from (?P<whole>\S+\.py))?\n(?P<code>.*?)\n+"
    r"# (?P<table>\S+\.py), (?P<name>\w+)\n(?P<line>[^\n]+)\n```",
    re.DOTALL,
)
#: The examples of stores and backends need these of the service: its parts put together, the owner, and an engine.
SERVICE = """
from pathlib import Path
import sys
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import choose_ports
from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service.running import build
from registry_tui.service.core import identity
from registry_tui.service.core.context import Resource
from registry_tui.service.operations.workflows import workflow_logs

home = Home(Path(sys.argv[1]))
home.create()
choose_ports(home)
service = build(home)
service.database.migrate()
owner = identity.owner_principal(service)
def finished(kind, resource, **arguments):
    workflow = service.workflows.start(owner, kind, resource=resource, arguments=arguments)
    done = service.workflows.wait(workflow.id, 300)
    return done.status.value, [line.text for line in workflow_logs(service, owner, workflow.id).items]
"""
WORKFLOW = """
service.workflows.launch()
status, lines = finished(WorkflowKind.GREET, Resource("registry", "r1", "wine"), name="Ada")
service.workflows.stop()
assert status == "succeeded" and "hello, Ada" in lines, (status, lines)
"""
STORE = """
from registry_tui.schemas.places import EnvironmentCreate
from registry_tui.service.errors import InUse
from registry_tui.service.places import environments
made = environments.create_environment(service, owner, EnvironmentCreate(name="east", cloud="aws"))
folder = next((home.root / "folders").iterdir())
assert folder.name.startswith("east-")
(folder / "workspaces").mkdir()
(folder / "workspaces/model.pkl").write_bytes(b"1")
try:
    environments.delete_environment(service, owner, "east")
except InUse:
    pass
else:
    raise AssertionError("an environment whose bucket holds objects was deleted")
assert service.stores.objects.delete_prefix(folder.name, "workspaces/").objects == 1
environments.delete_environment(service, owner, "east")
assert not folder.exists()
"""
BACKEND = """
from registry_tui.contracts.replica_spec import ReplicaSpec
from registry_tui.service.backends.base import ReplicaName
python = home.root / "python"
python.write_text("#!/bin/sh\\necho started; exec sleep 600\\n")
python.chmod(0o700)
name = ReplicaName("d1", 1, 0)
replicas = service.backends.replicas
spec = ReplicaSpec(name.program, "d1", str(home.root), "wine", 1, str(replicas.socket(name)))
replicas.start({name: (spec, python)})
pid = replicas.look([name])[0].pid
assert replicas.names("d1") == [name] and pid is not None
service.workflows.launch()
status, lines = finished(WorkflowKind.UNDEPLOY, Resource("deployment", "d1", "wine"))
service.workflows.stop()
assert status == "succeeded", lines
assert replicas.names("d1") == [] and not Path(f"/proc/{pid}").exists()
assert [each for each, _ in service.backends.logs.logs("d1")] == [name]
"""
SCREEN = """
import asyncio
from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.terminal.commands import Place
from support import recorded
from support.program import Driver

async def main():
    answers = recorded.load()[1]
    app = RegistryApp(lambda: RegistryClient(transport=recorded.Replay(answers)), start_platform=False)
    async with app.run_test(size=(100, 30)) as pilot:
        driver = Driver(app, pilot)
        await driver.rows("registries")
        app.jump(Place("greetings"))
        await driver.shows("Greetings", "Hello, Ada")

asyncio.run(main())
"""


def examples() -> dict[str, re.Match[str]]:
    """The examples by the table that each adds its line to."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return {found["name"]: found for found in EXAMPLE.finditer(text)}


def add(example: re.Match[str], source: Path) -> None:
    """Adds an example to the sources: one new file, and one line below the one where its table begins."""
    new, table = source / example["path"], source / example["table"]
    assert not new.exists()
    code = example["code"]
    if example["whole"]:
        whole = (ROOT / example["whole"]).read_text(encoding="utf-8")
        assert code in whole, f"{example['whole']} has another end than the example"
        code = whole
    new.write_text(f"{code}\n", encoding="utf-8")
    text, changes = re.subn(
        rf"^((?:class )?{example['name']}\b[^\n]*[:{{]\n)",
        lambda found: f"{found[1]}{example['line']}\n",
        table.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert changes == 1, f"{example['name']} does not begin in one place of {example['table']}"
    table.write_text(text, encoding="utf-8")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the sources."""
    package = tmp_path / "src/registry_tui"
    shutil.copytree(ROOT / "src/registry_tui", package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def test_the_four_examples_are_there() -> None:
    assert set(examples()) == {"WorkflowKind", "SCREENS", "STORES", "BACKENDS"}


@pytest.mark.parametrize(
    ("table", "code", "setting"),
    [
        ("WorkflowKind", SERVICE + WORKFLOW, ""),
        ("SCREENS", SCREEN, ""),
        ("STORES", SERVICE + STORE, 'store = "folders"'),
        ("BACKENDS", SERVICE + BACKEND, 'backend = "children"'),
    ],
    ids=["workflow", "screen", "store", "backend"],
)
def test_what_is_added_works(table: str, code: str, setting: str, source: Path, short_path: Path) -> None:
    add(examples()[table], source)
    (short_path / "config.toml").write_text(f"[service]\n{setting}\n", encoding="utf-8")
    folders = os.pathsep.join([str(source.parent), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport registry_tui\nprint(registry_tui.__file__)", str(short_path)],
        env={**os.environ, "PYTHONPATH": folders},
        cwd=short_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, textwrap.indent(done.stderr[-3000:], "  ")
    assert done.stdout.startswith(str(source))


def test_a_setting_that_names_no_store_says_which_there_are(short_path: Path) -> None:
    (short_path / "config.toml").write_text('[service]\nstore = "tapes"\n', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, str(short_path)], capture_output=True, text=True, timeout=300, cwd=short_path
    )
    assert "The setting store is 'tapes', which is not one of: seaweedfs" in done.stderr
