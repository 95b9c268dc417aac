"""Network namespaces, which an account without root may not make."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack

from support.platforms import PATIENCE


def ip(*arguments: str) -> str:
    """The output of the command `ip`. Raises OSError and SubprocessError."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=PATIENCE).stdout


def add(stack: ExitStack, name: str) -> None:
    """Adds a namespace, which is deleted when the stack ends."""
    ip("netns", "add", name)
    stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=False, capture_output=True)


def inside(name: str) -> tuple[str, ...]:
    """The words before a command that runs in a namespace."""
    return ("ip", "netns", "exec", name)
