"""A pytest plugin that gives MLflow's client tests a new project of our platform for each server that they start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from registry_tui.platform.paths import Home
from support.platforms import Platform

#: Fixtures of MLflow's tests that start a server and return its client.
_CLIENTS = ("client", "mlflow_client")


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: pytest.FixtureRequest) -> object | None:
    """Makes the client of a new project where the test's own fixture would start a server."""
    if fixturedef.argname not in _CLIENTS:
        return None
    platform = Platform(Home(Path(os.environ["COMPATIBILITY_HOME"])))
    exports = platform.exports(platform.new_project(prefix="upstream").id)
    os.environ.update(exports)
    client = MlflowClient(exports["MLFLOW_TRACKING_URI"])
    client._store_type = "sqlalchemy"
    fixturedef.cached_result = (client, fixturedef.cache_key(request), None)
    return client


@pytest.fixture(autouse=True)
def environment_as_before() -> Iterator[None]:
    """Takes the exports back."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
