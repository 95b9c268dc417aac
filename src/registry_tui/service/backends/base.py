"""The protocols of a deployment backend, and the names and descriptions of replicas."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from registry_tui.contracts.carried import Carried
from registry_tui.contracts.gateway_routes import Replica
from registry_tui.contracts.replica_spec import ReplicaSpec
from registry_tui.service.errors import InvalidInput
from registry_tui.serving.calls import Calls


@dataclass(frozen=True, order=True)
class ReplicaName:
    """A replica of a deployment: the generation of its settings, and its number within the generation."""

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
    #: Where it reads its model's files; empty if there is one place for them only.
    files: str = ""
    #: Whether that is a folder of an NFS.
    shared: bool = False
    #: Whether it could not read them, or found them damaged.
    unread: bool = False
    #: Why the last calls of its model failed.
    trouble: str = ""
    #: The place or the resources that it waits for before it can start.
    waits: str = ""
    #: Why a node of a cluster killed it last, for its memory; on this machine the service itself does so.
    over_memory: str = ""


class Backend(Protocol):
    """Runs replicas. Every method may raise PartUnavailable."""

    def start(self, replicas: Mapping[ReplicaName, tuple[ReplicaSpec, Path]]) -> None:
        """Starts replicas, each with its spec and the Python to run it with; does not wait. Raises OSError too."""

    def remove(self, names: Iterable[ReplicaName]) -> None:
        """Stops replicas once they have answered the requests under way, and forgets them; their logs stay."""

    def kill(self, name: ReplicaName, pid: int, why: str) -> None:
        """Kills a replica's process, which is then restarted. `why` goes to its log."""

    def names(self, deployment: str) -> list[ReplicaName]:
        """The replicas that a deployment has now."""

    def configured(self, name: ReplicaName) -> bool:
        """Whether a replica is kept running."""

    def look(self, names: Iterable[ReplicaName]) -> list[ReplicaProcess]:
        """The current state of each replica."""

    def memory(self, pid: int) -> int | None:
        """Bytes that a replica's process and all that it started use; None when it is not one of these replicas."""

    def calls(self, name: ReplicaName) -> Calls:
        """The outcomes of the calls of a replica's model."""

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
        """A replica's own response, past the gateway: status and body. Raises OSError, HTTPException.

        `trial`: the outcome does not count among the calls of real callers.
        """


class ReplicaLogs(Protocol):
    """The logs of replicas, also of those that are gone."""

    def logs(self, deployment: str) -> list[tuple[ReplicaName, os.stat_result]]:
        """The logs that a deployment has."""

    def read(self, name: ReplicaName, offset: int | None, *, lines: int = 1000) -> tuple[list[str], int]:
        """Whole lines of a log from a byte `offset`, or the last ones; and the offset after them. Raises OSError."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that an environment's deployments run in, and the token that permits running any code there."""

    environment: str
    #: Of its REST API, `http://HOST:PORT`.
    address: str
    token: str = field(repr=False)
    #: The port for calls, once Serve runs; the host is the address's.
    http_port: int = 8000


@dataclass(frozen=True)
class Resources:
    """The resources that one replica requests of a cluster."""

    cpu: float
    memory_bytes: int
    gpus: int = 0


@dataclass(frozen=True)
class Scaling:
    """How a cluster finds the number of replicas: each has about `requests` requests under way."""

    least: int
    most: int
    requests: float


class Clusters(Protocol):
    """Runs replicas in clusters. Methods may raise PartUnavailable."""

    def check(self, cluster: Cluster) -> str:
        """Tries address and token; returns the cluster's version. Raises InvalidInput when it cannot be used."""

    def start(
        self,
        cluster: Cluster,
        names: Iterable[ReplicaName],
        carried: Carried,
        resources: Resources,
        scaling: Scaling | None = None,
    ) -> None:
        """Starts replicas of one generation; does not wait. Raises OSError too.

        `scaling`: these are the least replicas.
        """

    def rescale(self, deployment: str, generation: int, replicas: int, scaling: Scaling | None) -> None:
        """Sets a generation's number of replicas, or how it is found; restarts none."""

    def scaling(self, deployment: str, generation: int) -> Scaling | None:
        """How the number of a generation's replicas is found; None where it is fixed."""

    def renew(self, deployment: str, generation: int, files: Mapping[str, str]) -> None:
        """Gives the replicas of a generation newer addresses of the same files, by their paths."""

    def clean_up(self) -> bool:
        """Removes applications that clusters kept because they did not answer at the time. Whether a cluster has any of
        ours.
        """

    def secret(self, deployment: str, generation: int) -> str:
        """The secret that callers of a generation send; created if missing."""

    def has(self, name: ReplicaName) -> bool:
        """Whether a replica runs, or is to run, in a cluster."""

    def reached(self, names: Iterable[ReplicaName]) -> list[Replica]:
        """The addresses at which the gateway reaches those of these replicas that run in clusters."""


class NoClusters:
    """`Clusters` of a backend whose replicas all run on this machine."""

    def check(self, cluster: Cluster) -> str:
        raise InvalidInput("This installation's backend runs replicas on this machine only")

    def start(
        self,
        cluster: Cluster,
        names: Iterable[ReplicaName],
        carried: Carried,
        resources: Resources,
        scaling: Scaling | None = None,
    ) -> None:
        self.check(cluster)

    def rescale(self, deployment: str, generation: int, replicas: int, scaling: Scaling | None) -> None:
        raise InvalidInput("This installation's backend runs replicas on this machine only")

    def scaling(self, deployment: str, generation: int) -> Scaling | None:
        return None

    def renew(self, deployment: str, generation: int, files: Mapping[str, str]) -> None:
        raise InvalidInput("This installation's backend runs replicas on this machine only")

    def clean_up(self) -> bool:
        return False

    def secret(self, deployment: str, generation: int) -> str:
        return ""

    def has(self, name: ReplicaName) -> bool:
        return False

    def reached(self, names: Iterable[ReplicaName]) -> list[Replica]:
        return []


@dataclass(frozen=True)
class Backends:
    """Where deployments run: on this machine, or in clusters."""

    replicas: Backend
    logs: ReplicaLogs
    clusters: Clusters = field(default_factory=NoClusters)
