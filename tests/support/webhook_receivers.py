"""Receivers of webhooks: servers of this process that check signatures with the library that receivers use."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks.webhooks import Webhook as Verifier


class Receiver:
    """Responds as configured, and records the requests."""

    def __init__(self) -> None:
        self.status = 204
        self.headers: dict[str, str] = {}
        self.body = b""
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.url = ""

    def verified(self, secret: str) -> list[Any]:
        return [Verifier(secret).verify(body, headers) for headers, body in self.got]


@contextmanager
def receiving(certificate: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    """With a certificate and its key, by HTTPS."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append((dict(self.headers.items()), body))
            receiver.go_on.wait(60)
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            self.wfile.write(receiver.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    receiver.url = f"http{'s' if certificate else ''}://localhost:{server.server_port}/hook?a=b"
    yield receiver
    receiver.go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()
