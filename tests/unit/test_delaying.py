"""The delaying proxy responds late, and waiting requests follow a change of the delay."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import httpx
import pytest

from registry_tui.platform.paths import Home
from support.delaying import Delaying
from support.platforms import wait_for


class _Service(BaseHTTPRequestHandler):
    """Answers every request at once."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"here")

    do_POST = do_GET

    def address_string(self) -> str:
        return "test"

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def delaying(short_path: Path) -> Iterator[Delaying]:
    service = ThreadingUnixStreamServer(str(short_path / "service"), _Service)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    proxy = Delaying(short_path / "service", Home(short_path / "home"))
    with proxy.open():
        yield proxy
    service.shutdown()
    service.server_close()


def client(proxy: Delaying, patience: float | httpx.Timeout) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(proxy.home.service_socket))
    return httpx.Client(transport=transport, base_url="http://service", timeout=patience)


def test_an_answer_waits_for_the_delay_and_its_request_does_not(delaying: Delaying) -> None:
    with client(delaying, 30) as asking:
        assert asking.get("/at-once").text == "here"
    delaying.delay = 600
    with client(delaying, httpx.Timeout(60, read=0.5)) as asking, pytest.raises(httpx.ReadTimeout):
        asking.post("/late", headers={"Idempotency-Key": "k"})
    wait_for(lambda: len(delaying.requests) == 2, what="both requests")
    assert delaying.requests == [("GET /at-once HTTP/1.1", ""), ("POST /late HTTP/1.1", "k")]
    assert delaying.sent("POST /late") == ["k"]


def test_what_waits_follows_a_change_of_the_delay(delaying: Delaying) -> None:
    delaying.delay = 600
    answers: list[str] = []

    def ask() -> None:
        with client(delaying, 60) as asking:
            answers.append(asking.get("/late").text)

    waiting = threading.Thread(target=ask)
    waiting.start()
    while not delaying.requests:
        waiting.join(0.01)
    assert not answers
    delaying.delay = 0
    waiting.join(300)
    assert answers == ["here"]
