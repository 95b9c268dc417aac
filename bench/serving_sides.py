"""The servers that `serving.py` compares, the models that they serve, and the bodies that they are sent."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy
import pandas
import psutil
import pyarrow
import pyarrow.ipc

from registry_tui.platform import processes
from registry_tui.platform.paths import Home

JSON, CSV, ARROW = "application/json", "text/csv", "application/vnd.apache.arrow.stream"
#: Shape of the input for the model with tensors: values of 4 bytes, 1 MiB in total.
TENSOR = (512, 512)
#: A package that the platform does not have, so that an environment is made for a model that asks for it.
ABSENT = "tabulate==0.9.0"

TRAIN = """
import sys, mlflow, numpy
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import Schema, TensorSpec
from sklearn.datasets import load_wine
from sklearn.linear_model import ElasticNet
data = load_wine(as_frame=True)
mlflow.set_experiment("bench")
model = ElasticNet(alpha=0.1).fit(data.data, data.target)
signature = infer_signature(data.data, model.predict(data.data))
for requirements in (["scikit-learn"], ["scikit-learn", ABSENT]):
    with mlflow.start_run():
        mlflow.sklearn.log_model(model, name="model", signature=signature, input_example=data.data.head(2),
                                 registered_model_name="Bench", pip_requirements=requirements)

