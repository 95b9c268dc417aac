"""The copied forms of a tried request do the same in a shell and in Python."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from registry_tui.schemas.deployments import TestRequest
from registry_tui.service.deployments.trying import MAX_ARGUMENT, curl, python


@pytest.fixture
def heard() -> Iterator[tuple[str, list[tuple[str, str | None, bytes]]]]:
    """A server's address, and the requests that it got: path, key, body."""
    got: list[tuple[str, str | None, bytes]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["Authorization"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", got
        server.shutdown()


@pytest.mark.parametrize(
    "body", ['{"inputs": [1, "it\'s $HOME `x`"]}', "@/etc/hostname", json.dumps({"inputs": ["END"] * MAX_ARGUMENT})]
)
def test_what_is_copied_sends_the_body_as_it_is(
    heard: tuple[str, list[tuple[str, str | None, bytes]]], body: str
) -> None:
    url, got = heard
    request = TestRequest(body=body)
    environment = {"API_KEY": "key", "PATH": "/usr/local/bin:/usr/bin:/bin", "NO_PROXY": "127.0.0.1"}
    for command, typed in ((["sh"], curl(url, request, True)), ([sys.executable], python(url, request, True, 60.0))):
        subprocess.run(command, input=typed, env=environment, text=True, timeout=300, check=True, capture_output=True)
    assert [(path, key, sent.decode().removesuffix("\n")) for path, key, sent in got] == [
        ("/invocations", "Bearer key", body)
    ] * 2
