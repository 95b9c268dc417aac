"""Archives in an environment's own store, as MLflow's server reads them from the service, file by file."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow.exceptions import MlflowException

from registry_tui.contracts.mlflow_routes import Location
from registry_tui.mlflow_plugin.artifacts import EnvironmentArtifactRepository
from registry_tui.mlflow_plugin.outside import OutsideFiles

FILES = {"m/v/files/MLmodel": b"flavors", "m/v/files/data/a.bin": b"aa", "m/v/files/data/b.bin": b""}


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        #: Method, kind and path of each request.
        self.seen: list[tuple[str, str, str]] = []
        self.broken = False


class _Handler(BaseHTTPRequestHandler):
    """Answers as the service does."""

    server: _Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        kind, path = url.path.rpartition("/")[2], parse_qs(url.query).get("path", [""])[0]
        self.server.seen.append((self.command, kind, path))
        below = {key.removeprefix(f"{path}/") for key in FILES if key.startswith(f"{path}/")}
        if self.server.broken:
            return self._answer(503, b'{"detail": "The store does not answer"}')
        if kind == "files":
            names = {name.partition("/")[0]: "/" in name for name in below}
            items = [{"path": name, "is_folder": folder, "size": 1} for name, folder in sorted(names.items())]
            return self._answer(200, json.dumps({"items": items}).encode())
        if path in FILES:
            return self._answer(200, FILES[path])
        return self._answer(422 if below else 404, b'{"detail": "no file"}')

    do_HEAD = do_GET

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def address_string(self) -> str:
        return "socket"

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[_Server]:
    with _Server(tmp_path / "s") as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def archives(tmp_path: Path, server: _Server) -> OutsideFiles:
    return OutsideFiles(tmp_path / "s", "archives/registry", "prefix")


def _at(path: str) -> Location:
    return Location(workspace="w", bucket="b", key=f"prefix/{path}", writable=False, registry="r", outside=True)


@pytest.fixture
def repository(archives: OutsideFiles, monkeypatch: pytest.MonkeyPatch) -> EnvironmentArtifactRepository:
    made = EnvironmentArtifactRepository.__new__(EnvironmentArtifactRepository)
    monkeypatch.setattr(made, "_outside", lambda _: archives)
    return made


def test_a_file_is_one_request(repository: EnvironmentArtifactRepository, server: _Server, tmp_path: Path) -> None:
    for path in ("m/v/files/MLmodel", "m/v/files/data/b.bin"):
        local = repository._download_outside(path, _at(path), str(tmp_path / "out"))
        assert Path(local).read_bytes() == FILES[path]
    assert server.seen == [("GET", "content", "m/v/files/MLmodel"), ("GET", "content", "m/v/files/data/b.bin")]


def test_a_folder_comes_with_all_its_files(repository: EnvironmentArtifactRepository, tmp_path: Path) -> None:
    local = Path(repository._download_outside("m/v/files", _at("m/v/files"), str(tmp_path / "out")))
    found = {path.relative_to(local).as_posix(): path.read_bytes() for path in local.rglob("*") if path.is_file()}
    assert found == {key.removeprefix("m/v/files/"): content for key, content in FILES.items()}


def test_what_is_not_there_is_reported_so(repository: EnvironmentArtifactRepository, tmp_path: Path) -> None:
    with pytest.raises(MlflowException) as raised:
        repository._download_outside("m/v/x", _at("m/v/x"), str(tmp_path / "out"))
    assert raised.value.error_code == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize(("path", "there"), [("MLmodel", True), ("data", False), ("x", False), ("data/b.bin", True)])
def test_whether_a_file_is_there_needs_no_list(archives: OutsideFiles, server: _Server, path: str, there: bool) -> None:
    assert archives.has(_at(f"m/v/files/{path}")) is there
    assert server.seen == [("HEAD", "content", f"m/v/files/{path}")]


def test_a_store_that_does_not_answer_is_no_missing_file(
    archives: OutsideFiles, repository: EnvironmentArtifactRepository, server: _Server, tmp_path: Path
) -> None:
    server.broken = True
    for ask in (archives.has, lambda at: repository._download_outside("m/v/x", at, str(tmp_path / "out"))):
        with pytest.raises(MlflowException) as raised:
            ask(_at("m/v/x"))
        assert raised.value.error_code == "TEMPORARILY_UNAVAILABLE"
