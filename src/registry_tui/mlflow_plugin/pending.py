"""Downloads and aliases of versions whose archive is not stored: still being stored, or failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE

PENDING, READY, FAILED = "PENDING_REGISTRATION", "READY", "FAILED_REGISTRATION"

#: Seconds that a download waits for a version's archive: half of the timeout of stock clients.
PATIENCE = 60.0

#: Requests that may wait at the same time. Each holds one of the server's 40 threads.
MOST_WAITING = 12

#: Seconds after which a waiting request checks again although no change was reported.
_LOOK_AGAIN = 5.0


class Waiting:
    """Lets downloads wait for archives. Thread-safe."""

    def __init__(self, patience: float = PATIENCE, most: int = MOST_WAITING) -> None:
        self._patience = patience
        self._places = threading.BoundedSemaphore(most)
        self._changed = threading.Condition()
        self._changes = 0

    def report_change(self) -> None:
        """Wakes the requests that wait: a version's status was set, or a version deleted."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def until_stored(self, look: Callable[[], ModelVersion]) -> ModelVersion:
        """Waits until a version is no longer pending, and returns it. After the timeout, returns it as it is then.

        Raises MlflowException when too many requests wait, and the errors of `look`.
        """
        if not self._places.acquire(blocking=False):
            raise MlflowException(
                "Many downloads are waiting for versions whose archives are still being stored. Try again.",
                error_code=TEMPORARILY_UNAVAILABLE,
            )
        try:
            until = time.monotonic() + self._patience
            while True:
                with self._changed:
                    seen = self._changes
                found = look()
                left = until - time.monotonic()
                if found.status != PENDING or left <= 0:
                    return found
                self._wait(seen, min(left, _LOOK_AGAIN))
        finally:
            self._places.release()

    def _wait(self, seen: int, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, seconds)


def refuse_unstored(version: ModelVersion) -> None:
    """Raises MlflowException unless a version's archive can be downloaded."""
    if version.status == READY:
        return
    state = (
        f"could not be stored ({version.status_message}). Register it again"
        if version.status == FAILED
        else "is still being stored. Wait until its status is READY"
    )
    raise _invalid(f"Version {version.version} of '{version.name}' {state}.")


def refuse_failed(name: str, version: int | str, status: str, message: str | None, doing: str) -> None:
    """Raises MlflowException when a version failed, which nothing can load; `doing` completes "cannot …"."""
    if status == FAILED:
        raise _invalid(
            f"Version {version} of '{name}' cannot {doing}, because it could not be stored: "
            f"{(message or 'the reason is not known').rstrip('.')}. Register the model again, as a new version."
        )


def _invalid(message: str) -> MlflowException:
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)
