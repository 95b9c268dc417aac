"""A small server with the responses of a test, in the place of an MLflow server."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SEARCH = "/api/2.0/mlflow/experiments/search"
LOGGED = "/api/2.0/mlflow/logged-models/search"
#: Status and content of an answer; a text of a redirection is its target.
Answer = tuple[int, object]


@dataclass
class Server:
    url: str
    answers: dict[str, Answer]
    seen: list[tuple[str, str | None]] = field(default_factory=list)


#: The responses of a server that can be attached.
ATTACHABLE: dict[str, Answer] = {SEARCH: (200, {}), "/version": (200, "3.17.0")}
_API = "/api/2.0/mlflow"


def with_model(name: str, version: int) -> dict[str, Answer]:
    """The answers of a server that has one registered model, with one version and the alias `champion`."""
    run = "0123456789abcdef" * 2
    info = {"run_id": run, "run_name": "trained", "experiment_id": "1", "lifecycle_stage": "active"}
    source = f"mlflow-artifacts:/1/{run}/artifacts/model"
    registered = {"name": name, "version": str(version), "status": "READY", "source": source, "run_id": run}
    model = {"name": name, "aliases": [{"alias": "champion", "version": str(version)}]}
    content = "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\nmodel_uuid: x\n"
    return {
        **ATTACHABLE,
        f"{_API}/registered-models/search": (200, {"registered_models": [model]}),
        f"{_API}/registered-models/get": (200, {"registered_model": model}),
        f"{_API}/model-versions/search": (200, {"model_versions": [registered]}),
        f"{_API}/runs/get": (200, {"run": {"info": info, "data": {}}}),
        f"{_API}/experiments/get": (200, {"experiment": {"experiment_id": "1", "name": "churn"}}),
        f"{_API}/artifacts/list": (200, {"files": [{"path": "model/MLmodel", "file_size": len(content)}]}),
        "/get-artifact": (200, content),
    }


@contextmanager
def serving(answers: dict[str, Answer], context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server that responds by path; other paths get Flask's page for unknown addresses."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.seen.append((self.path, self.headers.get("Authorization")))
            missing: Answer = (404, "<!doctype html><title>404 Not Found</title>")
            found = made.answers.get(self.path, missing)
            # All queries of a path get the same response.
            status, content = found if found is not missing else made.answers.get(self.path.partition("?")[0], missing)
            text = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", text.decode())
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Server(f"http{'' if context is None else 's'}://127.0.0.1:{server.server_port}", answers)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
