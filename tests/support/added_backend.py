"""A backend that starts replicas itself: the parts of a new backend. `tests/unit/test_adding.py` adds it."""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from registry_tui.contracts.replica_spec import ReplicaSpec, batching_file, calls_file, files_beside, reason_file
from registry_tui.platform import processes
from registry_tui.platform.children import isolated
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import Ports
from registry_tui.platform.secrets import Secrets, write_private
from registry_tui.platform.supervisor import UnixConnection
from registry_tui.service.backends.base import Backends, ReplicaName, ReplicaProcess
from registry_tui.serving.calls import Calls


@dataclass(frozen=True)
class Child:
    """A replica's process and when it was started."""

    process: subprocess.Popen[bytes]
    began: float


class Children:
    """Replicas are children of the service: they end with it, and one that ends is not started again."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._children: dict[ReplicaName, Child] = {}

    def _spec(self, name: ReplicaName) -> Path:
        return self._home.serving / "deployments" / name.deployment / f"{name.generation}-{name.index}.json"

    def _log(self, name: ReplicaName) -> Path:
        return self._home.deployment_logs / name.deployment / f"{name.generation}-{name.index}.log"

    def start(self, replicas: Mapping[ReplicaName, tuple[ReplicaSpec, Path]]) -> None:
        for name, (spec, python) in replicas.items():
            for path in (self._spec(name), self._log(name)):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._spec(name), spec.to_json())
            command = isolated("registry_tui.serving", str(self._spec(name)), python=python)
            with self._log(name).open("ab") as log:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self._children[name] = Child(process, time.monotonic())

    def remove(self, names: Iterable[ReplicaName]) -> None:
        for name in names:
            child = self._children.pop(name, None)
            if child is not None:
                child.process.terminate()
                child.process.wait()
            for path in (self._spec(name), *files_beside(self._spec(name)), self.socket(name)):
                path.unlink(missing_ok=True)

    def kill(self, name: ReplicaName, pid: int, why: str) -> None:
        child = self._children.get(name)
        if child is not None and child.process.pid == pid:
            with self._log(name).open("a", encoding="utf-8") as log:
                log.write(f"{why}\n")
            child.process.kill()

    def names(self, deployment: str) -> list[ReplicaName]:
        return sorted(name for name in self._children if name.deployment == deployment)

    def configured(self, name: ReplicaName) -> bool:
        return name in self._children

    def look(self, names: Iterable[ReplicaName]) -> list[ReplicaProcess]:
        return [self._look(name) for name in names]

    def _look(self, name: ReplicaName) -> ReplicaProcess:
        child = self._children.get(name)
        pid = child.process.pid if child is not None and child.process.poll() is None else None
        return ReplicaProcess(
            name=name,
            state="MISSING" if child is None else "EXITED" if pid is None else "RUNNING",
            pid=pid,
            reason=_text(reason_file(self._spec(name))),
            starts=0 if child is None else 1,
            memory_bytes=None if pid is None else processes.memory(pid),
            uptime_seconds=None if child is None else time.monotonic() - child.began,
            ready=pid is not None and self._answers(name),
            batching=_text(batching_file(self._spec(name))),
            trouble=self.calls(name).trouble,
        )

    def _answers(self, name: ReplicaName) -> bool:
        try:
            return self.ask(name, "GET", "/ping", timeout=2.0)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def memory(self, pid: int) -> int | None:
        known = any(child.process.pid == pid for child in self._children.values())
        return processes.memory(pid) if known else None

    def calls(self, name: ReplicaName) -> Calls:
        return Calls.load(calls_file(self._spec(name)))

    def socket(self, name: ReplicaName) -> Path:
        return self._home.replicas / f"{name.program}.sock"

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
        headers = {"Content-Type": content_type} if content_type else {}
        if trial:
            headers["X-Trial"] = "yes"
        connection = UnixConnection(str(self.socket(name)), timeout)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def logs(self, deployment: str) -> list[tuple[ReplicaName, os.stat_result]]:
        found = []
        for path in sorted((self._home.deployment_logs / deployment).glob("*.log")):
            generation, index = map(int, path.stem.split("-"))
            found.append((ReplicaName(deployment, generation, index), path.stat()))
        return found

    def read(self, name: ReplicaName, offset: int | None, *, lines: int = 1000) -> tuple[list[str], int]:
        whole = self._log(name).read_bytes()
        text = whole[offset or 0 : whole.rfind(b"\n") + 1]
        found = text.decode(errors="replace").splitlines()
        return (found[-lines:] if offset is None else found), (offset or 0) + len(text)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def open_backends(home: Home, ports: Ports, secrets: Secrets) -> Backends:
    children = Children(home)
    return Backends(replicas=children, logs=children)
