"""Served predictions: a deployment through the gateway beside `mlflow models serve` and a bare FastAPI app.

    python bench/serving.py [--seconds 5]

One platform, one model (scikit-learn's ElasticNet on the wine data), one replica or worker each, load by wrk at 1 and
at 16 connections: one row a request, then a frame of 2 000 rows. All checks are on: API key, request limits, sums.
Prints requests/s, p50, p99, failures, resident memory and the time to the first answer of each side, and the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from budgets import Judge

from registry_tui.platform import lifecycle, processes
from registry_tui.platform.paths import Home

ROWS = 2000

TRAIN = """
import sys, mlflow
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import ElasticNet
data = load_wine(as_frame=True)
mlflow.set_experiment("bench")
with mlflow.start_run():
    model = ElasticNet(alpha=0.1).fit(data.data, data.target)
    signature = infer_signature(data.data, model.predict(data.data))
    mlflow.sklearn.log_model(model, name="model", signature=signature, input_example=data.data.head(2),
                             registered_model_name="Bench", skops_trusted_types=None)
"""

FASTAPI = """
import os
import mlflow.pyfunc, pandas
from fastapi import FastAPI, Request
app = FastAPI()
model = mlflow.pyfunc.load_model(os.environ["BENCH_MODEL"])

@app.post("/invocations")
async def invocations(request: Request):
    split = (await request.json())["dataframe_split"]
    frame = pandas.DataFrame(split["data"], columns=split["columns"])
    return {"predictions": model.predict(frame).tolist()}

@app.get("/ping")
def ping():
    return "ok"
