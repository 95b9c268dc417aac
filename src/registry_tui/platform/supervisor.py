"""supervisord, one a platform: its configuration, its start and end, and its XML-RPC API over a unix socket.

Documented in supervisor's "XML-RPC API".
"""

from __future__ import annotations

import http.client
import os
import shlex
import socket
import subprocess
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from registry_tui.platform.children import isolated, known_environment
from registry_tui.platform.errors import PartFailed, SupervisorUnavailable
from registry_tui.platform.extras import how_to_start
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, GATEWAYS, PART_VARIABLE, Home
from registry_tui.platform.secrets import write_private

#: The parts in the order of their start, with the module that each runs.
PARTS = {
    "object-store": "registry_tui.platform.object_store",
    "mlflow": "registry_tui.mlflow_plugin.launch",
    "service": "registry_tui.service",
    "gateway": "registry_tui.gateway",
}

#: supervisord's programs with the part that each belongs to: one a part, and two of the gateway.
PROGRAMS = {program: part for part in PARTS for program in (GATEWAYS if part == "gateway" else (part,))}

#: Files that a process must be allowed to open.
MIN_FILES = 1024
#: Seconds until supervisord responds: importing it alone may take some on a busy machine.
_START_SECONDS = 30.0
#: Seconds that removed replicas get to finish requests in progress.
_STOP_SECONDS = 120.0


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
    sections = [
        "[supervisord]",
        f"pidfile={_quoted(home.supervisor_pid)}",
        f"logfile={_quoted(home.logs / 'supervisor.log')}",
        f"childlogdir={_quoted(home.logs)}",
        f"directory={_quoted(home.run)}",
        "logfile_maxbytes=1MB",
        "logfile_backups=2",
        "loglevel=info",
        "umask=077",
        f"minfds={MIN_FILES}",
        f"identifier=registry-tui-{home.run.name}",
        "",
        "[unix_http_server]",
        f"file={_quoted(home.supervisor_socket)}",
        "chmod=0700",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "",
        "[include]",
        f"files={_quoted(home.replicas / '*.conf')}",
    ]
    for name, part in PROGRAMS.items():
        # Both of the gateway's write to one log: supervisord appends for them.
        arguments = (name,) if part == "gateway" else ()
        sections += program(name, isolated(PARTS[part], *arguments), part=part, log=home.logs / f"{part}.log")
    return "\n".join(sections) + "\n"


def program(
    name: str,
    command: Sequence[str],
    *,
    part: str,
    log: Path,
    autostart: bool = False,
    startsecs: int = 2,
    stop: int = 20,
) -> list[str]:
    """One program's section of the configuration.

    A program that ends within `startsecs` failed to start; it is killed `stop` seconds after SIGTERM.
    """
    return [
        "",
        f"[program:{name}]",
        f"command={_quoted(shlex.join(command))}",
        f'environment={PART_VARIABLE}="{part}"',
        f"autostart={str(autostart).lower()}",
        "autorestart=true",
        f"startsecs={startsecs}",
        "startretries=3",
        f"stopwaitsecs={stop}",
        "stopasgroup=true",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_quoted(log)}",
        "stdout_logfile_maxbytes=10MB",
        "stdout_logfile_backups=3",
    ]


def _quoted(value: object) -> str:
    return str(value).replace("%", "%%")


def configure(home: Home) -> None:
    """Writes supervisord's configuration. Raises OSError."""
    write_private(home.supervisor_config, configuration(home))


class Launched(Protocol):
    """A process that was started, as `subprocess.Popen` shows it."""

    @property
    def returncode(self) -> int | None:
        """Its exit code once it was waited for."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end. Raises subprocess.TimeoutExpired."""

    def kill(self) -> None:
        """Ends it at once."""


def launched(command: Sequence[str], folder: Path, log: IO[bytes], variables: Mapping[str, str]) -> Launched:
    """Runs a command in a folder with these variables alone; its outputs go to the log. Raises OSError."""
    return subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=variables
    )


