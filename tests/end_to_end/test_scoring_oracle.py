"""Responses of deployments and of `mlflow models serve` on the same model: status and JSON, all input formats."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry_tui.schemas.deployments import Deployment, DeploymentCreate
from support.platforms import Platform, clean_environment, unique, wait_for
from support.served import finish

JSON = "application/json"

#: Stock code that logs the demo's kinds of model, and one with params and free output.
TRAIN = """
import mlflow, numpy, pandas, json
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ParamSchema, ParamSpec, Schema, ColSpec
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

mlflow.set_experiment("oracle")

def log(name, model, data, **options):
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            model, name="model", registered_model_name=PREFIX + name, input_example=data.head(3),
            signature=infer_signature(data, model.predict(data)), serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"], **options)

wine, sick, digits = load_wine(as_frame=True), load_breast_cancer(as_frame=True), load_digits(as_frame=True)
log("Regressor", ElasticNet(alpha=0.1).fit(wine.data, wine.target), wine.data)
classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
log("Classifier", classifier.fit(wine.data, wine.target), wine.data)
boosted = GradientBoostingClassifier(n_estimators=10).fit(sick.data, sick.target)
log("Probabilities", boosted, sick.data, pyfunc_predict_fn="predict_proba")
log("Digits", MLPClassifier((8,), max_iter=20).fit(digits.data, digits.target), digits.data)

