"""A private network of machines that reach this one and each other: a network namespace for each, at one bridge."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from support import namespaces
from support.namespaces import ip
from support.ray_clusters import Machine


@dataclass(frozen=True)
class Network:
    """This machine's address in the network, and the others."""

    own: str
    machines: tuple[Machine, ...]


@contextmanager
def private_network(machines: int) -> Iterator[Network]:
    """A network of so many machines, gone at the end. Skips the test where this account may make none."""
    mark = uuid.uuid4().hex[:6]
    bridge, below = f"rb{mark}", f"10.213.{os.getpid() % 256}"
    with ExitStack() as stack:
        try:
            ip("link", "add", bridge, "type", "bridge")
            stack.callback(ip, "link", "delete", bridge)
            ip("address", "add", f"{below}.1/24", "dev", bridge)
            ip("link", "set", bridge, "up")
            found = tuple(_machine(stack, mark, bridge, below, number) for number in range(2, machines + 2))
        except (OSError, subprocess.SubprocessError):
            pytest.skip("This account may not make network namespaces")
        everywhere = (Machine(f"{below}.1"), *found)
        if not all(_reaches(one, other) for one in everywhere for other in everywhere if one != other):
            pytest.skip("This system passes nothing on between network namespaces")
        yield Network(f"{below}.1", found)


def _machine(stack: ExitStack, mark: str, bridge: str, below: str, number: int) -> Machine:
    name, end, far = f"rt-n{number}-{mark}", f"h{number}{mark}", f"n{number}{mark}"
    namespaces.add(stack, name)
    ip("link", "add", end, "type", "veth", "peer", "name", far, "netns", name)
    ip("link", "set", end, "master", bridge)
    ip("link", "set", end, "up")
    ip("-n", name, "address", "add", f"{below}.{number}/24", "dev", far)
    ip("-n", name, "link", "set", far, "up")
    ip("-n", name, "link", "set", "lo", "up")
    return Machine(f"{below}.{number}", namespaces.inside(name))


def _reaches(one: Machine, other: Machine) -> bool:
    """Whether a connection from one machine arrives at another: some systems filter what passes a bridge."""
    listen = f"import socket; s = socket.create_server(('{other.address}', 0)); print(s.getsockname()[1], flush=True)"
    command = [*other.inside, sys.executable, "-c", f"{listen}; s.accept()"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listening:
        try:
            assert listening.stdout is not None
            port = listening.stdout.readline().strip()
            if not port:  # nothing can be run there
                return False
            connect = f"import socket; socket.create_connection(('{other.address}', {port}), 10)"
            return subprocess.run([*one.inside, sys.executable, "-c", connect], check=False).returncode == 0
        finally:
            listening.kill()
