"""Receives webhooks on a port of this machine, checks their signatures, and prints their types.

python receive.py PORT SECRET
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to a message that is signed with the secret, and 401 to any other."""

    def do_POST(self) -> None:
        """Checks one message."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            message = Webhook(sys.argv[2]).verify(body, dict(self.headers.items()))
        except WebhookVerificationError as error:
            print(f"refused: {error}", flush=True)
            self.send_response(401)
        else:
            print(f"signature valid: {message['type']}", flush=True)
            self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Prints no line for a request."""


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
