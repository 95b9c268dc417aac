"""Every socket that a platform listens on, and the data that a stranger may get: one without a row fails a test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from registry_tui.platform import listening, processes
from registry_tui.platform.ports import LOOPBACK
from registry_tui.service.settings import FIRST_DEPLOYMENT_PORT, LAST_DEPLOYMENT_PORT
from support.platforms import Platform

#: The flag of a unix socket that listens (`__SO_ACCEPTCON`, /proc/net/unix).
_LISTENS = 0x10000


@dataclass(frozen=True, order=True)
class Listener:
    """A TCP address, or a unix socket's path."""

    part: str
    address: str
    port: int = 0


@dataclass(frozen=True)
class Row:
    """The expectations for a kind of listener.

    `http` speaks HTTP to callers, `certificate` closes connections without one of the platform's own certificates, and
    `folder` is a unix socket that only the platform's owner can reach. `open` are the paths that work without
    credentials.
    """

    kind: str
    open: tuple[str, ...] = ()


#: MLflow's health, and the program files of its page.
_MLFLOW = Row("http", open=("/health", "/static-files/index.html"))
_GATEWAY = Row("http", open=("/health",))
#: Empty responses, which only show that the store runs.
_STORE = Row("http", open=("/status", "/healthz"))
_INNER = Row("certificate")

PORTS = {
    "mlflow": _MLFLOW,
    "gateway": _GATEWAY,
    "s3": _STORE,
    **dict.fromkeys(("master", "volume", "filer", "admin"), _INNER),
    **{f"{name}_grpc": _INNER for name in ("master", "volume", "filer", "s3", "admin")},
    "deployment": Row("http"),
}
#: The listener for other machines, where there is one: over TLS, without credentials only for signing in.
LISTENER = Row("https", open=("/api/v1/sign-in",))
SOCKETS = {
    r"service\.sock": Row("folder"),
    r"supervisor\.sock(\.\d+)?": Row("folder"),
    r"gateway(-2)?(-ports)?\.sock": Row("folder"),
    r"(s3|filer)\.sock": Row("folder"),
    r"replicas/[a-z0-9-]+\.sock": Row("folder"),
}
#: SeaweedFS's own sockets, regardless of its options.
SEAWEEDFS = re.compile(r"/tmp/seaweedfs-(master|volume|filer|s3|admin)-grpc-\d+\.sock")


def listeners(platform: Platform) -> set[Listener]:
    """Every socket on which a process of the platform listens now; of UDP, those that are bound."""
    ours = processes.ours(platform.home)
    listening = _listening_inodes()
    found = set()
    for each in psutil.net_connections("inet"):
        if each.pid in ours and each.laddr and each.status in (psutil.CONN_LISTEN, psutil.CONN_NONE):
            found.add(Listener(ours[each.pid], each.laddr.ip, each.laddr.port))
    for pid, part in ours.items():
        for inode in _inodes(pid):
            if inode in listening:
                found.add(Listener(part, listening[inode]))
    return found


def row_of(platform: Platform, listener: Listener) -> tuple[str, Row]:
    """The name and the row of a listener. Raises LookupError for one that has no row."""
    if listener.port:
        where = listening.load(platform.home)
        if where is not None and (where.host, where.port) == (listener.address, listener.port):
            return "listener", LISTENER
        if listener.address == LOOPBACK:
            names = {port: name for name, port in asdict(platform.ports).items()}
            deployments = range(FIRST_DEPLOYMENT_PORT, LAST_DEPLOYMENT_PORT + 1)
            name = names.get(listener.port, "deployment" if listener.port in deployments else "")
            if name in PORTS:
                return name, PORTS[name]
    elif SEAWEEDFS.fullmatch(listener.address):
        return Path(listener.address).name, Row("folder")
    else:
        path = listener.address.removeprefix(f"{platform.home.run}/")
        for pattern, row in SOCKETS.items():
            if re.fullmatch(pattern, path):
                return path, row
    raise LookupError(f"say in support/strangers.py what a stranger may do with {listener}")


def http_ports(platform: Platform, found: Iterable[Listener]) -> Iterator[tuple[str, int, Row]]:
    """The name, number and row of each port that speaks HTTP to callers."""
    for listener in sorted(found):
        name, row = row_of(platform, listener)
        if row.kind == "http":
            yield name, listener.port, row


def pages(port: int) -> dict[str, dict[str, str]]:
    """Headers of browsers' requests from a foreign page to a port of this machine."""
    here = f"{LOOPBACK}:{port}"
    return {
        "rebinding": {"Host": "evil.example"},
        "rebinding with the port": {"Host": f"evil.example:{port}"},
        "a name that begins like this machine": {"Host": f"{LOOPBACK}.evil.example:{port}"},
        "rebinding of a name without a dot": {"Host": f"evil:{port}"},
        "another origin": {"Origin": "https://evil.example"},
        "a frame without an origin": {"Origin": "null"},
        "another port of this machine": {"Origin": f"http://{LOOPBACK}:1"},
        "another name of this machine": {"Origin": f"http://localhost:{port}"},
        "an image or a script": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        "an image on another port": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Host": here},
    }


def _listening_inodes() -> dict[int, str]:
    """The paths of unix sockets that listen, by inode (proc(5), /proc/net/unix)."""
    found = {}
    for line in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if int(fields[3], 16) & _LISTENS:
            found[int(fields[6])] = fields[7] if len(fields) > 7 else ""
    return found


def _inodes(pid: int) -> Iterator[int]:
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            if named := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                yield int(named[1])
    except OSError:
        return  # the process has just ended
