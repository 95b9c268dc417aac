"""The protocols of a deployment backend, and the names and descriptions of replicas."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry_tui.contracts.replica_spec import ReplicaSpec
from registry_tui.serving.calls import Calls


@dataclass(frozen=True, order=True)
class ReplicaName:
    """A replica of a deployment: the generation of its settings and its number among its equals."""

    deployment: str
    generation: int
    index: int

    @property
    def program(self) -> str:
        """Its name for supervisord, callers and people."""
        return f"{self.deployment[:12].replace('-', '')}-{self.generation}-{self.index}"


@dataclass(frozen=True)
class ReplicaProcess:
    """A replica's process. `state` is supervisord's."""

    name: ReplicaName
    state: str
    pid: int | None
    #: Its own reason when it could not serve.
    reason: str
    starts: int
    memory_bytes: int | None
    uptime_seconds: float | None
    ready: bool
    #: Whether its requests share calls of the model, and why.
    batching: str = ""
    #: Where it reads its model's files; empty where there is one place for them only.
    files: str = ""
    #: Whether that is a folder of an NFS.
    shared: bool = False
    #: Whether it could not read them, or found them damaged.
    unread: bool = False
    #: Why the last calls of its model were not answered.
    trouble: str = ""


class Backend(Protocol):
    """Runs replicas. Every method may raise PartUnavailable."""

    def start(self, replicas: Mapping[ReplicaName, tuple[ReplicaSpec, Path]]) -> None:
        """Starts replicas, each with its spec and the Python to run it with; does not wait. Raises OSError too."""

    def remove(self, names: Iterable[ReplicaName]) -> None:
        """Stops replicas once they have answered what is under way, and forgets them; their logs stay."""

    def kill(self, name: ReplicaName, pid: int, why: str) -> None:
        """Ends a replica's process at once; it is started again. Its log says why."""

    def names(self, deployment: str) -> list[ReplicaName]:
        """The replicas that a deployment has now."""

    def configured(self, name: ReplicaName) -> bool:
        """Whether a replica is kept running."""

    def look(self, names: Iterable[ReplicaName]) -> list[ReplicaProcess]:
        """How each replica is now."""

    def memory(self, pid: int) -> int | None:
        """Bytes that a replica's process and all that it started use; None when it is not one of these replicas."""

    def calls(self, name: ReplicaName) -> Calls:
        """How the calls of a replica's model ended."""

    def socket(self, name: ReplicaName) -> Path:
        """The unix socket that a replica answers at."""

    def ask(
        self,
        name: ReplicaName,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str = "",
        timeout: float = 60.0,
        *,
        trial: bool = False,
    ) -> tuple[int, bytes]:
        """A replica's own answer, past the gateway: status and body. Raises OSError, HTTPException.

        `trial`: how the call ends says nothing about the calls of real callers.
        """


class ReplicaLogs(Protocol):
    """The logs of replicas, also of those that are gone."""

    def logs(self, deployment: str) -> list[tuple[ReplicaName, os.stat_result]]:
        """The logs that a deployment has."""

    def read(self, name: ReplicaName, offset: int | None, *, lines: int = 1000) -> tuple[list[str], int]:
        """Whole lines of a log from a byte `offset`, or the last ones; and the offset behind them. Raises OSError."""


@dataclass(frozen=True)
class Backends:
    """Where deployments run."""

    replicas: Backend
    logs: ReplicaLogs
