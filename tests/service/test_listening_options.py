"""Options of the listener that are not safe or not possible: no command starts anything."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from support.team import Machine


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--listen", "0.0.0.0:8443", "--plain-http"], "without TLS is refused"),
        (["--listen", "8443"], "is not HOST:PORT"),
        (["--listen", "127.0.0.1:8443", "--certificate", "/missing.pem"], "needs its key"),
        (["--listen", "127.0.0.1:8443", "--certificate", "/missing.pem", "--key", "/missing.pem"], "does not exist"),
        (["--listen", "127.0.0.1:TAKEN"], "Cannot listen on"),
    ],
)
def test_what_is_not_safe_or_not_possible_starts_nothing(tmp_path: Path, options: list[str], words: str) -> None:
    home = tmp_path / "home"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = [each.replace("TAKEN", str(taken.getsockname()[1])) for each in options]
        for command in ("up", "serve"):
            done = Machine(tmp_path).command("--data-dir", str(home), command, *given, check=False)
            assert done.returncode == 1
            assert words in done.stderr
            assert "what to do" in done.stderr
    assert not home.exists()
