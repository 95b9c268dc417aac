"""The TCP ports of a platform: chosen free on 127.0.0.1 once, then kept."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields

from registry_tui.platform.errors import Damaged, PortTaken
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import write_private

LOOPBACK = "127.0.0.1"

#: Homes get one of 500 blocks, so that two that start at the same moment hardly ever want the same port. All are below
#: the ports that Linux gives to outgoing connections (ip_local_port_range, 32768 on), so that a kept port is not taken
#: by chance while the platform is down.
_BLOCKS = 500
_FIRST, _BLOCK_SIZE = 22_000, 16
#: The object store's own worker expects the admin's gRPC port 10000 above its HTTP port, regardless of its options.
_FIRST_ADMIN, _ADMIN_GRPC_ABOVE = 20_000, 10_000


@dataclass(frozen=True)
class Ports:
    """Every port that a part of the platform listens on, all on 127.0.0.1."""

    s3: int
    s3_grpc: int
    master: int
    master_grpc: int
    volume: int
    volume_grpc: int
    filer: int
    filer_grpc: int
    admin: int
    admin_grpc: int
    mlflow: int
    gateway: int

    @property
    def s3_endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.s3}"

    @property
    def mlflow_url(self) -> str:
        return f"http://{LOOPBACK}:{self.mlflow}"

    @property
    def gateway_url(self) -> str:
        return f"http://{LOOPBACK}:{self.gateway}"


def load_ports(home: Home) -> Ports | None:
    """The ports chosen for this home, or None before the first start. Raises Damaged."""
    try:
        return Ports(**json.loads(home.ports_file.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError) as error:
        raise Damaged(
            f"{home.ports_file} is damaged", action="Remove it; the next `registry-tui up` chooses new ports"
        ) from error


def choose_ports(home: Home, *, fresh: bool = False) -> Ports:
    """This home's ports; chooses free ones the first time, or `fresh`. Raises OSError, Damaged, PortTaken."""
    if not fresh and (known := load_ports(home)) is not None:
        return known
    for block in secrets.SystemRandom().sample(range(_BLOCKS), _BLOCKS):
        ports = _ports_of_block(block)
        if all(is_free(port) for port in asdict(ports).values()):
            write_private(home.ports_file, json.dumps(asdict(ports), indent=1))
            return ports
    raise PortTaken(
        f"No free ports between {_FIRST_ADMIN} and {_FIRST_ADMIN + _ADMIN_GRPC_ABOVE + 4 * _BLOCKS}",
        action="Stop some of the programs that listen there; see `ss -ltnp`",
    )


def _ports_of_block(block: int) -> Ports:
    admin = _FIRST_ADMIN + 4 * block
    rest = iter(range(_FIRST + _BLOCK_SIZE * block, _FIRST + _BLOCK_SIZE * (block + 1)))
    chosen = {"admin": admin, "admin_grpc": admin + _ADMIN_GRPC_ABOVE}
    return Ports(**{field.name: chosen.get(field.name) or next(rest) for field in fields(Ports)})


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def require_free(ports: Ports, besides: Collection[str] = (), patience: float = 5.0) -> None:
    """Raises PortTaken when another program listens on one of these ports, `besides` those of the given parts.

    Without a visible listener, it waits: the kernel closes the sockets of a killed process a moment later.
    """
    from registry_tui.platform.processes import holder_of_port  # psutil: the terminal program alone goes without it

    until = time.monotonic() + patience
    for field in fields(ports):
        if field.name in besides:
            continue
        port = getattr(ports, field.name)
        while not is_free(port):
            holder = holder_of_port(port)
            if holder is None and time.monotonic() < until:
                time.sleep(0.05)
                continue
            raise PortTaken(
                f"Port {port} ({field.name}) of this platform is taken by {holder or 'another program'}",
                action="Stop that program, or let the platform choose other ports: `registry-tui up --new-ports`",
            )