"""


@dataclass
class Side:
    """One server: where it answers, its processes, and the seconds from its start to its first answer."""

    name: str
    url: str
    pids: list[int]
    ready_seconds: float
    key: str = ""


@dataclass
class Measured:
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    failures: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    seconds = parser.parse_args().seconds
    if shutil.which("wrk") is None:
        sys.exit("bench/serving.py needs wrk (Debian: apt-get install wrk): a Python client is slower than the servers")
    with tempfile.TemporaryDirectory(prefix="rt-bench-") as folder:
        home = Home(Path(folder) / "h")
        try:
            list(lifecycle.up(home))
            return run(home, Path(folder), seconds)
        finally:
            lifecycle.down(home)


def run(home: Home, folder: Path, seconds: int) -> int:
    """Prints all sides; returns the exit code."""
    judge = Judge("serving")
    model = train(home, folder)
    bodies = {"1 row": folder / "small.json", f"{ROWS} rows": folder / "large.json"}
    write_bodies(model, *bodies.values())
    results: dict[str, dict[tuple[str, int], Measured]] = {}
    with deployed(home) as ours:
        results[ours.name] = measure(ours, bodies, folder, seconds)
        report_side(ours)
    with mlflow_serve(model, folder) as theirs:
        results[theirs.name] = measure(theirs, bodies, folder, seconds)
        report_side(theirs)
    with bare_fastapi(model, folder) as bare:
        results[bare.name] = measure(bare, bodies, folder, seconds)
        report_side(bare)
    print(f"\n{'':<34}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'failed':>8}")
    for what in bodies:
        for connections in (1, 16):
            print(f"{what}, {connections} connection{'s' if connections > 1 else ''}")
            for name, measured in results.items():
                found = measured[what, connections]
                numbers = (
                    f"{found.requests_per_second:12.0f}{found.p50_ms:10.1f}{found.p99_ms:10.1f}{found.failures:8d}"
                )
                print(f"  {name:<32}{numbers}")
            mine, theirs_, bare_ = (results[side.name][what, connections] for side in (ours, theirs, bare))
            ratio = mine.requests_per_second / theirs_.requests_per_second
            beside_bare = mine.requests_per_second / bare_.requests_per_second
            print(f"  {'ratio to mlflow models serve':<32}{ratio:12.2f} ×")
            print(f"  {'ratio to the bare FastAPI app':<32}{beside_bare:12.2f} ×")
            judge.measured("requests/s beside a bare FastAPI app", beside_bare)
            judge.measured("failures", mine.failures)
            if connections == 16 and what == "1 row":
                judge.measured("requests/s beside mlflow models serve, 16 connections", ratio)
                judge.measured("p99 beside mlflow models serve, 16 connections", mine.p99_ms / theirs_.p99_ms)
    return judge.end()


def command(home: Home, *arguments: str) -> str:
    environment = {**os.environ, "REGISTRY_TUI_HOME": str(home.root)}
    done = subprocess.run(
        [sys.executable, "-m", "registry_tui", *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def train(home: Home, folder: Path) -> Path:
    """Registers the model, and fetches its files for the other sides."""
    exports = json.loads(command(home, "env", "--project", "default", "--json"))
    script = folder / "train.py"
    script.write_text(TRAIN.replace(", skops_trusted_types=None", ""))
    environment = {**os.environ, **exports}
    subprocess.run([sys.executable, str(script)], env=environment, check=True, capture_output=True)
    target = folder / "model"
    code = "import mlflow, sys; mlflow.artifacts.download_artifacts('models:/Bench/1', dst_path=sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(target)], env=environment, check=True, capture_output=True)
    return target


def write_bodies(model: Path, small: Path, large: Path) -> None:
    example = json.loads((model / "serving_input_example.json").read_text())["dataframe_split"]
    row = example["data"][0]
    small.write_text(json.dumps({"dataframe_split": {"columns": example["columns"], "data": [row]}}))
    large.write_text(json.dumps({"dataframe_split": {"columns": example["columns"], "data": [row] * ROWS}}))


@contextmanager
def deployed(home: Home) -> Iterator[Side]:
    key = command(home, "keys", "create", "bench").strip()
    began = time.monotonic()
    # This linear model rounds otherwise for other numbers of rows, so that `auto` would predict each request alone.
    arguments = ["create", "bench", "--project", "default", "--model", "Bench", "--version", "1", "--batching", "on"]
    arguments += ["--json"]
    found = json.loads(command(home, "deployments", *arguments))
    ready = time.monotonic() - began
    known = processes.ours(home)
    pids = [pid for pid, part in known.items() if part in ("replica", "gateway")]
    yield Side("registry-tui, gateway + 1 replica", found["endpoint_url"], pids, ready, key)
    command(home, "deployments", "stop", "bench")


@contextmanager
def mlflow_serve(model: Path, folder: Path) -> Iterator[Side]:
    port = free_port()
    arguments = ["models", "serve", "-m", str(model), "--env-manager", "local", "--host", "127.0.0.1"]
    with serving([sys.executable, "-m", "mlflow", *arguments, "--port", str(port)], {}, folder, port) as (pid, ready):
        yield Side("mlflow models serve, 1 worker", f"http://127.0.0.1:{port}", [pid], ready)


@contextmanager
def bare_fastapi(model: Path, folder: Path) -> Iterator[Side]:
    port = free_port()
    (folder / "bare_app.py").write_text(textwrap.dedent(FASTAPI))
    environment = {"BENCH_MODEL": str(model), "PYTHONPATH": str(folder)}
    arguments = [
        "bare_app:app",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-access-log",
        "--log-level",
        "warning",
    ]
    with serving([sys.executable, "-m", "uvicorn", *arguments], environment, folder, port) as (pid, ready):
        yield Side("bare FastAPI app, 1 worker", f"http://127.0.0.1:{port}", [pid], ready)


@contextmanager
def serving(arguments: list[str], environment: dict[str, str], folder: Path, port: int) -> Iterator[tuple[int, float]]:
    began = time.monotonic()
    told = folder / f"serving-{port}.log"
    # `mlflow models serve` looks for uvicorn on the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with told.open("wb") as log:
        process = subprocess.Popen(
            arguments, env={**os.environ, "PATH": path, **environment}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        while True:
            if process.poll() is not None:
                sys.exit(told.read_text()[-2000:])
            try:
                if httpx.get(f"http://127.0.0.1:{port}/ping", trust_env=False).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield process.pid, time.monotonic() - began
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def measure(side: Side, bodies: dict[str, Path], folder: Path, seconds: int) -> dict[tuple[str, int], Measured]:
    found = {}
    for what, body in bodies.items():
        headers = {"Content-Type": "application/json"}
        if side.key:
            headers["Authorization"] = f"Bearer {side.key}"
        answer = httpx.post(f"{side.url}/invocations", content=body.read_bytes(), headers=headers, trust_env=False)
        assert answer.status_code == 200, answer.text
        script = folder / "wrk.lua"
        lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
        script.write_text(f'wrk.method = "POST"\n{chr(10).join(lines)}\nwrk.body = io.open("{body}"):read("*a")\n')
        for connections in (1, 16):
            wrk(side.url, connections, 1, script)  # warm
            found[what, connections] = wrk(side.url, connections, seconds, script)
    return found


def wrk(url: str, connections: int, seconds: int, script: Path) -> Measured:
    arguments = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", str(script)]
    done = subprocess.run(["wrk", *arguments, f"{url}/invocations"], capture_output=True, text=True, check=True)
    text = done.stdout
    failures = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    for numbers in re.findall(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text):
        failures += sum(map(int, numbers))
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert rate is not None, text
    return Measured(float(rate[1]), percentile(text, 50), percentile(text, 99), failures)


def percentile(text: str, share: int) -> float:
    found = re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s)", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def report_side(side: Side) -> None:
    memory = sum(processes.memory(pid) or 0 for pid in side.pids)
    print(f"{side.name:<36} ready after {side.ready_seconds:5.1f} s, {memory / 1e6:6.0f} MB", flush=True)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: Any = listener.getsockname()[1]
        return int(port)


if __name__ == "__main__":
    sys.exit(main())
