"""A service that a module of tests runs, in place of a platform's own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry_tui.platform import supervisor
from registry_tui.platform.paths import PART_VARIABLE
from support.platforms import Platform, wait_for

TESTS = Path(__file__).resolve().parent.parent


@contextmanager
def replaced_service(platform: Platform, module: str, *arguments: str) -> Iterator[None]:
    """In place of the platform's service: a module of tests that runs one."""
    supervisor.stop_part(platform.home, "service")
    command = [sys.executable, "-m", module, *arguments]
    variables = {**platform.environment(), "PYTHONPATH": str(TESTS), PART_VARIABLE: "service"}
    with (platform.home.logs / "service.log").open("ab") as log:
        process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def up() -> bool:
        assert process.poll() is None
        return bool(platform.ask(lambda client: client.whoami()).name)

    try:
        wait_for(up, what="the service")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(300)
