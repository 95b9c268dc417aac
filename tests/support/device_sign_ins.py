"""`login --oidc` on another machine, as it waits for a person; and the administrator's commands about the provider."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from support.lone_doors import LoneDoor
from support.platforms import PATIENCE, wait_for
from support.team import LIGHT, Machine


def administer(door: LoneDoor, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """`registry-tui oidc …` on the service's own machine."""
    machine = Machine(door.service.home.root)
    return machine.command("--data-dir", str(door.service.home.root), "oidc", *arguments, check=check)


@dataclass
class Waiting:
    """`login --oidc` on another machine, which waits for the person; all that it printed."""

    process: subprocess.Popen[str]
    printed: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    def address(self) -> str:
        """The address that it shows, with the code in it."""

        def shown() -> re.Match[str] | bool | None:
            ended = self.process.poll() is not None
            return re.search(r"\S+\?user_code=\S+", "".join(self.printed)) or ended

        found = wait_for(shown, what="the code")
        assert isinstance(found, re.Match), f"it ended without a code: {self.printed}"
        return str(found[0])

    def ended(self) -> tuple[int, str]:
        """The exit code, and all that was printed."""
        status = self.process.wait(PATIENCE)
        assert self.reader is not None
        self.reader.join(PATIENCE)
        return status, "".join(self.printed)


@contextmanager
def login(machine: Machine, url: str, *options: str) -> Iterator[Waiting]:
    """Runs `login --oidc` with the light installation only."""
    command = [sys.executable, "-c", LIGHT, "login", url, "--oidc", *options]
    process = subprocess.Popen(
        command, env=machine.environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    waiting = Waiting(process)

    def read() -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                waiting.printed.append(line)

    waiting.reader = reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield waiting
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        reader.join(PATIENCE)


def kept(machine: Machine) -> dict[str, Any]:
    """The contexts that a machine keeps."""
    file = machine.folder / "contexts" / "contexts.json"
    found = json.loads(file.read_text())["contexts"] if file.exists() else []
    return {each["name"]: each for each in found}
