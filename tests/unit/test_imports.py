"""The imports of each part: the contracts of `pyproject.toml`, and the modules that a start really loads."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service.workflows import catalog
from support.import_graph import circles, import_graph

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "mlflow",
    "boto3",
    "botocore",
    "sqlalchemy",
    "dbos",
    "fastapi",
    "uvicorn",
    "alembic",
    "ray",
    "registry_tui.service",
}


def loaded_by(code: str) -> set[str]:
    """The modules that a new process has loaded after running the code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return set(done.stdout.split())


def test_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(lint)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["registry_tui.app.app", "registry_tui.client.client", "registry_tui.cli.main"])
def test_what_people_start_loads_nothing_heavy(module: str) -> None:
    assert not loaded_by(f"import {module}") & HEAVY


def test_the_first_page_loads_nothing_that_it_does_not_show() -> None:
    loaded = loaded_by("import registry_tui.app.app, registry_tui.screens.registries.registries")
    late = {
        "textual.widgets._tabbed_content",
        "textual.widgets._text_area",
        "email.utils",
        "hashlib",
        "httpx",
        "pydantic",
        "typer",
    }
    assert not loaded & late


def test_the_terminal_program_loads_every_screen_without_the_platform() -> None:
    files = [path for folder in ("screens", "widgets") for path in (ROOT / "src/registry_tui" / folder).rglob("*.py")]
    names = sorted(".".join(path.relative_to(ROOT / "src").with_suffix("").parts) for path in files)
    code = "\n".join(f"import {name.removesuffix('.__init__')}" for name in names)
    assert not loaded_by(code) & HEAVY


def test_the_service_knows_no_terminal() -> None:
    loaded = loaded_by("import registry_tui.service.running")
    assert not {name for name in loaded if name.split(".")[0] == "textual"}
    assert "mlflow" not in loaded


def test_no_imports_go_in_a_circle_not_even_in_functions_or_for_types() -> None:
    graph = import_graph(ROOT / "src")
    assert len(graph) > 300 and "registry_tui.service.core.context" in graph["registry_tui.service.engine.engine"]
    assert circles(graph) == []


def test_the_walker_finds_circles_in_functions_and_for_types(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "a": "def f():\n    from house.b import g\n",
        "b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house import c\n",
        "c": "import house.a\n",
        "d": "from house import a\n",
    }.items():
        (package / f"{name}.py").write_text(text)
    assert circles(import_graph(tmp_path)) == [["house.a", "house.b", "house.c"]]


def test_every_kind_of_workflow_stands_alone() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    contract = next(each for each in contracts if each["name"].startswith("Kinds of workflow"))
    assert contract["modules"] == ["registry_tui.service.workflows.*"]
    shared = {allowed.rpartition(".")[2] for allowed in contract["ignore_imports"]}
    assert shared == {"shared", "advancing"}
    assert set(catalog.DEFINITIONS) == set(WorkflowKind)


def test_no_function_of_the_service_imports_another_module_of_it() -> None:
    """But for migrations and the stores of the extra.

    Importing Alembic takes a third of a second, and most starts have nothing to migrate; the libraries of Azure and
    Google are not installed everywhere.
    """
    found = {
        (path.stem, node.module)
        for path in (ROOT / "src/registry_tui/service").rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("registry_tui.service")
    }
    assert found == {
        ("database", "registry_tui.service.database.migrations"),
        ("opening", "registry_tui.service.stores.azure"),
        ("opening", "registry_tui.service.stores.google"),
    }
