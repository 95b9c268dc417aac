"""The first page of the first list, requested while Textual is still being imported.

httpx and pydantic take longer to import than the service takes to respond, so the first page is requested with the
standard library alone. The client's response replaces it a moment later. Errors are ignored here; the client hits and
reports the same ones.
"""

from __future__ import annotations

import json
import os
import socket
from threading import Thread
from typing import Any

from registry_tui.platform import contexts
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.paths import Home

#: The first page of the list of Model Registries in its initial order.
TARGET = "/api/v1/registries?order_by=name"
#: Timeout of the request in seconds.
PATIENCE = 1.0


class EarlyPage:
    """A page that is being requested, in a separate thread."""

    def __init__(self, home: Home | None = None) -> None:
        self._answer: dict[str, Any] | None = None
        self._thread = Thread(target=self._ask, args=(home or Home.resolve(),), name="early", daemon=True)
        self._thread.start()

    @property
    def answer(self) -> dict[str, Any] | None:
        """The page, once it has arrived."""
        return self._answer

    def wait(self) -> None:
        """Waits until it has arrived, or timed out."""
        self._thread.join(2 * PATIENCE)

    def _ask(self, home: Home) -> None:
        try:
            if contexts.chosen() is not None:
                # A remote service is queried by the client, which checks its certificate.
                return
            home.require_own_sockets()
            answer = _get(str(home.service_socket), TARGET, os.environ.get("REGISTRY_TUI_USER", ""))
        except (OSError, ValueError, PlatformError):
            # The client hits and reports the same error a moment later.
            return
        if isinstance(answer, dict):
            self._answer = answer


def _get(path: str, target: str, user: str) -> Any:
    """The JSON response from the service's socket. Raises OSError without a service, ValueError for any other
    response."""
    if not user.isprintable():
        raise ValueError("not a user's name")
    acting = f"X-Registry-User: {user}\r\n" if user else ""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(path)
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: registry-tui\r\nConnection: close\r\n{acting}\r\n".encode())
        received = bytearray()
        while data := connection.recv(1 << 16):
            received += data
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError("the service refused")
    return json.loads(body)
