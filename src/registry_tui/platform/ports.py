"""The TCP ports of a platform: chosen free on 127.0.0.1 once, then kept."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, fields

from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import write_private

LOOPBACK = "127.0.0.1"


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
    mlflow: int
    gateway: int

    @property
    def s3_endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.s3}"

    @property
    def mlflow_url(self) -> str:
        return f"http://{LOOPBACK}:{self.mlflow}"


def load_ports(home: Home) -> Ports | None:
    """The ports chosen for this home, or None before the first start."""
    try:
        return Ports(**json.loads(home.ports_file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def choose_ports(home: Home) -> Ports:
    """This home's ports; chooses free ones the first time. Raises OSError."""
    if (known := load_ports(home)) is not None:
        return known
    sockets = []
    try:
        for _ in fields(Ports):
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.bind((LOOPBACK, 0))
            sockets.append(listener)
        ports = Ports(*(listener.getsockname()[1] for listener in sockets))
    finally:
        for listener in sockets:
            listener.close()
    write_private(home.ports_file, json.dumps(asdict(ports), indent=1))
    return ports
