"""Where the token of a Ray cluster goes: to addresses that were checked, and nowhere else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from registry_tui.service.backends.base import Cluster
from registry_tui.service.backends.ray_cluster import RayCluster
from registry_tui.service.errors import InvalidInput, PartUnavailable

TOKEN = "t" * 64
NAME = "head.example"


class Listener(ThreadingHTTPServer):
    """Notes the `Authorization` of each request, and answers with `{}`, or sends it on to `moved`."""

    daemon_threads = True

    def __init__(self, host: str, port: int = 0) -> None:
        self.got: list[tuple[str, str]] = []
        self.moved = ""
        super().__init__((host, port), _Handler)
        self.port: int = self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        self.server.got.append((self.headers.get("Host", ""), self.headers.get("Authorization", "")))
        self.send_response(307 if self.server.moved else 200)
        if self.server.moved:
            self.send_header("Location", self.server.moved)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        """Is silent."""


@pytest.fixture
def listeners() -> Iterator[tuple[Listener, Listener]]:
    """Two programs at the same port of two addresses."""
    first = Listener("127.0.0.1")
    both = first, Listener("127.0.0.98", first.port)
    for each in both:
        threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield both
    for each in both:
        each.shutdown()
        each.server_close()


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has the name resolve to these addresses, to one list after the other, then to the last."""
    real = socket.getaddrinfo

    def set_to(*answers: list[str]) -> None:
        left = list(answers)

        def found(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
            if host != NAME:
                return real(host, port, *rest, **named)
            now = left.pop(0) if len(left) > 1 else left[0]
            return [each for address in now for each in real(address, port, *rest, **named)]

        monkeypatch.setattr(socket, "getaddrinfo", found)

    return set_to


def cluster(folder: Path, port: int, host: str = NAME) -> RayCluster:
    return RayCluster(Cluster("e", f"http://{host}:{port}", TOKEN), folder)


def test_the_token_goes_to_the_address_that_was_checked_not_to_the_names_next_one(
    listeners: tuple[Listener, Listener], resolves: Callable[..., None], tmp_path: Path
) -> None:
    first, other = listeners
    resolves(["127.0.0.1"], ["127.0.0.98"])
    assert cluster(tmp_path, first.port).details() == {}
    assert first.got == [(f"{NAME}:{first.port}", f"Bearer {TOKEN}")] and not other.got


def test_the_next_address_is_tried_where_nothing_listens(
    listeners: tuple[Listener, Listener], resolves: Callable[..., None], tmp_path: Path
) -> None:
    resolves(["127.0.0.99", "127.0.0.98"])
    assert cluster(tmp_path, listeners[0].port).details() == {}
    assert len(listeners[1].got) == 1 and not listeners[0].got


@pytest.mark.parametrize(
    "bad",
    [
        "8.8.8.8",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "::ffff:8.8.8.8",
        "fe80::1",
        "0.0.0.0",
        "224.0.0.1",
        "2606:4700::1",
    ],
)
def test_a_name_with_one_refused_address_gets_no_request_also_when_it_had_a_good_one(
    listeners: tuple[Listener, Listener], resolves: Callable[..., None], tmp_path: Path, bad: str
) -> None:
    first, other = listeners
    ray = cluster(tmp_path, first.port)
    resolves(["127.0.0.1", bad])
    with pytest.raises(InvalidInput):
        ray.check()
    # It was good when it was set, and is not any more.
    resolves(["127.0.0.1"], ["127.0.0.1", bad])
    ray.details()
    with pytest.raises(PartUnavailable, match=NAME):
        ray.details()
    assert len(first.got) == 1 and not other.got


def test_redirects_are_not_followed_and_proxies_not_used(
    listeners: tuple[Listener, Listener], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = listeners
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.98:{other.port}")
    first.moved = f"http://127.0.0.98:{other.port}/api/serve/applications/"
    with pytest.raises(PartUnavailable, match="307"):
        cluster(tmp_path, first.port, "127.0.0.1").details()
    assert len(first.got) == 1 and not other.got
