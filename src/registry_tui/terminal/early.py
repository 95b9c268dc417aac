"""The first page of the first list, asked for while Textual is still being imported.

httpx and pydantic take longer to import than the service takes to answer, so the first page is asked for with the
standard library alone. What it shows is replaced by what the client answers a moment later; what goes wrong here
is met again, and told, by the client.
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

#: The first page of the list of Model Registries as it is sorted at first.
TARGET = "/api/v1/registries?order_by=name"
#: Seconds until an answer is given up.
PATIENCE = 1.0


class EarlyPage:
    """A page that is being asked for, in a thread of its own."""

    def __init__(self, home: Home | None = None) -> None:
        self._answer: dict[str, Any] | None = None
        self._thread = Thread(target=self._ask, args=(home or Home.resolve(),), name="early", daemon=True)
        self._thread.start()

    @property
    def answer(self) -> dict[str, Any] | None:
        """The page, once it is here."""
        return self._answer

    def wait(self) -> None:
        """Waits until it is here, or given up."""
        self._thread.join(2 * PATIENCE)

    def _ask(self, home: Home) -> None:
        try:
            if contexts.chosen() is not None:
                # A service elsewhere is asked by the client, which checks its certificate.
                return
            home.require_own_sockets()
            answer = _get(str(home.service_socket), TARGET, os.environ.get("REGISTRY_TUI_USER", ""))
        except (OSError, ValueError, PlatformError):
            # The client meets the same in a moment, and tells it.
            return
        if isinstance(answer, dict):
            self._answer = answer


def _get(path: str, target: str, user: str) -> Any:
    """The JSON that the service's socket answers. Raises OSError without a service, ValueError for any other answer."""
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
