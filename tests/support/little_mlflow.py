"""A little server that answers as a test says, where an MLflow server is expected."""

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


#: What a server answers that can be attached.
ATTACHABLE: dict[str, Answer] = {SEARCH: (200, {}), "/version": (200, "3.17.0")}


@contextmanager
def serving(answers: dict[str, Answer], context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server that answers by path; others are Flask's page for what it does not know."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.seen.append((self.path, self.headers.get("Authorization")))
            status, content = made.answers.get(self.path, (404, "<!doctype html><title>404 Not Found</title>"))
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
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
