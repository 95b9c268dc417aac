"""Every module that writes files, and the rule that keeps each file in its place. A new one needs a row."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
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
#: Of the person who calls, in a folder of theirs alone (0700).
OWN = "the person's own folder"

RULES = {
    "cli/artifacts.py": NEW,
    "client/saving.py": NEW,
    "client/transport.py": NEW,
    "contracts/new_files.py": NEW,
    "demo/state.py": HOME,
    "gateway/counts.py": HOME,
    "gateway/load.py": HOME,
    "platform/contexts.py": OWN,
    "platform/lifecycle.py": HOME,
    "platform/locks.py": HOME,
    "platform/paths.py": HOME,
    "platform/secrets.py": HOME,
    "platform/server_certificate.py": HOME,
    "platform/supervisor.py": HOME,
    "screens/base/save.py": NEW,
    "screens/registries/registry_events.py": NEW,
    "service/__main__.py": HOME,
    "service/backends/supervisord.py": HOME,
    "service/deployments/model_files.py": ARCHIVE,
    "service/deployments/python_environments.py": HOME,
    "service/storage/measuring.py": HOME,
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


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    kept = (ast.Call, ast.Import, ast.ImportFrom)
    return [each for each in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(each, kept)]


def calls_in(path: Path) -> list[ast.Call]:
    return [each for each in nodes_of(path) if isinstance(each, ast.Call)]


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for each in nodes_of(path):
        if isinstance(each, ast.Import):
            found |= {alias.name for alias in each.names}
        elif isinstance(each, ast.ImportFrom):
            found.add(str(each.module))
    return found


def test_every_module_that_writes_files_has_a_rule() -> None:
    writing = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if any(writes(call) for call in calls_in(path))
    }
    assert writing == RULES.keys()


def test_what_people_save_is_never_opened_over_something() -> None:
    """In folders that others may write, only `x` opens a new file: it follows no link."""
    loose = {
        f"{name}:{call.lineno}"
        for name, rule in RULES.items()
        if rule == NEW
        for call in calls_in(SOURCES / name)
        if name_of(call) == "open" and any(set(mode) & set("wa+") for mode in modes_of(call))
    }
    # Below `partial_folder`, which is the person's own.
    assert {each.partition(":")[0] for each in loose} <= {"client/saving.py"}


def test_nothing_is_unpacked_here() -> None:
    for path in SOURCES.rglob("*.py"):
        assert not any(name_of(call) in UNPACKS for call in calls_in(path)), path
        assert not imports_of(path) & ARCHIVES, path


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
