"""The service, which kills itself once it has made something, before it can respond.

`python -m support.killed_service POINT` on the home in `REGISTRY_TUI_HOME`. POINT is a path of MLflow's API,
such as `model-versions/create`, after whose answer the process ends, or a class of rows, such as `ProjectRow`, after
whose first commit it does.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from registry_tui.platform.paths import Home
from registry_tui.service.core import idempotency
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import IdempotencyRow
from registry_tui.service.running import run


def install(service: Service, point: str) -> None:
    """Arranges the end of this process."""
    call = service.mlflow.call

    def call_and_die(method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = call(method, path, **options)
        if path == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    def committed(rows: Sequence[object]) -> None:
        # The service writes rows by itself too, for example when keys were used.
        of_request = point == IdempotencyRow.__name__ or idempotency.current.get() is not None
        if of_request and any(type(row).__name__ == point for row in rows):
            os.kill(os.getpid(), signal.SIGKILL)

    service.mlflow.call = call_and_die  # type: ignore[method-assign]
    service.database.committed.append(committed)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    run(Home.resolve(), lambda service: install(service, sys.argv[1]))
