"""The counts of the gateway's processes: each keeps its own in a file, and sums up all on request.

A process writes its counts to its file before it reports them. A restarted process continues from there, so no reported
total ever decreases.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from registry_tui.gateway.canary_stats import CanaryStats
from registry_tui.gateway.stats import DeploymentStats

logger = logging.getLogger(__name__)


class Counts:
    """One process's counts: requests by deployment, and when each API key was used last (seconds since 1970)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.started = time.time()
        self.deployments: dict[str, DeploymentStats] = {}
        self.key_uses: dict[str, float] = {}
        self.canaries: dict[str, CanaryStats] = {}
        #: Deployment to the number of calls that a limit of their API key refused, by limit.
        self.limited: dict[str, Counter[str]] = {}
        #: Deployment to the numbers of its requests that were `kept` in its log, and `dropped` because the queue was
        #: full.
        self.logs: dict[str, Counter[str]] = {}
        self._changed = True
        kept = read(path)
        self._former = kept.get("process")
        try:
            self._absorb(kept)
        except (AttributeError, KeyError, TypeError, ValueError):
            logger.warning("%s is damaged: counting starts again", path)
            self.deployments, self.key_uses, self.canaries = {}, {}, {}
            self.limited, self.logs = {}, {}
        self.store()

    def count(self, deployment: str, status: int, replica: str, seconds: float, retries: int) -> None:
        """One answered request."""
        self.deployments.setdefault(deployment, DeploymentStats()).count(status, replica, seconds, retries=retries)
        self._changed = True

    def canary(self, id_: str) -> CanaryStats:
        """A canary's counts, to which something is about to be added."""
        self._changed = True
        return self.canaries.setdefault(id_, CanaryStats())

    def refused(self, deployment: str, limit: str) -> None:
        """A call that its API key's limit refused."""
        self.limited.setdefault(deployment, Counter())[limit] += 1
        self._changed = True

    def logged(self, deployment: str, kept: int, dropped: int) -> None:
        """Requests of a deployment that its log has kept or dropped."""
        self.logs.setdefault(deployment, Counter()).update(kept=kept, dropped=dropped)
        self._changed = True

    def used(self, key: str) -> None:
        """Notes that an API key was used for a call."""
        self.key_uses[key] = time.time()
        self._changed = True

    def keep_only(self, deployments: Iterable[str], canaries: Iterable[str]) -> None:
        """Drops the counts of deployments that are gone, and of canaries that have ended."""
        known = set(deployments)
        for id_ in self.deployments.keys() - known:
            del self.deployments[id_]
            self._changed = True
        for id_ in self.limited.keys() - known:
            del self.limited[id_]
            self._changed = True
        for id_ in self.logs.keys() - known:
            del self.logs[id_]
            self._changed = True
        for id_ in self.canaries.keys() - set(canaries):
            del self.canaries[id_]
            self._changed = True

    def dump(self) -> dict[str, Any]:
        return {
            "process": os.getpid(),
            "started": self.started,
            "deployments": {id_: stats.dump() for id_, stats in self.deployments.items()},
            "key_uses": self.key_uses,
            "canaries": {id_: stats.dump() for id_, stats in self.canaries.items()},
            "limited": self.limited,
            "logs": self.logs,
        }

    def store(self) -> None:
        """Writes the file when something changed, unless a newer process has taken it over."""
        if not self._changed:
            return
        owner = read(self._path).get("process")
        if owner != os.getpid() and owner != self._former:
            return
        temporary = self._path.with_suffix(f".{os.getpid()}")
        try:
            temporary.write_text(json.dumps(self.dump(), separators=(",", ":")), encoding="utf-8")
            temporary.replace(self._path)
        except OSError as error:
            # Calls are answered also when a full disk prevents counting.
            logger.warning("cannot write %s: %s", self._path, error.strerror)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            return
        self._former = os.getpid()
        self._changed = False

    def _absorb(self, kept: Mapping[str, Any]) -> None:
        self.key_uses.update(kept.get("key_uses", {}))
        for id_, dumped in kept.get("deployments", {}).items():
            self.deployments.setdefault(id_, DeploymentStats()).add(dumped)
        for id_, dumped in kept.get("canaries", {}).items():
            self.canaries.setdefault(id_, CanaryStats()).add(dumped)
        for id_, refused in kept.get("limited", {}).items():
            self.limited.setdefault(id_, Counter()).update(refused)
        for id_, logged in kept.get("logs", {}).items():
            self.logs.setdefault(id_, Counter()).update(logged)


def read(path: Path) -> dict[str, Any]:
    """The content of a process's file; empty when it is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def summed(dumps: Iterable[Mapping[str, Any]], now: float | None = None) -> dict[str, Any]:
    """The counts of all processes together: `deployments` as `DeploymentStats.to_dict`, `key_uses`, `port_errors`,
    `canaries` as `CanaryStats.dump`, `limited` and `logs`.
    """
    deployments: dict[str, DeploymentStats] = {}
    canaries: dict[str, CanaryStats] = {}
    key_uses: dict[str, float] = {}
    port_errors: dict[str, str] = {}
    limited: dict[str, Counter[str]] = {}
    logs: dict[str, Counter[str]] = {}
    for dumped in dumps:
        for id_, its in dumped.get("deployments", {}).items():
            deployments.setdefault(id_, DeploymentStats()).add(its)
        for key, at in dumped.get("key_uses", {}).items():
            key_uses[key] = max(at, key_uses.get(key, 0.0))
        port_errors.update(dumped.get("port_errors", {}))
        for id_, its in dumped.get("canaries", {}).items():
            canaries.setdefault(id_, CanaryStats()).add(its)
        for id_, refused in dumped.get("limited", {}).items():
            limited.setdefault(id_, Counter()).update(refused)
        for id_, logged in dumped.get("logs", {}).items():
            logs.setdefault(id_, Counter()).update(logged)
    return {
        "deployments": {id_: stats.to_dict(now) for id_, stats in deployments.items()},
        "key_uses": key_uses,
        "port_errors": port_errors,
        "canaries": {id_: stats.dump() for id_, stats in canaries.items()},
        "limited": limited,
        "logs": logs,
    }