class Free(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        scale = (params or {}).get("scale", 1.0)
        return pandas.DataFrame({
            "sum": model_input["x"] * scale + model_input["n"],
            "word": model_input["word"].str.upper(),
            "nothing": [None] * len(model_input),
            "not a number": [float("nan")] * len(model_input),
        })

frame = pandas.DataFrame({"x": [1.5, -2.0], "n": [1, 2], "word": ["é", "b"]})
inputs = Schema([ColSpec("double", "x"), ColSpec("long", "n"), ColSpec("string", "word")])
params = ParamSchema([ParamSpec("scale", "double", 1.0)])
with mlflow.start_run():
    mlflow.pyfunc.log_model(name="model", python_model=Free(), registered_model_name=PREFIX + "Free",
                            signature=ModelSignature(inputs=inputs, params=params), input_example=frame,
                            pip_requirements=["mlflow"])
print("RESULT done")
"""


def bodies(example: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Requests by name: content type and body. `example` is the model's own `dataframe_split`."""
    columns, rows = example["columns"], example["data"]
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    by_column = {column: [row[place] for row in rows] for place, column in enumerate(columns)}
    split = {"columns": columns, "data": rows}
    table = "\n".join([",".join(map(str, columns)), *(",".join(map(str, row)) for row in rows)])
    holes = {**split, "data": [[None, *row[1:]] for row in rows]}
    words = {**split, "data": [["many", *row[1:]] for row in rows]}

    def as_json(value: Any) -> tuple[str, str]:
        return JSON, json.dumps(value)

    return {
        "dataframe_split": as_json({"dataframe_split": split}),
        "one row": as_json({"dataframe_split": {**split, "data": rows[:1]}}),
        "dataframe_split with an index": as_json(
            {"dataframe_split": {**split, "index": [7 + n for n in range(len(rows))]}}
        ),
        "dataframe_records": as_json({"dataframe_records": records}),
        "records in another order": as_json({"dataframe_records": [dict(reversed(each.items())) for each in records]}),
        "instances of objects": as_json({"instances": records}),
        "instances of lists": as_json({"instances": rows}),
        "inputs by column": as_json({"inputs": by_column}),
        "inputs of lists": as_json({"inputs": rows}),
        "with params": as_json({"dataframe_split": split, "params": {"scale": 2.5}}),
        "wrong params": as_json({"dataframe_split": split, "params": {"scale": "much"}}),
        "csv": ("text/csv", table),
        "json with a charset": ("application/json; charset=utf-8", json.dumps({"dataframe_split": split})),
        "an odd charset": ("application/json; charset=latin-1", json.dumps({"dataframe_split": split})),
        "missing values": as_json({"dataframe_split": holes}),
        "not a number": (JSON, json.dumps({"dataframe_split": holes}).replace("null", "NaN")),
        "words for numbers": as_json({"dataframe_split": words}),
        "a column too few": as_json({"dataframe_split": {"columns": columns[1:], "data": [row[1:] for row in rows]}}),
        "a column too many": as_json(
            {"dataframe_split": {"columns": [*columns, "extra"], "data": [[*row, 1.0] for row in rows]}}
        ),
        "rows of other lengths": as_json({"dataframe_split": {"columns": columns, "data": [rows[0], rows[0][1:]]}}),
        "no rows": as_json({"dataframe_split": {"columns": columns, "data": []}}),
        "no known key": as_json({"rows": rows}),
        "two keys": as_json({"inputs": rows, "instances": rows}),
        "a list": as_json(rows),
        "a number": as_json(3),
        "nothing": (JSON, ""),
        "half of it": (JSON, '{"dataframe_split": {"columns": ['),
        "no text": (JSON, "\udcff"),
        "an unknown type": ("application/x-odd", "1"),
        "csv of nothing": ("text/csv", ""),
    }


@contextmanager
def oracle(model: Path, folder: Path) -> Iterator[str]:
    """`mlflow models serve` on a model's folder; its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    scripts = Path(sys.executable).parent
    environment = {**clean_environment(), "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local"]
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, (folder / f"{port}.log").read_text()
        try:
            return httpx.get(f"{url}/ping", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        wait_for(answers, what="mlflow models serve")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def ask(url: str, content_type: str, body: str) -> httpx.Response:
    content = body.encode(errors="surrogateescape")
    headers = {"Content-Type": content_type}
    return httpx.post(f"{url}/invocations", content=content, headers=headers, trust_env=False, timeout=300)


def told(response: httpx.Response) -> tuple[int, Any]:
    """The comparable part of a response.

    A stack trace names the server's own files, and the order in which MLflow's messages list a set differs by process.
    """
    try:
        found = response.json()
    except ValueError:
        return response.status_code, response.text
    if isinstance(found, dict):
        found.pop("stack_trace", None)
        if "message" in found:
            found["message"] = sorted(re.findall(r"\w+", found["message"]))
    return response.status_code, found


@pytest.fixture(scope="module")
def models(platform: Platform) -> tuple[str, str]:
    """A project whose registry has the trained models, and the prefix of their names."""
    from support.platforms import run_python

    project, prefix = platform.new_project(), unique("Oracle")
    run_python(f"PREFIX = {prefix!r}\n{TRAIN}", platform.exports(project.id))
    return project.id, prefix


@pytest.mark.parametrize("name", ["Regressor", "Classifier", "Probabilities", "Digits", "Free"])
def test_answers_equal_those_of_mlflow(platform: Platform, models: tuple[str, str], name: str, tmp_path: Path) -> None:
    project_id, prefix = models
    request = DeploymentCreate(
        name=unique("oracle"), project=project_id, model=prefix + name, version=1, authentication=False, own_port=True
    )
    accepted = platform.ask(lambda client: client.create_deployment(request))
    finish(platform, accepted.workflow)
    deployment: Deployment = platform.ask(lambda client: client.deployment(accepted.resource.id))
    files = next((platform.home.serving / "models").glob(f"*/{_version_id(platform, deployment)}/files"))
    example = json.loads((files / "serving_input_example.json").read_text())["dataframe_split"]
    requests = bodies(example)
    with oracle(files, tmp_path) as theirs:
        differing = {}
        expected = {}
        for what, (content_type, body) in requests.items():
            expected[what] = told(ask(theirs, content_type, body))
            found = told(ask(deployment.endpoint_url, content_type, body))
            if found != expected[what]:
                differing[what] = (found, expected[what])
        assert not differing, json.dumps(differing, indent=1)
        assert expected["dataframe_split"][0] == 200 and expected["half of it"][0] == 400
        # The same in company: many at once share calls of the model, and nobody gets another's answer.
        good = [what for what in requests if expected[what][0] == 200]
        with ThreadPoolExecutor(16) as pool:
            together = list(
                pool.map(lambda what: (what, told(ask(deployment.endpoint_url, *requests[what]))), good * 8)
            )
        for what, found in together:
            assert found[0] == 200
            assert _close(found[1], expected[what][1]), (what, found, expected[what])
        if name == "Regressor":
            ports = [deployment.port, httpx.URL(theirs).port]
            answers = [by_scoring_client(example, port) for port in ports]
            assert answers[0] == answers[1] and answers[0]


def by_scoring_client(example: dict[str, Any], port: int | None) -> str:
    """The response to MLflow's own client, which takes a host and a port."""
    code = (
        "import pandas, json, sys\n"
        "from mlflow.pyfunc.scoring_server.client import ScoringServerClient\n"
        "split = json.load(sys.stdin)\n"
        "client = ScoringServerClient('127.0.0.1', int(sys.argv[1]))\n"
        "frame = pandas.DataFrame(split['data'], columns=split['columns'])\n"
        "print(json.dumps(client.invoke(frame).get_predictions().to_json(orient='values')))"
    )
    command = [sys.executable, "-c", code, str(port)]
    environment = clean_environment()
    done = subprocess.run(
        command, input=json.dumps(example), capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout


def _version_id(platform: Platform, deployment: Deployment) -> str:
    version = platform.ask(
        lambda client: client.version(deployment.registry_id, deployment.model_name, deployment.version)
    )
    return version.id


def _close(found: Any, expected: Any) -> bool:
    """Equal but for the last digits: linear algebra sums in another order over more rows."""
    if isinstance(expected, float) and isinstance(found, float):
        return found == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True)
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(_close(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(_close(*pair) for pair in zip(found, expected, strict=True))
    return bool(found == expected)
