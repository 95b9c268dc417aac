"""A small in-memory server with the responses of a platform's MLflow server to a stock one that registers there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_API, _ARTIFACTS = "/api/2.0/mlflow/", "/api/2.0/mlflow-artifacts/artifacts"
ARCHIVE = "workspaces/lab/registry/m1/v1/files"


@dataclass
class LittlePlatform:
    """Everything is in the project `lab`; other addresses answer 404."""

    #: `127.0.0.1:PORT`.
    place: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    experiments: list[str] = field(default_factory=list)
    #: By their IDs: the fields of the request, and the status.
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: The bodies that asked for versions.
    versions: list[dict[str, Any]] = field(default_factory=list)
    models: list[dict[str, Any]] = field(default_factory=list)
    authorizations: set[str | None] = field(default_factory=set)
    refuses_versions: bool = False
    #: Makes versions, and answers with this status; 0: ends the connection without an answer.
    loses_answers: int | None = None
    #: Then makes none.
    forgets_versions: bool = False
    #: How often models were asked for.
    asked: int = 0
    #: Files are not taken before it is set.
    open: threading.Event = field(default_factory=threading.Event)
    #: Characters that are lost at the end of each file.
    loses: int = 0

    def call(self, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The answer of MLflow's REST API."""
        if path == "experiments/get-by-name":
            if sent["experiment_name"] not in self.experiments:
                return _error(404, "RESOURCE_DOES_NOT_EXIST")
            experiment = {"experiment_id": "7", "name": sent["experiment_name"], "lifecycle_stage": "active"}
            return 200, {"experiment": experiment}
        if path == "experiments/create":
            self.experiments.append(sent["name"])
            return 200, {"experiment_id": "7"}
        if path == "runs/create":
            run = f"run{len(self.runs)}"
            self.runs[run] = {**sent, "status": "RUNNING"}
            return 200, {"run": {"info": _info(run)}}
        if path in ("runs/update", "runs/delete"):
            self.runs[sent["run_id"]]["status"] = sent.get("status", "DELETED")
            return 200, {"run_info": _info(sent["run_id"])}
        if path == "registered-models/create":
            self.models.append(sent)
            return 200, {"registered_model": sent}
        if path == "registered-models/get":
            self.asked += 1
            if sent["name"] not in [model["name"] for model in self.models]:
                return _error(404, "RESOURCE_DOES_NOT_EXIST")
            return 200, {"registered_model": {"name": sent["name"]}}
        if path == "model-versions/create":
            if self.refuses_versions:
                return _error(400, "INVALID_PARAMETER_VALUE")
            made = {**sent, "version": str(len(self.versions) + 1), "status": "READY"}
            if not self.forgets_versions:
                self.versions.append(made)
            if self.loses_answers is not None:
                return _error(self.loses_answers, "INTERNAL_ERROR")
            return 200, {"model_version": made}
        if path == "model-versions/get":
            return 200, {"model_version": self.versions[int(sent["version"]) - 1]}
        if path == "model-versions/search":
            found = [each for each in self.versions if sent["filter"] == f"run_id = '{each['run_id']}'"]
            return 200, {"model_versions": found}
        if path == "model-versions/get-download-uri":
            return 200, {"artifact_uri": f"mlflow-artifacts:/{ARCHIVE}"}
        return _error(404, "ENDPOINT_NOT_FOUND")

    def folder(self, path: str) -> dict[str, Any]:
        """The answer of the artifact proxy to a listing."""
        found: dict[str, dict[str, Any]] = {}
        for name, content in self.files.items():
            if name.startswith(f"{path}/"):
                first, deeper, _ = name.removeprefix(f"{path}/").partition("/")
                found[first] = (
                    {"path": first, "is_dir": True}
                    if deeper
                    else {"path": first, "is_dir": False, "file_size": len(content)}
                )
        return {"files": list(found.values())}


@contextmanager
def little_platform() -> Iterator[LittlePlatform]:
    """Serves one, at a port of its own."""
    platform = LittlePlatform()
    platform.open.set()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            platform.authorizations.add(self.headers.get("Authorization"))
            parts = urlsplit(self.path)
            path = parts.path.removeprefix("/projects/lab")
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            if path == parts.path:
                self.send(404, b"{}")
            elif path == _ARTIFACTS:
                self.send(200, json.dumps(platform.folder(query["path"])).encode())
            elif path.startswith(f"{_ARTIFACTS}/"):
                name = unquote(path.removeprefix(f"{_ARTIFACTS}/"))
                if self.command == "PUT":
                    platform.open.wait()
                    platform.files[name] = body[: len(body) - platform.loses] if platform.loses else body
                    self.send(200, b"{}")
                else:
                    self.send(200 if name in platform.files else 404, platform.files.get(name, b"{}"))
            else:
                status, found = platform.call(path.removeprefix(_API), query | (json.loads(body) if body else {}))
                self.send(status, json.dumps(found).encode())

        def send(self, status: int, content: bytes) -> None:
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = answer

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        platform.place = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield platform
        finally:
            server.shutdown()
            thread.join()


def _info(run: str) -> dict[str, str]:
    uri = f"mlflow-artifacts:/workspaces/lab/7/{run}/artifacts"
    return {"run_id": run, "run_uuid": run, "experiment_id": "7", "artifact_uri": uri, "status": "RUNNING"}


def _error(status: int, code: str) -> tuple[int, dict[str, Any]]:
    return status, {"error_code": code, "message": f"{code} of the little platform"}