def start(home: Home) -> None:
    """Starts supervisord; its parts stay stopped until they are requested. Raises PartFailed, OSError."""
    configure(home)
    home.supervisor_socket.unlink(missing_ok=True)
    home.supervisor_pid.unlink(missing_ok=True)
    output = home.logs / "supervisor-start.log"
    with output.open("wb") as log:
        command = isolated("supervisor.supervisord", "-c", str(home.supervisor_config))
        variables = known_environment({ENVIRONMENT_VARIABLE: str(home.root), PART_VARIABLE: "supervisor"})
        started = launched(command, home.run, log, variables)
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
    reason = output.read_text(encoding="utf-8", errors="replace").strip() or tail(home, "supervisor", 10)
    raise PartFailed(f"supervisord did not start: {reason}", action="See `registry-tui logs supervisor`")


def state(home: Home) -> Literal["running", "stopping", "stopped"]:
    """The state of this home's supervisord."""
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


def programs_of(part: str) -> list[str]:
    """The programs that do a part's work."""
    return [program for program, its in PROGRAMS.items() if its == part]


def part_info(known: Mapping[str, ProcessInfo], part: str) -> ProcessInfo:
    """A part's state from its programs: FATAL when one is, else not running when one is not."""
    infos = [known[program] for program in programs_of(part) if program in known]
    given_up = [info for info in infos if info.state == "FATAL"]
    ended = [info for info in infos if not info.running]
    return replace((given_up or ended or infos)[0], name=part)


def start_part(home: Home, part: str) -> None:
    """Requests the start of a part, and does not wait. Raises SupervisorUnavailable."""
    _ignoring(home, "supervisor.startProcess", part, False)


def stop_part(home: Home, part: str) -> None:
    """Stops a part and waits for its end. Raises SupervisorUnavailable."""
    _ignoring(home, "supervisor.stopProcess", part, True)


def reread(home: Home) -> None:
    """Takes up programs that were added to its configuration, and ends those that were taken out of it.

    Raises SupervisorUnavailable.
    """
    [(added, changed, removed)] = _asked(home, "supervisor.reloadConfig")
    gone = (*removed, *changed)
    for name in gone:
        _ignoring(home, "supervisor.stopProcessGroup", name, False)
    until = time.monotonic() + _STOP_SECONDS
    for name in gone:
        while not _removed(home, name) and time.monotonic() < until:
            time.sleep(0.05)
    for name in (*added, *changed):
        _ignoring(home, "supervisor.addProcessGroup", name)


def _removed(home: Home, name: str) -> bool:
    try:
        _call(home, "supervisor.removeProcessGroup", name)
    except xmlrpc.client.Fault as fault:
        return fault.faultCode != _STILL_RUNNING
    return True


def shutdown(home: Home) -> None:
    """Makes supervisord stop all parts and itself; does not wait. Raises SupervisorUnavailable."""
    try:
        _call(home, "supervisor.shutdown")
    except xmlrpc.client.Fault:
        return  # it is shutting down already


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


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

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
        return UnixConnection(self._path, self._timeout)


#: Faults that mean that the requested state already holds (supervisor/xmlrpc.py): BAD_NAME, ALREADY_STARTED,
#: NOT_RUNNING, ALREADY_ADDED.
_ALREADY = (10, 60, 70, 90)
_STILL_RUNNING = 91


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
    try:
        home.require_own_sockets()
    except OSError as error:
        raise SupervisorUnavailable(
            f"Nothing was asked at {error.filename or home.run}: {error.strerror}",
            action="Choose another place with `--data-dir` or REGISTRY_TUI_HOME",
        ) from error
    transport = _UnixTransport(str(home.supervisor_socket), timeout=60.0)
    proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport, allow_none=True)
    try:
        target: Any = proxy
        for name in method.split("."):
            target = getattr(target, name)
        return target(*arguments)
    except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
        raise SupervisorUnavailable("The platform is not running", action=how_to_start()) from error
    finally:
        transport.close()
