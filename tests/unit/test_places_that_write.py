"""Every module that writes files, and the rule that keeps each file in its place. A new one needs a row."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import registry_tui

SOURCES = Path(registry_tui.__file__).parent

#: Below the home, which belongs to its owner alone (`Home.create`); names are fixed, or IDs that were made here.
HOME = "the home"
#: In a folder that a person names: `new_files`, and below it `file_paths`.
NEW = "new files"
#: Below a folder of the home; every path is checked first by `file_paths`.
ARCHIVE = "an archive's paths"
#: Of the calling person, in a folder of theirs alone (0700).
OWN = "the person's own folder"
#: In a directory that an administrator names: every key is checked by `file_paths`, and no link is followed.
STORE = "a store's directory"
#: Below the NFS of a registry: every name and path is checked by `file_paths`, and no link is followed.
NFS = "a registry's NFS"
#: In the home, under the names that a backup may have: a manifest with any other one is refused.
BACKUP = "a backup's names"
#: The folder itself that its owner names for backups.
PLACE = "the folder of backups"
#: On a node of a cluster: in its cache under digests, where `file_paths` checks an archive's paths, or a folder made
#: for one replica.
NODE = "a node's cache"
#: In a folder that is made for one request, or that MLflow gives; MLflow or `file_paths` checks the path.
ONE_REQUEST = "a request's own folder"

RULES = {
    "cli/artifacts.py": NEW,
    "cli/backups.py": PLACE,
    "cli/bundles.py": NEW,
    "client/bundles.py": NEW,
    "client/evidence.py": NEW,
    "client/saving.py": NEW,
    "client/transport.py": NEW,
    "contracts/new_files.py": NEW,
    "demo/state.py": HOME,
    "gateway/counts.py": HOME,
    "gateway/limits.py": HOME,
    "gateway/load.py": HOME,
    "gateway/request_log.py": HOME,
    "mlflow_plugin/elsewhere/calls.py": ONE_REQUEST,
    "mlflow_plugin/elsewhere/store.py": ONE_REQUEST,
    "mlflow_plugin/elsewhere/turns.py": OWN,
    "mlflow_plugin/outside.py": ONE_REQUEST,
    "on_ray/preparing.py": NODE,
    "on_ray/process.py": NODE,
    "platform/contexts.py": OWN,
    "platform/lifecycle.py": HOME,
    "platform/locks.py": HOME,
    "platform/lone_store.py": HOME,
    "platform/paths.py": HOME,
    "platform/relocation.py": HOME,
    "platform/secrets.py": HOME,
    "platform/server_certificate.py": HOME,
    "platform/supervisor.py": HOME,
    "screens/base/save.py": NEW,
    "screens/registries/registry_events.py": NEW,
    "service/adapters/nfs_worker.py": NFS,
    "service/backends/ray.py": HOME,
    "service/backends/ray_cluster.py": HOME,
    "service/backends/ray_generations.py": HOME,
    "service/backends/supervisord.py": HOME,
    "service/backup/restoring.py": BACKUP,
    "service/backup/taking.py": HOME,
    "service/backup/upgrading.py": HOME,
    "service/deployments/model_files.py": ARCHIVE,
    "service/deployments/python_environments.py": HOME,
    "service/deployments/shared_files.py": HOME,
    "service/deployments/signed_files.py": HOME,
    "service/running.py": HOME,
    "service/signing/keys.py": HOME,
    "service/storage/measuring.py": HOME,
    "service/stores/directory.py": STORE,
    "serving/__main__.py": HOME,
    "serving/calls.py": HOME,
    "terminal/memory.py": OWN,
    "widgets/exporting.py": NEW,
}
MAKES = {
    "copy2",
    "copyfile",
    "copytree",
    "hardlink_to",
    "link",
    "makedirs",
    "mkdir",
    "mkdtemp",
    "mkstemp",
    "mknod",
    "move",
    "NamedTemporaryFile",
    "symlink",
    "symlink_to",
    "TemporaryDirectory",
    "TemporaryFile",
    "touch",
    "write_bytes",
    "write_text",
}
#: Nothing here unpacks an archive; members could be links, devices, or lie elsewhere.
UNPACKS = {"extract", "extractall", "unpack_archive"}
ARCHIVES = {"tarfile", "zipfile"}


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def modes_of(call: ast.Call) -> Iterator[str]:
    """The modes that a call of `open` could have."""
    for each in [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]:
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and len(each.value) <= 3:
            yield each.value


def writes(call: ast.Call) -> bool:
    """Whether a call could make a file or write into one, by its name."""
    name = name_of(call)
    if name in ("open", "fdopen"):
        return "O_CREAT" in ast.unparse(call) or any(set(mode) & set("wax+") for mode in modes_of(call))
    # `output.write_bytes` is standard output.
    return name in MAKES and not ast.unparse(call.func).startswith("output.")


@dataclass(frozen=True)
class Module:
    """The calls and imports of a module."""

    calls: list[ast.Call]
    imports: set[str]


@pytest.fixture(scope="module")
def modules() -> dict[str, Module]:
    return {path.relative_to(SOURCES).as_posix(): read(path) for path in SOURCES.rglob("*.py")}


def read(path: Path) -> Module:
    module = Module([], set())
    for each in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(each, ast.Call):
            module.calls.append(each)
        elif isinstance(each, ast.Import):
            module.imports.update(alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            module.imports.add(str(each.module))
    return module


def test_every_module_that_writes_files_has_a_rule(modules: dict[str, Module]) -> None:
    assert {name for name, module in modules.items() if any(map(writes, module.calls))} == RULES.keys()


def test_what_people_save_is_never_opened_over_something(modules: dict[str, Module]) -> None:
    """In folders that others may write, only `x` opens a new file: it follows no link."""
    loose = {
        name
        for name, rule in RULES.items()
        if rule == NEW
        for call in modules[name].calls
        if name_of(call) == "open" and any(set(mode) & set("wa+") for mode in modes_of(call))
    }
    # Below `partial_folder`, which is the person's own.
    assert loose <= {"client/saving.py"}


def test_nothing_is_unpacked_here(modules: dict[str, Module]) -> None:
    for name, module in modules.items():
        assert not {name_of(call) for call in module.calls} & UNPACKS, name
        # One reads members into memory, within bounds; one reads a bundle's by their digests; the last one only packs.
        if name not in ("scanning/files.py", "client/bundles.py", "service/backends/ray_package.py"):
            assert not module.imports & ARCHIVES, name


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("open('x', 'w')", True),
        ("path.open(mode='ab')", True),
        ("path.open('x', encoding='utf-8')", True),
        ("os.open(path, os.O_WRONLY | os.O_CREAT)", True),
        ("path.write_text('')", True),
        ("shutil.copytree(a, b)", True),
        ("open('file')", False),
        ("path.open('rb')", False),
        ("output.write_bytes(b'')", False),
    ],
)
def test_what_counts_as_writing(code: str, found: bool) -> None:
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call) and writes(call) is found
