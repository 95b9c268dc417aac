"""supervisord, one a platform: its configuration, its start and end, and what it says over its unix socket.

XML-RPC API: supervisor's documentation, "XML-RPC API".
"""

from __future__ import annotations

import http.client
import os
import shlex
import socket
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from typing import Any, Literal

from registry_tui.platform.errors import PartFailed, SupervisorUnavailable
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from registry_tui.platform.ports import LOOPBACK
from registry_tui.platform.processes import PART_VARIABLE
from registry_tui.platform.secrets import write_private

#: The parts in the order of their start, with the module that each runs.
PARTS = {
    "object-store": "registry_tui.platform.object_store",
    "mlflow": "registry_tui.mlflow_plugin.launch",
    "service": "registry_tui.service",
}

_START_SECONDS = 10.0

#: A person's `registry-tui env` exports and cloud keys, which must not change what the parts do.
_FOREIGN_PREFIXES = ("MLFLOW_", "AWS_", "WEED_", "REGISTRY_TUI_USER")


@dataclass(frozen=True)
class ProcessInfo:
    """A part as supervisord sees it: STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL, UNKNOWN."""

    name: str
    state: str
    pid: int
    description: str

    @property
    def running(self) -> bool:
        return self.state in ("STARTING", "RUNNING")


def configuration(home: Home) -> str:
    """supervisord's configuration file; it holds no secret."""

    def quoted(value: object) -> str:
        return str(value).replace("%", "%%")

    sections = [
        "[supervisord]",
        f"pidfile={quoted(home.supervisor_pid)}",
        f"logfile={quoted(home.logs / 'supervisor.log')}",
        f"childlogdir={quoted(home.logs)}",
        f"directory={quoted(home.run)}",
        "logfile_maxbytes=1MB",
        "logfile_backups=2",
        "loglevel=info",
        "umask=077",
        "minfds=1024",
        f"identifier=registry-tui-{home.run.name}",
        "",
        "[unix_http_server]",
        f"file={quoted(home.supervisor_socket)}",
        "chmod=0700",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for name, module in PARTS.items():
        sections += [
            "",
            f"[program:{name}]",
            f"command={quoted(shlex.quote(sys.executable))} -m {module}",
            f'environment={PART_VARIABLE}="{name}"',
            "autostart=false",
            "autorestart=true",
            "startsecs=2",
            "startretries=3",
            "stopwaitsecs=20",
            "stopasgroup=true",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={quoted(home.logs / f'{name}.log')}",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=3",
        ]
    return "\n".join(sections) + "\n"


def start(home: Home) -> None:
    """Starts supervisord; its parts stay stopped until they are asked for. Raises PartFailed, OSError."""
    write_private(home.supervisor_config, configuration(home))
    home.supervisor_socket.unlink(missing_ok=True)
    home.supervisor_pid.unlink(missing_ok=True)
    output = home.logs / "supervisor-start.log"
    with output.open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(home.supervisor_config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(home),
        )
    # It ends as soon as its daemon runs, or when it cannot start.
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and started.poll() in (None, 0):
        if state(home) == "running":
            started.wait(timeout=_START_SECONDS)
            return
        time.sleep(0.02)
    if started.poll() is None:
        started.kill()
        started.wait()
    said = output.read_text(encoding="utf-8", errors="replace").strip() or tail(home, "supervisor", 10)
    raise PartFailed(f"supervisord did not start: {said}", action="See `registry-tui logs supervisor`")


def _environment(home: Home) -> dict[str, str]:
    """What all parts get: a person's own variables, less those that would change what they do."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_PREFIXES)}
    # The parts talk to each other on this machine; a proxy would only hear their secrets.
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, (kept.get(name), LOOPBACK, "localhost")))
    return {**kept, ENVIRONMENT_VARIABLE: str(home.root), PART_VARIABLE: "supervisor"}


def state(home: Home) -> Literal["running", "stopping", "stopped"]:
    """What this home's supervisord does."""
    try:
        _call(home, "supervisor.getState")
    except SupervisorUnavailable:
        return "stopped"
    except xmlrpc.client.Fault:  # SHUTDOWN_STATE
        return "stopping"
    return "running"


def pid(home: Home) -> int:
    """supervisord's process. Raises SupervisorUnavailable."""
    return int(_asked(home, "supervisor.getPID"))


def processes(home: Home) -> dict[str, ProcessInfo]:
    """Every part as supervisord sees it. Raises SupervisorUnavailable."""
    return {
        info["name"]: ProcessInfo(info["name"], info["statename"], info["pid"], info["description"])
        for info in _asked(home, "supervisor.getAllProcessInfo")
    }


def start_part(home: Home, part: str) -> None:
    """Asks for a part to be started, and does not wait. Raises SupervisorUnavailable."""
    _ignoring(home, "supervisor.startProcess", part, False)


def stop_part(home: Home, part: str) -> None:
    """Stops a part and waits for its end. Raises SupervisorUnavailable."""
    _ignoring(home, "supervisor.stopProcess", part, True)


def shutdown(home: Home) -> None:
    """Asks supervisord to stop all parts and itself; does not wait. Raises SupervisorUnavailable."""
    try:
        _call(home, "supervisor.shutdown")
    except xmlrpc.client.Fault:
        return  # it is at it


def tail(home: Home, part: str, lines: int) -> str:
    """The last lines of a part's log."""
    path = home.logs / f"{part}.log"
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 400 * lines))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__()
        self._path, self._timeout = path, timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _UnixConnection(self._path, self._timeout)


#: Faults that mean that what was asked for is already so (supervisor/xmlrpc.py): ALREADY_STARTED, NOT_RUNNING.
_ALREADY = (60, 70)


def _ignoring(home: Home, method: str, *arguments: Any) -> None:
    try:
        _call(home, method, *arguments)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode not in _ALREADY:
            raise SupervisorUnavailable(f"supervisord refused {method}: {fault.faultString}") from fault


def _asked(home: Home, method: str) -> Any:
    try:
        return _call(home, method)
    except xmlrpc.client.Fault as fault:
        raise SupervisorUnavailable(
            "The platform is shutting down", action="Wait a moment, then start it with `registry-tui up`"
        ) from fault


def _call(home: Home, method: str, *arguments: Any) -> Any:
    transport = _UnixTransport(str(home.supervisor_socket), timeout=60.0)
    proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport, allow_none=True)
    try:
        target: Any = proxy
        for name in method.split("."):
            target = getattr(target, name)
        return target(*arguments)
    except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
        raise SupervisorUnavailable("The platform is not running", action="Start it with `registry-tui up`") from error
    finally:
        transport.close()
