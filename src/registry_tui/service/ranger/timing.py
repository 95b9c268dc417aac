"""Enforcing an environment's policies again: when a validity period begins or ends, and after it failed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from registry_tui.schemas.ranger import RangerPolicy
from registry_tui.service.errors import ServiceError
from registry_tui.service.ranger.enforcing import next_change

logger = logging.getLogger(__name__)

#: Seconds until an enforcement that failed is tried again.
AGAIN = 5.0


class Timers:
    """One timer for each environment whose policies have to be enforced again."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._timers: dict[str, threading.Timer] = {}

    def set(self, environment_id: str, policies: Sequence[RangerPolicy], enforce: Callable[[], None]) -> None:
        """Calls `enforce` when the next period of these policies begins or ends."""
        moment = next_change(policies, datetime.now(UTC))
        seconds = None if moment is None else (moment - datetime.now(UTC)).total_seconds()
        self._start(environment_id, seconds, enforce)

    def again(self, environment_id: str, enforce: Callable[[], None]) -> None:
        """Calls `enforce` soon, after a failed try, and again until it succeeds."""
        self._start(environment_id, AGAIN, enforce)

    def _start(self, environment_id: str, seconds: float | None, enforce: Callable[[], None]) -> None:
        with self._guard:
            if (before := self._timers.pop(environment_id, None)) is not None:
                before.cancel()
            if seconds is None:
                return
            # A platform with a policy until the year 9999 must not overflow the clock.
            wait = min(max(seconds, 0.0), threading.TIMEOUT_MAX)
            timer = threading.Timer(wait, self._run, (environment_id, enforce))
            timer.daemon = True
            timer.name = f"policies-{environment_id[:8]}"
            self._timers[environment_id] = timer
            timer.start()

    def _run(self, environment_id: str, enforce: Callable[[], None]) -> None:
        try:
            enforce()
        except ServiceError as error:
            logger.warning("enforcing policies again: %s; trying once more", error.detail)
            self._start(environment_id, AGAIN, enforce)
        except Exception:
            logger.exception("enforcing policies again")
            self._start(environment_id, AGAIN, enforce)
