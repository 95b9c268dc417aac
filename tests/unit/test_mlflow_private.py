"""The plugin's dependencies on the installed MLflow besides `support/private_names/`: overrides and settings."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

import pytest
from mlflow import environment_variables
from mlflow.server import constants

from registry_tui.mlflow_plugin.artifacts import EnvironmentArtifactRepository
from registry_tui.mlflow_plugin.launch import server_environment
from registry_tui.mlflow_plugin.mlflow_private import OneFileRepository, RegistryStore
from registry_tui.mlflow_plugin.store import EnvironmentRegistryStore
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import Ports
from registry_tui.platform.secrets import load_secrets


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


@pytest.mark.parametrize("ours", [EnvironmentRegistryStore, EnvironmentArtifactRepository])
def test_every_method_of_ours_takes_what_mlflows_takes(ours: type) -> None:
    missing = []
    for name in dir(ours):
        above = [each for each in ours.__mro__ if name in vars(each)]
        theirs = next((each for each in above if each.__module__.startswith("mlflow.")), above[0])
        if theirs is above[0] or name.startswith("_") or not inspect.isfunction(vars(above[0])[name]):
            continue
        taken = inspect.signature(vars(above[0])[name]).parameters
        wanted = inspect.signature(vars(theirs)[name]).parameters
        if not any(each.kind is each.VAR_KEYWORD for each in taken.values()):
            missing += [f"{name}: {each}" for each in wanted if each not in taken]
    assert missing == []


def test_the_installed_mlflow_reads_the_settings_that_its_server_is_given(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    ports = Ports(*range(20001, 20001 + len(fields(Ports))))
    given = {name for name in server_environment(home, ports, load_secrets(home)) if "MLFLOW" in name}
    declared = {each.name for each in vars(environment_variables).values() if hasattr(each, "name")}
    declared |= {each for each in vars(constants).values() if isinstance(each, str)}
    assert given - declared == set()
