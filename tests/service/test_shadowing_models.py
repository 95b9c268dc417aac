"""A replica whose model brings modules of the server's and of Python's names: they take no module's place."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from registry_tui.contracts.replica_spec import Limits, ReplicaSpec
from support.platforms import PATIENCE, wait_for

ML_MODEL = """\
flavors:
  python_function:
    loader_module: loads_the_model
    code: code
    python_version: 3.11.0
mlflow_version: 3.17.2
model_uuid: shadow
"""
LOADER = """
import token

def _load_pyfunc(path):
    return Model()

class Model:
    def predict(self, data, params=None):
        if "fail" in data:
            raise ValueError("the model's own error")
        return data["a"].tolist()
"""
SERVER = (
    "uvicorn",
    "httptools",
    "uvloop",
    "h11",
    "click",
    "starlette",
    "fastapi",
    "mlflow",
    "pandas",
    "numpy",
    "yaml",
    "orjson",
)
BODY = {"dataframe_split": {"columns": ["a"], "data": [[1.5]]}}


class Connection(http.client.HTTPConnection):
    """A connection to a replica's socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("replica", timeout=PATIENCE)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def ask(path: Path, method: str, url: str, body: str = "", content_type: str = "application/json") -> tuple[int, bytes]:
    connection = Connection(path)
    try:
        connection.request(method, url, body, {"Content-Type": content_type})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_model_that_shadows_every_module_is_served(short_path: Path) -> None:
    shadow = "raise RuntimeError(f'{__name__} was shadowed by the model')\n"
    names = [name for name in {*sys.stdlib_module_names, *SERVER} if not name.startswith("_")]
    files = {f"code/{name}.py": shadow for name in names} | {f"{name}.py": shadow for name in ("json", "uvicorn")}
    files |= {"MLmodel": ML_MODEL, "code/loads_the_model.py": LOADER, "serving_input_example.json": json.dumps(BODY)}
    entries = []
    for name, text in files.items():
        path = short_path / "model" / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        entries.append({"path": name, "size": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()})
    (short_path / "model" / "manifest.json").write_text(json.dumps({"files": entries}))
    spec, replica = short_path / "1-0.json", short_path / "r.sock"
    limits = Limits(body_bytes=2000, seconds=120.0)
    model = str(short_path / "model")
    spec.write_text(ReplicaSpec("r", "d", model, "m", 1, str(replica), limits=limits).to_json())

    log = short_path / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-P", "-m", "registry_tui.serving", str(spec)]
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=short_path / "model" / "files" / "code")
    try:
        wait_for(lambda: process.poll() is not None or ask(replica, "GET", "/ping")[0] == 200, what="the replica")
        assert process.poll() is None, log.read_text()
        good = ask(replica, "POST", "/invocations", json.dumps(BODY))
        assert (good[0], json.loads(good[1])) == (200, {"predictions": [1.5]}), log.read_text()
        assert ask(replica, "POST", "/invocations", "a\n2.5\n", "text/csv") == (200, b'{"predictions": [2.5]}')
        assert ask(replica, "POST", "/invocations", "{")[0] == 400
        assert ask(replica, "POST", "/invocations", "x", "image/png")[0] == 415
        assert ask(replica, "POST", "/invocations", "x" * 3000)[0] == 413
        fails = {"dataframe_split": {"columns": ["fail"], "data": [[1]]}}
        status, body = ask(replica, "POST", "/invocations", json.dumps(fails))
        assert status >= 400 and b"shadowed" not in body
        os.kill(process.pid, signal.SIGTERM)
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert "shadowed" not in log.read_text(), log.read_text()
