"""Stock MLflow servers, as anybody starts them: `mlflow server`, with or without its auth app and a path prefix."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from packaging.version import Version

from support.platforms import PATIENCE, PLAIN, clean_environment, wait_for
from support.team import free_port

#: The variable that names the Python of another MLflow; `tests/compatibility/attached.py` sets it.
PYTHON = "STOCK_MLFLOW_PYTHON"
_VERSION = "from importlib.metadata import version; print(version('mlflow'))"
ADMIN, PASSWORD = "root", "root's own password"


@dataclass(frozen=True)
class StockServer:
    """A running server; calls are those of a user, where it has users."""

    #: As its users name it; and where its REST API is, which MLflow 2 has beside its static prefix.
    url: str
    root: str
    log: Path
    #: The Python that has its MLflow.
    python: str
    auth: tuple[str, str] | None = None

    def call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """One call below `/api/2.0/mlflow/`, or, with a leading slash, below the prefix."""
        address = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        answer = httpx.request(
            method, f"{self.root}{address}", auth=self.auth, timeout=PATIENCE, trust_env=False, verify=PLAIN, **request
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    @property
    def version(self) -> Version:
        """The version of MLflow's package."""
        return Version(subprocess.check_output([self.python, "-c", _VERSION], text=True).strip())

    def upload(self, artifact_uri: str, path: str, content: bytes) -> None:
        """Stores a file below `mlflow-artifacts:/…`."""
        folder = artifact_uri.removeprefix("mlflow-artifacts:/").strip("/")
        address = f"{self.root}/api/2.0/mlflow-artifacts/artifacts/{folder}/{path}"
        answer = httpx.put(address, content=content, auth=self.auth, timeout=PATIENCE, trust_env=False, verify=PLAIN)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:500]}"

    def deny(self, user: str, experiment: str) -> None:
        """Takes all permissions for an experiment from a user."""
        if self.version >= Version("3.17"):
            grant = {"username": user, "resource_type": "experiment", "resource_id": experiment, "permission": "DENY"}
            self.call("POST", "/api/3.0/mlflow/users/permissions/grant", json=grant)
            return
        permission = {"experiment_id": experiment, "username": user, "permission": "NO_PERMISSIONS"}
        self.call("POST", "experiments/permissions/create", json=permission)

    def user(self, name: str) -> StockServer:
        """The same server as a new user of it."""
        password = f"the password of {name}"
        self.call("POST", "users/create", json={"username": name, "password": password})
        return replace(self, auth=(name, password))

    def experiment(self, name: str) -> str:
        """The ID of a new experiment."""
        return str(self.call("POST", "experiments/create", json={"name": name})["experiment_id"])

    def run(
        self,
        experiment: str,
        name: str,
        *,
        metrics: Mapping[str, Sequence[float]] = {},
        params: Mapping[str, str] = {},
        tags: Mapping[str, str] = {},
    ) -> str:
        """The ID of a new finished run; each value of a metric is one step of it."""
        began = 1_760_000_000_000
        made = {"experiment_id": experiment, "run_name": name, "start_time": began}
        run = str(self.call("POST", "runs/create", json=made)["run"]["info"]["run_id"])
        logged = {
            "run_id": run,
            "metrics": [
                {"key": key, "value": value, "timestamp": began + step, "step": step}
                for key, values in metrics.items()
                for step, value in enumerate(values)
            ],
            "params": [{"key": key, "value": value} for key, value in params.items()],
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        self.call("POST", "runs/log-batch", json=logged)
        self.call("POST", "runs/update", json={"run_id": run, "status": "FINISHED", "end_time": began + 100_000})
        return run


@contextmanager
def stock_server(
    folder: Path,
    *,
    prefix: str = "",
    auth: bool = False,
    registry: str | None = None,
    variables: Mapping[str, str] = {},
) -> Iterator[StockServer]:
    """A server with a database and artifacts of its own in a folder, of the MLflow that `PYTHON` names or our own.

    Its registered models may be in another registry, for which it gets variables.
    """
    port, python = free_port(), os.environ.get(PYTHON) or sys.executable
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    command += ["--static-prefix", prefix] if prefix else []
    command += ["--registry-store-uri", registry] if registry else []
    # Seven processes for jobs, which nothing here uses.
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **variables}
    if auth:
        command += ["--app-name", "basic-auth"]
        file = folder / "auth.ini"
        file.write_text(
            "[mlflow]\ndefault_permission = READ\n"
            f"database_uri = sqlite:///{folder / 'auth.db'}\n"
            f"admin_username = {ADMIN}\nadmin_password = {PASSWORD}\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        )
        environment |= {"MLFLOW_AUTH_CONFIG_PATH": str(file), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test alone"}
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own, so that its child processes end with it.
            start_new_session=True,
        )
    host, credentials = f"http://127.0.0.1:{port}", (ADMIN, PASSWORD) if auth else None
    roots = [f"{host}{prefix}", *([host] if prefix else [])]

    def found() -> str | None:
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        return next((root for root in roots if _answers(root, credentials)), None)

    try:
        root = wait_for(found, what="MLflow's server")
        yield StockServer(f"{host}{prefix}", root, log, python, credentials)
    finally:
        _end(process)


def _answers(root: str, auth: tuple[str, str] | None) -> bool:
    try:
        answer = httpx.post(
            f"{root}/api/2.0/mlflow/experiments/search",
            json={"max_results": 1},
            auth=auth,
            timeout=PATIENCE,
            trust_env=False,
            verify=PLAIN,
        )
    except httpx.HTTPError:
        return False
    return answer.is_success


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(30)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
