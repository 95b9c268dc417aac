"""The TCP ports of a platform: chosen free on 127.0.0.1 once, then kept."""

from __future__ import annotations

import json
import random
import socket
from dataclasses import asdict, dataclass, fields

from registry_tui.platform.errors import HomeUnusable, PortTaken
from registry_tui.platform.paths import Home
from registry_tui.platform.processes import holder_of_port
from registry_tui.platform.secrets import write_private

LOOPBACK = "127.0.0.1"

#: Below the ports that Linux gives to outgoing connections (ip_local_port_range, 32768 on), so that a kept port is
#: not taken by chance while the platform is down.
_LOWEST, _HIGHEST = 20_000, 32_000


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


def load_ports(home: Home) -> Ports | None:
    """The ports chosen for this home, or None before the first start. Raises HomeUnusable."""
    try:
        return Ports(**json.loads(home.ports_file.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError) as error:
        raise HomeUnusable(
            f"{home.ports_file} is damaged", action="Remove it; the next `registry-tui up` chooses new ports"
        ) from error


def choose_ports(home: Home, *, anew: bool = False) -> Ports:
    """This home's ports; chooses free ones the first time, or `anew`. Raises OSError, HomeUnusable."""
    if not anew and (known := load_ports(home)) is not None:
        return known
    candidates = random.SystemRandom().sample(range(_LOWEST, _HIGHEST), 400)
    free = (port for port in candidates if is_free(port))
    ports = Ports(*(next(free) for _ in fields(Ports)))
    write_private(home.ports_file, json.dumps(asdict(ports), indent=1))
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def require_free(ports: Ports) -> None:
    """Raises PortTaken when another program listens on one of these ports."""
    for field in fields(ports):
        port = getattr(ports, field.name)
        if not is_free(port):
            holder = holder_of_port(port) or "another program"
            raise PortTaken(
                f"Port {port} ({field.name}) of this platform is taken by {holder}",
                action="Stop that program, or let the platform choose other ports: `registry-tui up --new-ports`",
            )
