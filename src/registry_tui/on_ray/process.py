"""The replica's process on a node: starting it, limiting its memory, restarting it, and reading its calls' outcomes."""

from __future__ import annotations

import collections
import hmac
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import registry_tui
from registry_tui.contracts.carried import Carried
from registry_tui.contracts.replica_spec import Limits, batching_file, calls_file, reason_file
from registry_tui.on_ray import preparing
from registry_tui.serving.calls import Calls

#: Runs our replica from this package's own folder, also if the model's environment has another copy.
_RUN = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('registry_tui.serving', run_name='__main__')"
)
#: Lines of a log that are kept until the service has fetched them.
_LINES = 5000
#: Seconds between looks, and those that a process gets beyond a request's own time to answer the requests under way.
_LOOK_EVERY, _STOP_SECONDS = 0.5, 10.0
#: Consecutive ends, each within so many seconds of its start, after which a replica gives up.
_ENDS, _EARLY_SECONDS = 4, 15.0
#: sysexits(3): the model cannot be served, and a retry will not help.
_UNUSABLE = 78
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ReplicaProcess:
    """A replica's process. `begin` blocks until it answers."""

    def __init__(self, carried: Carried) -> None:
        self._carried = carried
        self._folder = Path(tempfile.mkdtemp(prefix="rt-"))
        self._lines: collections.deque[tuple[int, str]] = collections.deque(maxlen=_LINES)
        self._numbered = 0
        self._process: subprocess.Popen[str] | None = None
        self._began = time.monotonic()
        self._early = 0
        self._stopping = False
        self.starts = 0
        self._over_memory = ""
        #: Why it does not serve any more; empty while it serves or restarts.
        self.gave_up = ""
        self._prepared: preparing.Prepared | None = None

    @property
    def socket(self) -> str:
        return str(self._folder / "s")

    @property
    def name(self) -> str:
        """The name that all replicas of this generation have in common."""
        return self._carried.spec.name

    @property
    def limits(self) -> Limits:
        return self._carried.spec.limits

    def renew(self, carried: Carried) -> None:
        """Applies newer addresses, and another limit of memory."""
        self._carried = carried
        preparing.still_used(carried)

    def accepts(self, secret: str) -> bool:
        """Whether a caller showed this revision's secret."""

        return hmac.compare_digest(secret.encode(), self._carried.secret.encode())

    # -- running -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Prepares this node, starts the process, and waits until it answers. Raises CannotPrepare with its reason."""
        try:
            self._prepared = preparing.prepare(self._carried, self._folder, self.say)
        except OSError as error:
            raise preparing.CannotPrepare(f"This node cannot be prepared: {error}") from error
        self._start()
        while not self.answers():
            if self._process is None or self._process.poll() is not None:
                raise preparing.CannotPrepare(self._why() or "The replica ended while it started")
            time.sleep(0.1)
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def answers(self) -> bool:
        """Whether the process listens: it does so once the model is loaded."""
        return Path(self.socket).exists()

    def has_ended(self, start: int) -> bool:
        """Whether the process of the start with this number (`starts`) has ended."""
        process = self._process
        return self.starts != start or process is None or process.poll() is not None

    def _start(self) -> None:
        assert self._prepared is not None
        Path(self.socket).unlink(missing_ok=True)
        package = Path(registry_tui.__file__).parent.parent
        command = [str(self._prepared.python), "-I", "-c", _RUN, str(package), str(self._prepared.spec_file)]
        self._process = subprocess.Popen(
            command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=preparing.clean_variables(),
            start_new_session=True,
        )
        self._began = time.monotonic()
        self.starts += 1
        threading.Thread(target=self._read, args=(self._process.stdout,), name="log", daemon=True).start()

    def _read(self, output: Iterable[str]) -> None:
        for line in output:
            self.say(line.rstrip("\n"))

    def say(self, line: str) -> None:
        """Adds a line to the replica's log."""
        self._numbered += 1
        self._lines.append((self._numbered, line))

    def _watch(self) -> None:
        """Kills a process that uses too much memory, and restarts an ended one."""
        while not self._stopping and not self.gave_up:
            time.sleep(_LOOK_EVERY)
            process = self._process
            if process is None or self._stopping:
                continue
            used, bound = memory(process.pid), self._carried.memory_bytes
            if bound and used > bound and process.poll() is None:
                self._over_memory = (
                    f"{self._carried.spec.name} used {used / (1 << 30):.2f} GiB of the {bound / (1 << 30):.2f} GiB "
                    "that it may use, and was restarted"
                )
                self.say(self._over_memory)
                self._kill(process)
            code = process.poll()
            if code is not None and not self._stopping:
                self._again(code)

    def _again(self, code: int) -> None:
        early = time.monotonic() - self._began < _EARLY_SECONDS
        self._early = self._early + 1 if early else 0
        if code == _UNUSABLE or self._early >= _ENDS:
            self.gave_up = self._why() or "The replica ended again and again"
            self.say(self.gave_up)
            return
        self.say(f"the process ended with {code}, and is started again")
        self._start()

    def _why(self) -> str:
        assert self._prepared is not None
        reason = _text(reason_file(self._prepared.spec_file))
        if reason:
            return reason
        words = [line for _, line in list(self._lines)[-20:] if line.strip()]
        return words[-1] if words else ""

    def stop(self) -> None:
        """Ends the process once it has answered the requests under way."""
        self._stopping = True
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(self.limits.seconds + _STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._kill(process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _kill(self, process: subprocess.Popen[str]) -> None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        process.wait()

    # -- reports --------------------------------------------------------------------------------------

    def status(self, behind: int) -> dict[str, Any]:
        """The current state, with the lines of its log after number `behind`."""
        spec_file = None if self._prepared is None else self._prepared.spec_file
        process = self._process
        pid = process.pid if process is not None and process.poll() is None else None
        calls = Calls() if spec_file is None else Calls.load(calls_file(spec_file))
        return {
            "pid": pid,
            "memory_bytes": None if pid is None else memory(pid),
            "uptime_seconds": time.monotonic() - self._began,
            "starts": self.starts,
            "batching": "" if spec_file is None else _text(batching_file(spec_file)),
            "calls": asdict(calls),
            "over_memory": self._over_memory,
            "lines": [list(each) for each in list(self._lines) if each[0] > behind],
        }


def memory(pid: int) -> int:
    """Bytes that a process and all that it started use."""
    total, left = 0, [pid]
    while left:
        each = left.pop()
        try:
            total += int(Path(f"/proc/{each}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
            for task in Path(f"/proc/{each}/task").iterdir():
                left += [int(child) for child in (task / "children").read_text(encoding="ascii").split()]
        except (OSError, ValueError, IndexError):  # it has ended meanwhile
            continue
    return total


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
