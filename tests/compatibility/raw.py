"""The same steps as R, Java, Go and `curl` take them: REST with name and password, and no other header."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

_ML_MODEL = b"""\
flavors:
  python_function:
    loader_module: mlflow.sklearn
    model_path: model.pkl
    python_version: 3.11.0
mlflow_version: 3.17.2
"""


class Rest:
    """Calls at a tracking URI."""

    def __init__(self, exports: dict[str, str]) -> None:
        self._http = httpx.Client(
            base_url=exports["MLFLOW_TRACKING_URI"],
            auth=(exports["MLFLOW_TRACKING_USERNAME"], exports["MLFLOW_TRACKING_PASSWORD"]),
            timeout=120,
            trust_env=False,
        )
        self._name = f"Rest{uuid.uuid4().hex[:8]}"
        self._run: dict[str, Any] = {}

    def call(self, method: str, path: str, **request: Any) -> Any:
        """The answer's JSON. Raises HTTPStatusError."""
        url = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        response = self._http.request(method, url, **request)
        response.raise_for_status()
        return response.json() if "json" in response.headers.get("content-type", "") else response.content

    def start_run_with_nothing_set(self) -> None:
        for body in ({"experiment_id": "0"}, {}):
            info = self.call("POST", "runs/create", json={"start_time": 1, **body})["run"]["info"]
            experiment = self.call("GET", "experiments/get", params={"experiment_id": info["experiment_id"]})
            assert experiment["experiment"]["name"] == "Default", experiment
        self._run = info

    def log(self) -> None:
        run = {"run_id": self._run["run_id"], "run_uuid": self._run["run_id"]}
        self.call("POST", "runs/log-metric", json={**run, "key": "rmse", "value": 1.5, "timestamp": 1})
        self.call("POST", "runs/log-parameter", json={**run, "key": "alpha", "value": "0.5"})
        self.call("POST", "runs/set-tag", json={**run, "key": "team", "value": "wine"})
        found = self.call("GET", "runs/get", params={"run_id": self._run["run_id"]})["run"]["data"]
        assert found["metrics"][0]["value"] == 1.5 and found["params"] == [{"key": "alpha", "value": "0.5"}]

    def log_batch(self) -> None:
        metrics = [{"key": "loss", "value": n, "timestamp": n, "step": n} for n in range(900)]
        self.call("POST", "runs/log-batch", json={"run_id": self._run["run_id"], "metrics": metrics})
        asked = {"run_id": self._run["run_id"], "metric_key": "loss"}
        assert len(self.call("GET", "metrics/get-history", params=asked)["metrics"]) == 900

    def artifacts(self) -> None:
        folder = self._run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for name, content in {"MLmodel": _ML_MODEL, "model.pkl": b"\x00" * 2000}.items():
            path = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/model/{name}"
            self.call("PUT", path, content=content)
            assert self._http.get(path).content == content
        listed = self.call("GET", "artifacts/list", params={"run_id": self._run["run_id"], "path": "model"})["files"]
        assert sorted(each["path"] for each in listed) == ["model/MLmodel", "model/model.pkl"]

    def register(self) -> None:
        self.call("POST", "registered-models/create", json={"name": self._name})
        body = {"name": self._name, "source": f"{self._run['artifact_uri']}/model", "run_id": self._run["run_id"]}
        version = self.call("POST", "model-versions/create", json=body)["model_version"]
        until = time.monotonic() + 120
        asked = {"name": self._name, "version": version["version"]}
        while version["status"] != "READY" and time.monotonic() < until:
            version = self.call("GET", "model-versions/get", params=asked)["model_version"]
        assert version["status"] == "READY", version

    def alias(self) -> None:
        body = {"name": self._name, "alias": "champion", "version": "1"}
        self.call("POST", "registered-models/alias", json=body)
        found = self.call("GET", "registered-models/alias", params={"name": self._name, "alias": "champion"})
        assert found["model_version"]["version"] == "1"

    def load(self) -> None:
        asked = {"name": self._name, "version": "1"}
        uri = self.call("GET", "model-versions/get-download-uri", params=asked)["artifact_uri"]
        path = f"/api/2.0/mlflow-artifacts/artifacts/{uri.removeprefix('mlflow-artifacts:/')}/MLmodel"
        assert self._http.get(path).content == _ML_MODEL

    def search(self) -> None:
        asked = {"filter": f"name = '{self._name}'"}
        found = self.call("GET", "model-versions/search", params=asked)["model_versions"]
        assert [each["version"] for each in found] == ["1"]
        runs = self.call("POST", "runs/search", json={"experiment_ids": ["0"], "filter": "params.alpha = '0.5'"})
        assert self._run["run_id"] in [each["info"]["run_id"] for each in runs["runs"]]

    def error_codes(self) -> None:
        missing = "0123456789abcdef0123456789abcdef"
        for method, path, request, expected in (
            ("GET", "runs/get", {"params": {"run_id": missing}}, (404, "RESOURCE_DOES_NOT_EXIST")),
            ("GET", "no/such/call", {}, (404, "ENDPOINT_NOT_FOUND")),
            ("POST", "runs/create", {"content": b"{", "headers": {"content-type": "application/json"}}, (400, None)),
            ("GET", "runs/get", {"params": {"run_id": missing}, "auth": ("nobody", "x")}, (401, "UNAUTHENTICATED")),
        ):
            response = self._http.request(method, f"/api/2.0/mlflow/{path}", **request)
            fields = response.json()
            assert (response.status_code, fields["error_code"]) == (expected[0], expected[1] or fields["error_code"])
            assert fields["message"], fields

    def delete(self) -> None:
        self.call("DELETE", "registered-models/delete", json={"name": self._name})
        self.call("POST", "runs/delete", json={"run_id": self._run["run_id"]})


def run(exports: dict[str, str], report: Callable[[dict[str, Any]], None]) -> None:
    """Does every step that REST has, and reports each as `steps.py` prints it."""
    rest = Rest(exports)
    names = ["start_run_with_nothing_set", "log", "log_batch", "artifacts", "register", "alias", "load", "search"]
    for name in [*names, "error_codes", "delete"]:
        began, outcome, reason = time.monotonic(), "ok", ""
        try:
            getattr(rest, name)()
        except Exception as error:
            outcome, reason = "failed", f"{type(error).__name__}: {error}"[:300]
        seconds = time.monotonic() - began
        report({"step": name, "outcome": outcome, "reason": reason, "seconds": seconds})
