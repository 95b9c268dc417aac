"""Ray clusters of this machine: each node a `ray start` of its own, with a loopback address of its own."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from support.platforms import PATIENCE, clean_environment, temporary_folder, wait_for
from support.team import free_port

_RAY = Path(sys.prefix) / "ray/bin/ray"
#: Bytes for objects of a node: the least that Ray takes.
_OBJECTS = 80_000_000
#: Times that a node is started: `ray start` gives up where a port was taken meanwhile.
_TRIES = 3
#: Ray takes 127.0.0.1 for the machine's own address.
_ADDRESSES = tuple(f"127.0.0.{number}" for number in range(2, 9))


@dataclass(frozen=True)
class Machine:
    """A node's address, and the words before a command that runs there."""

    address: str
    inside: tuple[str, ...] = ()


@dataclass
class Node:
    """A node's processes, by the one that began them."""

    process: subprocess.Popen[bytes]

    def processes(self) -> list[int]:
        """All processes that belong to it."""
        found, left = [], [self.process.pid]
        while left:
            pid = left.pop()
            found.append(pid)
            with suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    left += [int(child) for child in (task / "children").read_text().split()]
        return found

    def kill(self) -> None:
        """Ends it as a machine ends that loses its power."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class RayServer:
    """A cluster, and how it is reached."""

    folder: Path
    token: str
    port: int
    dashboard: int
    http_port: int
    nodes: list[Node] = field(default_factory=list)
    #: The machines of its nodes; without any, this one with loopback addresses.
    machines: tuple[Machine, ...] = ()

    @property
    def address(self) -> str:
        return f"http://{self.machines[0].address if self.machines else '127.0.0.1'}:{self.dashboard}"

    def client(self) -> httpx.Client:
        """A client of the cluster's REST API, as any user of the cluster has it."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=PATIENCE, trust_env=False)

    def add_node(self, cpus: int, gpus: int = 0) -> Node:
        """Starts one more node; the first is the head."""
        machine = self.machines[len(self.nodes)] if self.machines else Machine(_ADDRESSES[len(self.nodes)])
        address, name = machine.address, f"node-{len(self.nodes)}"
        command = [
            *machine.inside,
            str(_RAY),
            "start",
            "--block",
            "--disable-usage-stats",
            f"--node-ip-address={address}",
        ]
        # Ray does not check these numbers, and assigns the GPUs to replicas.
        command += [
            f"--num-cpus={cpus}",
            f"--num-gpus={gpus}",
            f"--object-store-memory={_OBJECTS}",
            # Machines of their own share no folder: one would remove another's copy of a package.
            f"--temp-dir={self.folder / (f'ray-{len(self.nodes)}' if self.machines else 'ray')}",
        ]
        command += ["--min-worker-port=0", "--max-worker-port=0", f"--dashboard-agent-listen-port={free_port()}"]
        if self.nodes:
            command += [f"--address={self.machines[0].address if self.machines else _ADDRESSES[0]}:{self.port}"]
        else:
            command += ["--head", f"--port={self.port}", f"--ray-client-server-port={free_port()}"]
            command += [f"--dashboard-host={urlsplit(self.address).hostname}", f"--dashboard-port={self.dashboard}"]
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(self.token)
        variables = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            # On a busy machine its own parts wait for each other longer than they do by themselves.
            "RAY_raylet_start_wait_time_s": f"{PATIENCE:.0f}",
            "RAY_agent_register_timeout_ms": f"{PATIENCE * 1000:.0f}",
            "REGISTRY_TUI_NODE_CACHE": str(self.folder / f"cache-{name}"),
            # Machines of their own reach nothing but each other: packages come from the cache.
            **({"UV_OFFLINE": "1"} if self.machines else {}),
        }
        known = len(self.nodes)
        for _ in range(_TRIES):
            with (self.folder / f"{name}.log").open("ab") as log:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=clean_environment(variables),
                    cwd=self.folder,
                )
            node = Node(process)
            self.nodes.append(node)
            if self._comes_up(node, known):
                return node
            self.nodes.remove(node)
        raise AssertionError((self.folder / f"{name}.log").read_text(errors="replace")[-2000:])

    def _comes_up(self, node: Node, known: int) -> bool:
        """Waits until the cluster knows one more node than `known`; False when the node gave up."""

        def found() -> str:
            return "alive" if self.alive() > known else "ended" if node.process.poll() is not None else ""

        return wait_for(found, what="a node of the cluster") == "alive"

    def alive(self) -> int:
        """How many nodes the cluster knows to be alive; none while its REST API does not answer."""
        with suppress(httpx.HTTPError, KeyError, ValueError), self.client() as client:
            told = client.get("/nodes?view=summary").raise_for_status().json()["data"]["summary"]
            states = [each["raylet"]["state"] for each in told]
            client.get("/api/serve/applications/").raise_for_status()
            return states.count("ALIVE")
        return 0


@contextmanager
def running_ray(cpus: int = 8, gpus: int = 0, machines: tuple[Machine, ...] = ()) -> Iterator[RayServer]:
    """A cluster of one node; its processes and files are gone at the end. More nodes are on the other `machines`."""
    if not _RAY.exists():
        pytest.skip("Ray is not installed: see what `make ray` says")
    with temporary_folder() as folder:
        server = RayServer(folder, secrets.token_hex(32), free_port(), free_port(), free_port(), machines=machines)
        try:
            server.add_node(cpus, gpus)
            yield server
        finally:
            for node in reversed(server.nodes):
                if node.process.poll() is None:
                    node.kill()
