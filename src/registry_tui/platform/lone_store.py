"""The object store alone, for work on a home whose platform does not run."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from registry_tui.platform import object_store, supervisor
from registry_tui.platform.children import isolated, known_environment
from registry_tui.platform.errors import PartFailed
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, PART_VARIABLE, Home
from registry_tui.platform.ports import Ports, choose_ports, require_free
from registry_tui.platform.secrets import Secrets, load_secrets
from registry_tui.schemas.operations import PartState

_PART = "object-store"
#: Seconds that it may take to come up, and to stop by itself.
_PATIENCE, _STOP_SECONDS = 120.0, 20.0


@contextmanager
def running(home: Home, ports: Ports | None = None) -> Iterator[tuple[Ports, Secrets]]:
    """Runs the object store of a home while the block runs; nothing else of the home may run.

    Raises PartFailed, PortTaken, BinaryMissing, OSError.
    """
    from registry_tui.platform.probes import Probe  # httpx: see there

    home.create()
    object_store.find_weed()
    ports, secrets = ports or choose_ports(home), load_secrets(home)
    require_free(ports)
    with (home.logs / f"{_PART}.log").open("ab") as log:
        store = subprocess.Popen(
            isolated(supervisor.PARTS[_PART]),
            cwd=home.run,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=known_environment({ENVIRONMENT_VARIABLE: str(home.root), PART_VARIABLE: _PART}),
            # An interruption of the command ends the work first, and the store after it.
            start_new_session=True,
        )
    probe = Probe(home, ports, secrets)
    try:
        until = time.monotonic() + _PATIENCE
        while probe.ask(_PART)[0] is not PartState.HEALTHY:
            if store.poll() is not None or time.monotonic() > until:
                raise PartFailed(
                    f"The object store does not start. The last lines of its log:\n{supervisor.tail(home, _PART, 12)}",
                    action=f"See {home.logs / f'{_PART}.log'}",
                )
            time.sleep(0.1)
        yield ports, secrets
    finally:
        probe.close()
        store.terminate()
        try:
            store.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            store.kill()
            store.wait()
        object_store.remove_sockets(home)
