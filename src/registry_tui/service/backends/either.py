"""A deployment's replicas in both places: each on this machine, or in a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from registry_tui.contracts.replica_spec import ReplicaSpec
from registry_tui.service.backends.base import Backend, Clusters, ReplicaName, ReplicaProcess
from registry_tui.serving.calls import Calls


class Elsewhere(Clusters, Protocol):
    """Clusters, with the methods that they have in common with `Backend`."""

    def names(self, deployment: str) -> list[ReplicaName]: ...
    def remove(self, names: Iterable[ReplicaName]) -> None: ...
    def look(self, names: Iterable[ReplicaName]) -> list[ReplicaProcess]: ...
    def calls(self, name: ReplicaName) -> Calls: ...
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
    ) -> tuple[int, bytes]: ...


class EitherReplicas:
    """Passes each call to the backend that has the replica. `start` starts replicas on this machine."""

    def __init__(self, here: Backend, elsewhere: Elsewhere) -> None:
        self._here, self._elsewhere = here, elsewhere

    def start(self, replicas: Mapping[ReplicaName, tuple[ReplicaSpec, Path]]) -> None:
        self._here.start(replicas)

    def remove(self, names: Iterable[ReplicaName]) -> None:
        here, there = self._parted(names)
        self._here.remove(here)
        self._elsewhere.remove(there)

    def kill(self, name: ReplicaName, pid: int, why: str) -> None:
        """Kills a process of this machine; nodes of a cluster limit their replicas' memory themselves."""
        if not self._elsewhere.has(name):
            self._here.kill(name, pid, why)

    def names(self, deployment: str) -> list[ReplicaName]:
        return sorted({*self._here.names(deployment), *self._elsewhere.names(deployment)})

    def configured(self, name: ReplicaName) -> bool:
        return self._elsewhere.has(name) or self._here.configured(name)

    def look(self, names: Iterable[ReplicaName]) -> list[ReplicaProcess]:
        wanted = list(names)
        here, there = self._parted(wanted)
        found = {each.name: each for each in (self._here.look(here) if here or not there else ())}
        found.update({each.name: each for each in (self._elsewhere.look(there) if there else ())})
        return [found[name] for name in wanted]

    def memory(self, pid: int) -> int | None:
        return self._here.memory(pid)

    def calls(self, name: ReplicaName) -> Calls:
        return self._elsewhere.calls(name) if self._elsewhere.has(name) else self._here.calls(name)

    def socket(self, name: ReplicaName) -> Path:
        return self._here.socket(name)

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
        side = self._elsewhere if self._elsewhere.has(name) else self._here
        return side.ask(name, method, path, body, content_type, timeout, trial=trial)

    def _parted(self, names: Iterable[ReplicaName]) -> tuple[list[ReplicaName], list[ReplicaName]]:
        here: list[ReplicaName] = []
        there: list[ReplicaName] = []
        for name in names:
            (there if self._elsewhere.has(name) else here).append(name)
        return here, there
