"""The service, with another list of mounts than the kernel's: no kernel of a test can mount an NFS.

`python -m support.mounting_service FILE` on the home that `REGISTRY_TUI_HOME` names; FILE is a text as of
/proc/self/mountinfo. Everything else is the service's own.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry_tui.platform import supervisor
from registry_tui.platform.paths import Home
from registry_tui.service.core.context import Service
from registry_tui.service.core.nfs import Shares
from registry_tui.service.running import run
from support.platforms import Platform
from support.replaced_service import replaced_service


@contextmanager
def mounting_service(platform: Platform, table: Path) -> Iterator[None]:
    """In place of the platform's service: one that finds this machine's mounts in a file."""
    try:
        with replaced_service(platform, "support.mounting_service", str(table)):
            yield
    finally:
        supervisor.start_part(platform.home, "service")


def _install(service: Service) -> None:
    service.kept.of(Shares).table = Path(sys.argv[1])


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    run(Home.resolve(), _install)
