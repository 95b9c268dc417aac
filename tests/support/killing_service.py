"""The service, which kills itself once at every point of one kind of workflow, and comes back each time.

`python -m support.killing_service KIND FILE [STEP]` on the home that `REGISTRY_TUI_HOME` names. FILE gets a line for
every point, "before copy" or "after undo copy", before the kill. With STEP the workflow is cancelled at that step;
a retry is then left alone.

The parent imports everything once and forks a service for each life, so that a life starts in a fraction of a second.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import pkgutil
import signal
import sys
from pathlib import Path
from types import FrameType

from sqlalchemy import select

from registry_tui import service as service_package
from registry_tui.platform.paths import Home
from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import WorkflowRow
from registry_tui.service.engine.rows import ACTIVE
from registry_tui.service.running import run

#: Modules that libraries and the service import late.
LATER = ("alembic.command", "boto3.s3.inject", "boto3.session", "dbos._sys_db_sqlite", "httpcore", "prometheus_client")


def install(service: Service, kind: WorkflowKind, passed: Path, cancel_at: str | None) -> None:
    """Adds the observer that kills this process."""

    def observe(moment: str, observed: WorkflowKind, step: str) -> None:
        known = passed.read_text().splitlines()
        if observed is not kind or "after on_cancel" in known:
            return
        point = f"{moment} {step}"
        if point not in known:
            with passed.open("a") as file:
                print(point, file=file, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if point == f"before {cancel_at}":
            query = select(WorkflowRow.id).where(WorkflowRow.kind == kind.value, WorkflowRow.status.in_(ACTIVE))
            with service.database.reading() as session:
                running = session.scalars(query).one()
            service.workflows.cancel(running)

    service.workflows.observe(observe)


def live_once(kind: WorkflowKind, passed: Path, cancel_at: str | None) -> int:
    """Forks a service and waits for its end; returns its wait status (waitpid(2))."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        run(Home.resolve(), lambda service: install(service, kind, passed, cancel_at))
        os._exit(1)

    def end(*_: int | FrameType | None) -> None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    return os.waitpid(child, 0)[1]


def import_everything() -> None:
    """Imports the modules that the service imports while it starts and works, so that no child has to."""
    for module in pkgutil.walk_packages(service_package.__path__, f"{service_package.__name__}."):
        # Alembic runs those of the migrations itself.
        if ".migrations." not in module.name:
            importlib.import_module(module.name)
    for name in LATER:
        importlib.import_module(name)
    # Looking for garbage would copy the children's memory.
    gc.collect()
    gc.freeze()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    kind, passed = WorkflowKind(sys.argv[1]), Path(sys.argv[2])
    cancel_at = sys.argv[3] if len(sys.argv) > 3 else None
    passed.touch()
    import_everything()

    while True:
        status = live_once(kind, passed, cancel_at)
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            sys.exit(f"the service ended by itself: {status}")


if __name__ == "__main__":
    main()