class Sums(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.sum(axis=1)

with mlflow.start_run():
    inputs = Schema([TensorSpec(numpy.dtype("float32"), (-1, COLUMNS))])
    mlflow.pyfunc.log_model(name="model", python_model=Sums(), signature=ModelSignature(inputs=inputs),
                            registered_model_name="Tensor", pip_requirements=["mlflow"])
"""

FASTAPI = """
import io, os
import mlflow.pyfunc, numpy, pandas, pyarrow
from fastapi import FastAPI, Request
app = FastAPI()
model = mlflow.pyfunc.load_model(os.environ["BENCH_MODEL"])

@app.post("/invocations")
async def invocations(request: Request):
    kind = request.headers["content-type"]
    if kind == "text/csv":
        data = pandas.read_csv(io.BytesIO(await request.body()))
    elif kind == "application/vnd.apache.arrow.stream":
        data = pyarrow.ipc.open_stream(await request.body()).read_all().to_pandas()
    else:
        sent = await request.json()
        if "inputs" in sent:
            data = numpy.array(sent["inputs"], dtype="float32")
        else:
            data = pandas.DataFrame(sent["dataframe_split"]["data"], columns=sent["dataframe_split"]["columns"])
    return {"predictions": model.predict(data).tolist()}

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

    def processor_seconds(self) -> float:
        """Of all its processes so far."""
        found = 0.0
        for pid in self.pids:
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                times = each.cpu_times()
                found += times.user + times.system
        return found

    def memory(self) -> int:
        return sum(processes.memory(pid) or 0 for pid in self.pids)


@dataclass(frozen=True)
class Case:
    """A request body, its model, and the numbers of connections."""

    name: str
    body: Path
    content_type: str = JSON
    model: str = "Bench"
    most_connections: int = 64
    #: Whether MLflow's server takes it.
    known_to_mlflow: bool = True


def command(home: Home, *arguments: str) -> str:
    environment = {**os.environ, "REGISTRY_TUI_HOME": str(home.root)}
    done = subprocess.run(
        [sys.executable, "-m", "registry_tui", *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def train(home: Home, folder: Path) -> dict[str, Path]:
    """Registers the models, and fetches their files for the other sides."""
    exports = json.loads(command(home, "env", "--project", "default", "--json"))
    script = folder / "train.py"
    script.write_text(f"ABSENT, COLUMNS = {ABSENT!r}, {TENSOR[1]}\n{TRAIN}")
    environment = {**os.environ, **exports}
    subprocess.run([sys.executable, str(script)], env=environment, check=True, capture_output=True)
    code = "import mlflow, sys; mlflow.artifacts.download_artifacts(f'models:/{sys.argv[1]}/1', dst_path=sys.argv[2])"
    found = {name: folder / name for name in ("Bench", "Tensor")}
    for name, target in found.items():
        arguments = [sys.executable, "-c", code, name, str(target)]
        subprocess.run(arguments, env=environment, check=True, capture_output=True)
    return found


def cases(model: Path, folder: Path) -> list[Case]:
    """Writes all bodies."""
    example = json.loads((model / "serving_input_example.json").read_text())["dataframe_split"]
    columns, row = example["columns"], example["data"][0]

    def split(rows: int) -> Path:
        path = folder / f"{rows}.json"
        path.write_text(json.dumps({"dataframe_split": {"columns": columns, "data": [row] * rows}}))
        return path

    table = pandas.DataFrame([row] * 2000, columns=columns)
    table.to_csv(folder / "2000.csv", index=False)
    arrow = pyarrow.Table.from_pandas(table, preserve_index=False)
    with pyarrow.OSFile(str(folder / "2000.arrow"), "wb") as sink, pyarrow.ipc.new_stream(sink, arrow.schema) as stream:
        stream.write_table(arrow)
    values = numpy.random.default_rng(0).normal(size=TENSOR).astype("float32")
    (folder / "tensor.json").write_text(json.dumps({"inputs": values.tolist()}))
    return [
        Case("1 row", split(1)),
        Case("2 000 rows", split(2000)),
        # Of more than 8 of these bodies at a time, some would be refused: they are more bytes than may wait.
        Case("100 000 rows", split(100_000), most_connections=4),
        Case("2 000 rows as CSV", folder / "2000.csv", CSV),
        Case("2 000 rows in Arrow", folder / "2000.arrow", ARROW, known_to_mlflow=False),
        Case("tensor of 1 MiB", folder / "tensor.json", model="Tensor", most_connections=4),
    ]


@contextmanager
def deployed(home: Home, model: str, *more: str) -> Iterator[Side]:
    """A deployment of one replica behind the gateway, all checks on."""
    name = f"bench-{model.lower()}"
    key = command(home, "keys", "create", name).strip()
    began = time.monotonic()
    arguments = ["create", name, "--project", "default", "--model", model, "--version", "1", *more, "--json"]
    found = json.loads(command(home, "deployments", *arguments))
    before = set(processes.ours(home))
    ready = time.monotonic() - began
    replica = [pid for pid in before if _serves(pid, str(found["id"]))]
    gateway = [pid for pid, part in processes.ours(home).items() if part.startswith("gateway")]
    yield Side("registry-tui", found["endpoint_url"], [*gateway, *replica], ready, key)
    command(home, "deployments", "delete", name, "--force", "--yes")


def _serves(pid: int, deployment: str) -> bool:
    try:
        return any(deployment in part and part.endswith(".json") for part in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


@contextmanager
def mlflow_serve(model: Path, folder: Path) -> Iterator[Side]:
    port = free_port()
    arguments = ["models", "serve", "-m", str(model), "--env-manager", "local", "--host", "127.0.0.1"]
    with serving([sys.executable, "-m", "mlflow", *arguments, "--port", str(port)], {}, folder, port) as (pid, ready):
        yield Side("mlflow models serve", f"http://127.0.0.1:{port}", [pid], ready)


@contextmanager
def bare_fastapi(model: Path, folder: Path) -> Iterator[Side]:
    port = free_port()
    (folder / "bare_app.py").write_text(textwrap.dedent(FASTAPI))
    environment = {"BENCH_MODEL": str(model), "PYTHONPATH": str(folder)}
    arguments = ["bare_app:app", "--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
    arguments += ["--log-level", "warning"]
    with serving([sys.executable, "-m", "uvicorn", *arguments], environment, folder, port) as (pid, ready):
        yield Side("bare FastAPI app", f"http://127.0.0.1:{port}", [pid], ready)


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


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: Any = listener.getsockname()[1]
        return int(port)
