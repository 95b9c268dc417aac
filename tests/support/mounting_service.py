"""The service, with another list of mounts than the kernel's: no kernel of a test can mount an NFS.

`python -m support.mounting_service FILE` on the home that `REGISTRY_TUI_HOME` names; FILE is a text as of
/proc/self/mountinfo. Everything else is the service's own.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry_tui.platform import supervisor
from registry_tui.platform.paths import PART_VARIABLE, Home
from registry_tui.service.core.context import Service
from registry_tui.service.core.nfs import Shares
from registry_tui.service.running import run
from support.platforms import Platform, wait_for

TESTS = Path(__file__).resolve().parent.parent


@contextmanager
def mounting_service(platform: Platform, table: Path) -> Iterator[None]:
    """In place of the platform's service: one that finds this machine's mounts in a file."""
    supervisor.stop_part(platform.home, "service")
    variables = {**platform.environment(), "PYTHONPATH": str(TESTS), PART_VARIABLE: "service"}
    command = [sys.executable, "-m", "support.mounting_service", str(table)]
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
        supervisor.start_part(platform.home, "service")


def _install(service: Service) -> None:
    service.kept.of(Shares).table = Path(sys.argv[1])


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    run(Home.resolve(), _install)
