"""MLflow's private names: the installed MLflow has each as it is used, and they are used in one module only."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import fields
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from mlflow import environment_variables
from mlflow.server import constants
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore

from registry_tui.mlflow_plugin import mlflow_private
from registry_tui.mlflow_plugin.artifacts import EnvironmentArtifactRepository
from registry_tui.mlflow_plugin.launch import server_environment
from registry_tui.mlflow_plugin.mlflow_private import USED, OneFileRepository, RegistryStore
from registry_tui.mlflow_plugin.store import EnvironmentRegistryStore
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import Ports
from registry_tui.platform.secrets import load_secrets

HERE = Path(mlflow_private.__file__).resolve()
FILES = sorted(path for path in HERE.parent.glob("*.py") if path != HERE)
PRIVATE = {use.replace(":", ".").rpartition(".")[2] for use in USED}


def found(use: str) -> Any:
    module, _, path = use.partition(":")
    return reduce(inspect.getattr_static, path.split("."), importlib.import_module(module))


@pytest.fixture(scope="module", autouse=True)
def importable_auth_app() -> Iterator[None]:
    """MLflow's auth app reads its settings while it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY", "unit-test")
        yield


@pytest.mark.parametrize("use", USED)
def test_the_installed_mlflow_has_the_name_as_it_is_used(use: str) -> None:
    value, parameters = found(use), USED[use]
    if isinstance(value, classmethod | staticmethod):
        value = value.__get__(None, object)
    if parameters is None:
        assert not callable(value)
    else:
        assert tuple(inspect.signature(value).parameters) == parameters


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_other_module_uses_a_private_name_of_mlflow(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    used = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in PRIVATE]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mlflow"):
            parts = [*str(node.module).split("."), *(each.name for each in node.names)]
            used += [part for part in parts if part.startswith("_")]
    assert used == []


@pytest.mark.parametrize(
    ("ours", "border"),
    [(EnvironmentRegistryStore, RegistryStore), (EnvironmentArtifactRepository, OneFileRepository)],
)
def test_no_class_of_ours_overrides_a_private_name_of_mlflow(ours: type, border: type) -> None:
    above = [each for each in ours.__mro__ if issubclass(each, border) and each is not border]
    mlflows = [each for each in ours.__mro__ if each.__module__.startswith("mlflow.")]
    overridden = [
        f"{each.__name__}.{name}"
        for each in above
        for name in vars(each)
        if name.startswith("_") and not name.startswith("__") and any(name in vars(base) for base in mlflows)
    ]
    assert [each for each in overridden if not each.endswith("._abc_impl")] == []


def test_every_overridden_name_is_in_the_list() -> None:
    for border, base in ((RegistryStore, WorkspaceAwareSqlAlchemyStore), (OneFileRepository, ArtifactRepository)):
        overridden = {name for name in vars(border) if name.startswith("_") and hasattr(base, name)}
        assert {name for name in overridden if not name.startswith("__") and name != "_abc_impl"} <= PRIVATE


def test_the_installed_mlflow_reads_the_settings_that_its_server_is_given(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    ports = Ports(*range(20001, 20001 + len(fields(Ports))))
    given = {name for name in server_environment(home, ports, load_secrets(home)) if "MLFLOW" in name}
    declared = {each.name for each in vars(environment_variables).values() if hasattr(each, "name")}
    declared |= {each for each in vars(constants).values() if isinstance(each, str)}
    assert given - declared == set()
