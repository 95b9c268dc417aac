"""Reports of Serve and its replicas, as states of our replicas."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from registry_tui.service.backends.base import ReplicaName, ReplicaProcess
from registry_tui.serving.calls import Calls

#: The reason of a replica that cannot serve, inside Serve's own message.
_REASON = re.compile(r"registry-tui:(\{.*?\}):registry-tui", re.DOTALL)


@dataclass(frozen=True)
class Told:
    """The last report of a replica, and its time."""

    index: int
    values: Mapping[str, Any]
    at: float


def process_of(
    name: ReplicaName, found: tuple[str, Told | None] | None, calls: Calls, reason: str, *, failed: bool, waits: str
) -> ReplicaProcess:
    """The state of a replica. `found` is Serve's ID, once it runs, with its last report, once there is one."""
    values: Mapping[str, Any] = {} if found is None or found[1] is None else found[1].values
    return ReplicaProcess(
        name=name,
        state="RUNNING" if found is not None else "FATAL" if failed else "STARTING",
        pid=values.get("pid"),
        reason=reason or (waits if failed else ""),
        waits="" if found is not None else waits,
        starts=values.get("starts", 0),
        memory_bytes=values.get("memory_bytes"),
        uptime_seconds=values.get("uptime_seconds"),
        ready=found is not None,
        batching=values.get("batching", ""),
        trouble=calls.trouble,
        over_memory=values.get("over_memory", ""),
    )


def missing(name: ReplicaName) -> ReplicaProcess:
    """A replica that no cluster has."""
    return ReplicaProcess(name, "MISSING", None, "", 0, None, None, ready=False)


def reason_of(message: str) -> tuple[str, list[tuple[int, str]]]:
    """The reason that a replica gave for not serving, and the lines of its log."""
    for found in reversed(_REASON.findall(message)):
        with suppress(ValueError, KeyError, TypeError):
            report = json.loads(found)
            return str(report["reason"]), [(int(number), str(line)) for number, line in report["lines"]]
    return "", []
