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

from support.platforms import PATIENCE, PLAIN, clean_environment, wait_for
from support.team import free_port

ADMIN, PASSWORD = "root", "root's own password"


@dataclass(frozen=True)
class StockServer:
    """A running server; calls are those of a user, where it has users."""

    url: str
    log: Path
    auth: tuple[str, str] | None = None

    def call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """One call below `/api/2.0/mlflow/`, or, with a leading slash, below the prefix."""
        address = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        answer = httpx.request(
            method, f"{self.url}{address}", auth=self.auth, timeout=PATIENCE, trust_env=False, verify=PLAIN, **request
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

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
    folder: Path, *, prefix: str = "", auth: bool = False, python: str = sys.executable
) -> Iterator[StockServer]:
    """A server with a database and artifacts of its own in a folder; `python` has the MLflow that it is of."""
    port = free_port()
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    command += ["--static-prefix", prefix] if prefix else []
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true"}
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
            # A group of its own: what it starts is ended with it.
            start_new_session=True,
        )
    server = StockServer(f"http://127.0.0.1:{port}{prefix}", log, (ADMIN, PASSWORD) if auth else None)
    try:
        wait_for(lambda: _answers(server, process), what="MLflow's server")
        yield server
    finally:
        _end(process)


def _answers(server: StockServer, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, server.log.read_text(errors="replace")[-3000:]
    try:
        answer = httpx.post(
            f"{server.url}/api/2.0/mlflow/experiments/search",
            json={"max_results": 1},
            auth=server.auth,
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
