"""Files of an attached server: its refusals come before anything is sent on, and parts are the requested ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx
import pytest

from registry_tui.service.adapters.attached_mlflow import AttachedMlflow, ServerAddress
from registry_tui.service.adapters.mlflow_answers import OddAnswer
from registry_tui.service.errors import NotPermitted, PartUnavailable, ServiceError
from registry_tui.service.tracking.folders import RemoteFolder, run_artifacts

TEXT = b"0123456789"


@contextmanager
def folder(status: int, headers: dict[str, str], body: bytes) -> Iterator[RemoteFolder]:
    """A run's artifacts with one file of ten bytes, which is answered so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            listed = urlsplit(self.path).path.endswith("artifacts/list")
            text = b'{"files": [{"path": "file", "file_size": "10"}]}' if listed else body
            self.send_response(200 if listed else status)
            for name, value in ({} if listed else headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            address = ServerAddress(f"http://127.0.0.1:{server.server_port}")
            with closing(AttachedMlflow(address, httpx.Timeout(60.0, pool=0.2))) as client:
                yield run_artifacts(client, "r")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "kind"), [(403, NotPermitted), (500, PartUnavailable), (502, PartUnavailable)])
def test_a_file_that_the_server_does_not_send_is_refused_before_anything_is_sent_on(
    status: int, kind: type[ServiceError]
) -> None:
    with folder(status, {}, b"") as there, pytest.raises(kind):
        there.open("file", None)


@pytest.mark.parametrize("content_range", ["bytes 2-5/10", "Bytes  2-5/*"])
def test_a_part_is_sent_on_as_it_comes(content_range: str) -> None:
    with folder(206, {"Content-Range": content_range}, TEXT[2:6]) as there:
        content = there.open("file", "bytes=2-5")
        assert (content.start, content.length, b"".join(content.chunks)) == (2, 4, b"2345")


def test_of_a_server_that_knows_no_parts_the_bytes_before_are_dropped() -> None:
    with folder(200, {}, TEXT) as there:
        assert b"".join(there.open("file", "bytes=2-5").chunks) == b"2345"
        assert b"".join(there.open("file", None).chunks) == TEXT


@pytest.mark.parametrize("headers", [{"Content-Range": "bytes 0-3/10"}, {"Content-Range": "bytes */10"}, {}])
def test_another_part_than_was_asked_for_is_refused(headers: dict[str, str]) -> None:
    with folder(206, headers, TEXT[:4]) as there, pytest.raises(OddAnswer, match="sends another part"):
        there.open("file", "bytes=2-5")


def test_a_file_that_ends_too_early_is_an_error() -> None:
    with folder(200, {}, TEXT[:7]) as there, pytest.raises(PartUnavailable, match="ended 3 bytes before the end"):
        b"".join(there.open("file", None).chunks)


def test_a_file_that_nobody_reads_gives_its_connection_back() -> None:
    # The client has 12 connections.
    with folder(200, {}, TEXT) as there:
        for _ in range(30):
            there.open("file", None)
