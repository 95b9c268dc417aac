"""The local deployment backend: each replica is a program of the platform's supervisord."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from registry_tui.contracts.replica_spec import (
    ReplicaSpec,
    batching_file,
    calls_file,
    files_beside,
    files_file,
    reason_file,
    starts_file,
    unread_file,
)
from registry_tui.platform import processes, supervisor
from registry_tui.platform.children import isolated
from registry_tui.platform.errors import SupervisorUnavailable
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import Ports
from registry_tui.platform.secrets import Secrets, write_private
from registry_tui.service.backends.base import Backends, ReplicaName, ReplicaProcess
from registry_tui.service.errors import PartUnavailable
from registry_tui.serving.calls import Calls

#: The answer of `processes.part_of` for a replica.
PART = "replica"
#: Seconds after its start within which an ended process counts as not started.
START_SECONDS = 15
#: Seconds beyond a request's own time that a stopping replica gets to answer the requests under way.
STOP_SECONDS = 10
_PING_SECONDS = 2.0
#: Replicas that are asked at a time.
LOOKED_AT_ONCE = 16
#: Bytes of a log that are read at once.
LOG_CHUNK = 256 * 1024


class LocalReplicas:
    """Starts and stops replicas, and reports their states. Every method may raise PartUnavailable."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._changing = threading.Lock()

    # -- paths --------------------------------------------------------------------------------------

    def socket(self, name: ReplicaName) -> Path:
        return self._home.replicas / f"{name.program}.sock"

    def log(self, name: ReplicaName) -> Path:
        """The log of all processes that ever were this replica; kept over restarts."""
        return self._home.deployment_logs / name.deployment / f"{name.generation}-{name.index}.log"

    def logs(self, deployment: str) -> list[tuple[ReplicaName, os.stat_result]]:
        """The logs that a deployment has, also of replicas that are gone."""
        found = []
        for path in (self._home.deployment_logs / deployment).glob("*-*.log"):
            generation, _, index = path.stem.partition("-")
            if generation.isdigit() and index.isdigit():
                with suppress(FileNotFoundError):
                    found.append((ReplicaName(deployment, int(generation), int(index)), path.stat()))
        return found

    def spec(self, name: ReplicaName) -> Path:
        return self._home.serving / "deployments" / name.deployment / f"{name.generation}-{name.index}.json"

    def _configuration(self, name: ReplicaName) -> Path:
        return self._home.replicas / f"{name.program}.conf"

    def configured(self, name: ReplicaName) -> bool:
        """Whether supervisord keeps it running."""
        return self._configuration(name).exists()

    def read(self, name: ReplicaName, offset: int | None, *, lines: int = 1000) -> tuple[list[str], int]:
        """Whole lines of a log from a byte `offset`, or the last ones; and the offset behind them. Raises OSError."""
        return read_log(self.log(name), offset, lines=lines)

    # -- changing -------------------------------------------------------------------------------------

    def start(self, replicas: Mapping[ReplicaName, tuple[ReplicaSpec, Path]]) -> None:
        """Starts replicas, each with its spec and the Python to run it with; does not wait. Raises OSError too."""
        for name, (spec, python) in replicas.items():
            path = self.spec(name)
            for folder in (path.parent, self.log(name).parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            reason_file(path).unlink(missing_ok=True)
            unread_file(path).unlink(missing_ok=True)
            write_private(path, spec.to_json())
            write_private(files_file(path), spec.files)
            section = supervisor.program(
                name.program,
                isolated("registry_tui.serving", str(path), python=python),
                part=PART,
                log=self.log(name),
                autostart=True,
                startsecs=START_SECONDS,
                stop=round(spec.limits.seconds) + STOP_SECONDS,
            )
            write_private(self._configuration(name), "\n".join(section) + "\n")
        self._reread()
        # One that gave up earlier, or was stopped by hand, is known already and starts again.
        known = self._known()
        for name in replicas:
            if known.get(name.program) in ("STOPPED", "EXITED", "FATAL"):
                self._call(supervisor.start_part, name.program)

    def remove(self, names: Iterable[ReplicaName]) -> None:
        """Stops replicas once they have answered the requests under way, and forgets them; their logs stay."""
        gone = [name for name in names if self._configuration(name).exists() or self.spec(name).exists()]
        for name in gone:
            self._configuration(name).unlink(missing_ok=True)
        self._reread()
        for name in gone:
            path = self.spec(name)
            for file in (path, *files_beside(path), self.socket(name)):
                file.unlink(missing_ok=True)

    def kill(self, name: ReplicaName, pid: int, why: str) -> None:
        """Kills a replica's process; supervisord restarts it. `why` goes to its log."""
        if processes.part_of(pid, self._home) != PART:
            return
        with self.log(name).open("a", encoding="utf-8") as log:
            log.write(f"{why}\n")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    # -- looking ----------------------------------------------------------------------------------------

    def names(self, deployment: str) -> list[ReplicaName]:
        """The replicas that a deployment has now."""
        folder = self._home.serving / "deployments" / deployment
        found = []
        for path in folder.glob("*.json"):
            generation, _, index = path.stem.partition("-")
            if generation.isdigit() and index.isdigit():
                found.append(ReplicaName(deployment, int(generation), int(index)))
        return sorted(found)

    def look(self, names: Iterable[ReplicaName]) -> list[ReplicaProcess]:
        """The current state of each replica. All are asked at once: a busy one does not delay the others."""
        known = self._infos()
        with ThreadPoolExecutor(LOOKED_AT_ONCE) as threads:
            return list(threads.map(lambda name: self._process(name, known.get(name.program)), names))

    def _process(self, name: ReplicaName, info: supervisor.ProcessInfo | None) -> ReplicaProcess:
        spec = self.spec(name)
        pid = info.pid if info is not None and info.pid else None
        return ReplicaProcess(
            name=name,
            state="MISSING" if info is None else info.state,
            pid=pid,
            reason=_text(reason_file(spec)),
            starts=_text(starts_file(spec)).count("\n"),
            memory_bytes=processes.memory(pid) if pid else None,
            uptime_seconds=processes.uptime(pid) if pid else None,
            ready=pid is not None and self.ping(name),
            batching=_text(batching_file(spec)),
            files=_text(files_file(spec)),
            shared=_reads_nfs(spec),
            unread=unread_file(spec).exists(),
            trouble=self.calls(name).trouble,
        )

    def calls(self, name: ReplicaName) -> Calls:
        """The outcomes of the calls of a replica's model."""
        return Calls.load(calls_file(self.spec(name)))

    def ping(self, name: ReplicaName) -> bool:
        """Whether a replica responds."""
        try:
            return self.ask(name, "GET", "/ping", timeout=_PING_SECONDS)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

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
        """A replica's own answer, past the gateway: status and body. Raises OSError, HTTPException.

        `trial`: the outcome does not count among the calls of real callers.
        """
        connection = supervisor.UnixConnection(str(self.socket(name)), timeout)
        try:
            headers = {"Content-Type": content_type} if content_type else {}
            connection.request(method, path, body or None, {**headers, **({"X-Trial": "yes"} if trial else {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def memory(self, pid: int) -> int | None:
        """Bytes that a replica's process and all that it started use; None when it is gone."""
        return processes.memory(pid) if processes.part_of(pid, self._home) == PART else None

    def _known(self) -> dict[str, str]:
        return {name: info.state for name, info in self._infos().items()}

    def _infos(self) -> dict[str, supervisor.ProcessInfo]:
        try:
            return supervisor.processes(self._home)
        except SupervisorUnavailable as error:
            raise _unavailable(error) from error

    def _reread(self) -> None:
        with self._changing:
            self._call(supervisor.reread)

    def _call(self, function: object, *arguments: object) -> None:
        try:
            function(self._home, *arguments)  # type: ignore[operator]
        except SupervisorUnavailable as error:
            raise _unavailable(error) from error


def read_log(path: Path, offset: int | None, *, lines: int = 1000) -> tuple[list[str], int]:
    """Whole lines of a log from a byte `offset`, or the last ones; and the offset behind them. Raises OSError.

    A log that was rotated meanwhile, so that it is shorter than `offset`, is read from its start.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        from_end = offset is None
        start = max(0, size - LOG_CHUNK) if offset is None else (offset if offset <= size else 0)
        file.seek(start)
        data = file.read(LOG_CHUNK)
    end = data.rfind(b"\n") + 1
    if not end and len(data) == LOG_CHUNK:  # one line longer than that is returned in pieces
        data, end = data[:-1] + b"\n", len(data)
    found = data[:end].split(b"\n")[:-1]
    if from_end and start:
        found = found[1:]  # the first is a part of a line
    if from_end:
        found = found[-lines:]
    elif len(found) > lines:
        found = found[:lines]
        end = sum(len(line) + 1 for line in found)
    return [line.decode(errors="replace") for line in found], start + end


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _reads_nfs(spec: Path) -> bool:
    try:
        return ReplicaSpec.load(spec).shared
    except (OSError, ValueError, TypeError):  # it was removed meanwhile
        return False


def _unavailable(error: SupervisorUnavailable) -> PartUnavailable:
    return PartUnavailable(f"The supervisor does not answer: {error}", action="Start it again with `registry-tui up`")


def open_backends(home: Home, ports: Ports, secrets: Secrets) -> Backends:
    """Replicas on this machine."""
    local = LocalReplicas(home)
    return Backends(replicas=local, logs=local)
