"""Stock MLflow servers and processes that benchmarks compare the platform with."""

from __future__ import annotations

import compileall
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import registry_tui

START_SECONDS = 90


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder with a short name, gone at the end; a SIGTERM too ends with cleaning up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    folder = Path(tempfile.mkdtemp(prefix="rt-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(extra: Mapping[str, str] = {}) -> dict[str, str]:
    """The environment of both sides: no settings of the caller's MLflow, bytecode kept as in an installed program."""
    foreign = ("MLFLOW_", "_MLFLOW_", "AWS_", "REGISTRY_TUI_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    # The stock server starts five more processes for jobs that the platform does not offer: left out on both sides.
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    return {**kept, **quiet, **extra}


def compile_project() -> None:
    """Writes the project's bytecode, as pip does for an installed package; MLflow's is there already."""
    compileall.compile_dir(Path(registry_tui.__file__).parent, quiet=2)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def process(command: list[str], log: Path, extra: Mapping[str, str] = {}) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, which is ended with all it started."""
    with log.open("ab") as out:
        started = subprocess.Popen(
            command, env=environment(extra), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield started
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(started.pid, number)
                started.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def stock_command(database: Path, folder: Path, port: int) -> list[str]:
    """`mlflow server` on SQLite, with one worker as the platform has."""
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(folder / "artifacts")),
    ]


@contextmanager
def stock_mlflow(database: Path, folder: Path) -> Iterator[httpx.Client]:
    """A stock `mlflow server` that answers."""
    port, log = free_port(), folder / "stock.log"
    with process(stock_command(database, folder, port), log) as started:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=None)
        wait_until_it_answers(client, started, log)
        yield client


def wait_until_it_answers(client: httpx.Client, started: subprocess.Popen[bytes], log: Path) -> float:
    """Waits for the answer to a search of experiments; returns the clock's time (`time.perf_counter`) of it."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            if client.post("/api/2.0/mlflow/experiments/search", json={"max_results": 1}).is_success:
                return time.perf_counter()
        except httpx.TransportError:
            pass  # not listening yet
        if started.poll() is not None or time.monotonic() > until:
            sys.exit(f"It does not start. Its log ends with:\n{log.read_text()[-2000:]}")
        time.sleep(0.01)
