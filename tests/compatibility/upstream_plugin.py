"""A pytest plugin that gives MLflow's client tests a new project of our platform for each server that they start."""

from __future__ import annotations

import json
import os
import time
from multiprocessing.connection import Client
from typing import Any

import mlflow
import pytest
import requests
from mlflow import MlflowClient

from compatibility.upstream_left_out import LEFT_OUT, OWN_REGISTRY

#: Fixtures of MLflow's tests that start a server and return its client, and whether the tests need an empty registry
#: and register models that no run logged.
_CLIENTS = {"client": True, "mlflow_client": False}
_OTHER_SERVER = "it starts a server with settings of its own, or none"
_FILE_STORE = "the same test with a store in files, which the platform does not have"
#: Seconds for one registration.
_LONGEST = 60
#: Enough of an `MLmodel` file.
MODEL = "artifact_path: model\nflavors:\n  python_function:\n    loader_module: mlflow.sklearn\nmodel_uuid: m1\n"
_left_out = pytest.StashKey[dict[str, list[str]]]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out tests that cannot run against a platform, and keeps the reasons."""
    left_out = config.stash.setdefault(_left_out, {})
    kept, dropped = [], []
    for item in items:
        reason = _reason(item)
        if reason is None:
            kept.append(item)
        else:
            left_out.setdefault(reason, []).append(item.name)
            dropped.append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Prints the tests that were left out."""
    for reason, names in config.stash.get(_left_out, {}).items():
        terminalreporter.write_line(f"left out, {len(names)}: {reason}: {', '.join(sorted(names))}")
    counts = {
        name: len(terminalreporter.stats.get(name, ())) for name in ("passed", "failed", "error", "skipped", "xfailed")
    }
    counts["left out"] = sum(map(len, config.stash.get(_left_out, {}).values()))
    terminalreporter.write_line(", ".join(f"{count} {name}" for name, count in counts.items()))


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: pytest.FixtureRequest) -> object | None:
    """Makes the client of a new project where the test's own fixture would start a server."""
    if fixturedef.argname not in _CLIENTS:
        return None
    own_registry = _CLIENTS[fixturedef.argname] or request.function.__name__ in OWN_REGISTRY
    with Client(os.environ["COMPATIBILITY_PROJECTS"]) as connection:
        connection.send_bytes(json.dumps({"own_registry": own_registry}).encode())
        exports = json.loads(connection.recv_bytes())
    address = exports["MLFLOW_TRACKING_URI"]
    patch = pytest.MonkeyPatch()
    fixturedef.addfinalizer(patch.undo)
    for name, value in exports.items():
        # The address names the project too, and the tests are to see a server like any other.
        if name != "MLFLOW_WORKSPACE":
            patch.setenv(name, value)
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    fixturedef.addfinalizer(lambda: (mlflow.set_tracking_uri(before[0]), mlflow.set_registry_uri(before[1])))
    mlflow.set_tracking_uri(address)
    mlflow.set_registry_uri(address)
    _sign_bare_requests(patch, exports)
    client = _Registering(address) if _CLIENTS[fixturedef.argname] else MlflowClient(address)
    fixturedef.cached_result = (client, fixturedef.cache_key(request), None)
    return client


class _Registering(MlflowClient):  # type: ignore[misc]
    """Registers a model that a run logged where a test names a source and a run that do not exist.

    Stock MLflow stores any text as the source; the platform copies the files of a model.
    """

    def create_model_version(self, name: str, source: str, run_id: str | None = None, *others: Any, **more: Any) -> Any:
        """As MLflow's, but returns the version with its final state soon: MLflow's looks every three seconds."""
        if not source.startswith("models:/"):
            run = self.create_run("0").info
            self.log_text(run.run_id, MODEL, "model/MLmodel")
            source, run_id = f"runs:/{run.run_id}/model", run.run_id
        made = super().create_model_version(name, source, run_id, *others, **{**more, "await_creation_for": 0})
        until = time.monotonic() + _LONGEST
        while made.status == "PENDING_REGISTRATION" and time.monotonic() < until:
            time.sleep(0.05)
            made = self.get_model_version(name, made.version)
        return made


def _sign_bare_requests(patch: pytest.MonkeyPatch, exports: dict[str, str]) -> None:
    """Adds the account to requests that tests make without MLflow's client."""
    prepare = requests.Session.prepare_request

    def signed(self: requests.Session, request: requests.Request) -> requests.PreparedRequest:
        prepared = prepare(self, request)
        ours = str(prepared.url).startswith(exports["MLFLOW_TRACKING_URI"])
        if ours and "Authorization" not in prepared.headers:
            prepared.prepare_auth((exports["MLFLOW_TRACKING_USERNAME"], exports["MLFLOW_TRACKING_PASSWORD"]))
        return prepared

    patch.setattr(requests.Session, "prepare_request", signed)


def _reason(item: pytest.Item) -> str | None:
    if not isinstance(item, pytest.Function) or not _CLIENTS.keys() & set(item.fixturenames):
        return _OTHER_SERVER
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if "file" in (parameters.get("store_type"), parameters.get("client")):
        return _FILE_STORE
    return next((reason for reason, names in LEFT_OUT.items() if item.originalname in names), None)
