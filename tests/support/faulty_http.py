"""A server in front of another one that returns 503, or truncates responses, as often as a test requires."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from support.platforms import PATIENCE

#: Headers that belong to one connection.
_OF_CONNECTIONS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "expect"})


@dataclass
class Faults:
    """The faults of the next requests; used by several threads."""

    #: The base URL to use in place of the server's.
    url: str = ""
    #: Requests that are answered 503 and do not arrive; all of them while `down`.
    unavailable: int = 0
    down: bool = False
    #: Whether the credentials have expired, and the response to return then: status, headers, body.
    expired: bool = False
    refusal: tuple[int, list[tuple[str, str]], bytes] = (403, [], b"")
    #: Answers to GET whose second half does not come.
    broken_off: int = 0
    #: Requests that met a fault.
    met: int = 0
    #: The paths and queries of all requests.
    asked: list[str] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def refuses(self) -> bool:
        with self.guard:
            refused = self.down or self.unavailable > 0
            self.unavailable = max(self.unavailable - 1, 0)
            self.met += refused
            return refused

    def breaks_off(self, body: bytes) -> bool:
        with self.guard:
            broken = self.broken_off > 0 and len(body) > 1
            self.broken_off -= broken
            self.met += broken
            return broken


@contextmanager
def faulty(target: str) -> Iterator[Faults]:
    """A server that passes requests on to the one at `target`."""
    faults = Faults()
    there = urlsplit(target)

    class Passing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            faults.asked.append(self.path)
            if faults.refuses():
                self._answer(503, [], b"")
                return
            if faults.expired:
                self._answer(*faults.refusal)
                return
            connection = http.client.HTTPConnection(there.hostname or "", there.port, timeout=PATIENCE)
            try:
                # The header Host stays: S3 clients sign it.
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in _OF_CONNECTIONS:
                        connection.putheader(name, value)
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
                answer = connection.getresponse()
                headers = [each for each in answer.getheaders() if each[0].lower() not in _OF_CONNECTIONS]
                self._answer(answer.status, headers, answer.read(), answer.getheader("Content-Length"))
            finally:
                connection.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _pass

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, length: str | None = None) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", (length if self.command == "HEAD" else None) or str(len(body)))
            self.end_headers()
            if self.command == "GET" and faults.breaks_off(body):
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            elif self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Passing)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    faults.url = f"http://127.0.0.1:{server.server_port}{there.path}"
    try:
        yield faults
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
