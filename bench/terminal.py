"""Programs in a pseudo-terminal, measured from outside: their output, its time, and its cost."""

from __future__ import annotations

import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path

import pyte
from budgets import Judge

COLUMNS, ROWS = 170, 50
UP, DOWN, PAGE_UP, PAGE_DOWN = b"\x1b[A", b"\x1b[B", b"\x1b[5~", b"\x1b[6~"
#: A key's paint is over after so many seconds without a byte.
QUIET = 0.03
#: Seconds without a byte that separate two frames; a frame is written at once.
FRAME = 0.004


@dataclass
class Program:
    """A program in a pseudo-terminal, and all that it wrote."""

    pid: int
    file: int
    written: bytearray = field(default_factory=bytearray)
    #: Bytes of the largest frame: written without a pause of `FRAME`.
    largest: int = 0
    _burst: int = 0
    _last: float = 0.0

    def read(self, seconds: float) -> bytes:
        """Its next output; empty when nothing comes for that long."""
        if not select.select([self.file], [], [], seconds)[0]:
            return b""
        with suppress(OSError):
            data = os.read(self.file, 1 << 16)
            now = time.perf_counter()
            self._burst = len(data) + (self._burst if now - self._last < FRAME else 0)
            self.largest, self._last = max(self.largest, self._burst), now
            self.written += data
            return data
        return b""

    def wait_for(self, text: bytes, seconds: float = 120, *, since: int | None = None) -> float:
        """Reads until the text was written; returns the clock's time of it."""
        until = time.perf_counter() + seconds
        start = len(self.written) if since is None else since
        while text not in self.written[start:]:
            self.read(0.5)
            if time.perf_counter() > until:
                sys.exit(f"{text!r} did not appear; written last:\n{bytes(self.written[-3000:])!r}")
        return time.perf_counter()

    def settle(self, quiet: float = 0.6) -> None:
        """Reads until nothing comes any more."""
        while self.read(quiet):
            pass

    def send(self, keys: bytes, text: bytes) -> float:
        """Types keys; milliseconds until a text is written after the last of them."""
        os.write(self.file, keys[:-1])
        self.settle(0.3)
        began, since = time.perf_counter(), len(self.written)
        os.write(self.file, keys[-1:])
        milliseconds = (self.wait_for(text, since=since) - began) * 1000
        self.settle()
        return milliseconds

    def key(self, key: bytes) -> tuple[float, int]:
        """Presses a key; milliseconds until its last byte, and how many bytes."""
        began = last = time.perf_counter()
        count = 0
        os.write(self.file, key)
        wait = 1.0
        while data := self.read(wait):
            last = time.perf_counter()
            count += len(data)
            wait = QUIET
        return (last - began) * 1000, count

    def click(self, title: str) -> bytes:
        """A click of the mouse on a text of the screen, as the terminal would send it (xterm's SGR mode)."""
        screen = pyte.Screen(COLUMNS, ROWS)
        pyte.ByteStream(screen).feed(bytes(self.written))
        x, y = next((line.index(title), y) for y, line in enumerate(screen.display) if title in line)
        return f"\x1b[<0;{x + 1};{y + 1}M\x1b[<0;{x + 1};{y + 1}m".encode()

    @property
    def memory(self) -> float:
        """Resident megabytes (`VmRSS`, proc(5))."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1000
        return 0.0

    @property
    def worked(self) -> float:
        """Milliseconds of the processor used so far."""
        # The clock of another process, as clock_getcpuclockid(3) computes it; Python has no function for it.
        return time.clock_gettime((~self.pid << 3) | 2) * 1000


@contextmanager
def program(command: Sequence[str], variables: Mapping[str, str]) -> Iterator[Program]:
    """A program in a pseudo-terminal of its own."""
    outer, inner = pty.openpty()
    ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    started = subprocess.Popen(
        command,
        env={**variables, "TERM": "xterm-256color"},
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
    )
    os.close(inner)
    try:
        yield Program(started.pid, outer)
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()
        os.close(outer)


@dataclass(frozen=True)
class Keys:
    """The effect of a key on a program, over many presses."""

    p50: float
    p99: float
    #: Milliseconds of the processor for each.
    work: float
    bytes: float
    largest: int


def press(programs: Sequence[Program], keys: Sequence[bytes], pause: float = 0.0) -> list[Keys]:
    """Presses each key in each program in turn, each after the output of the one before has ended."""
    seen: list[list[tuple[float, int, float]]] = [[] for _ in programs]
    for key in keys:
        for one, pressed in zip(programs, seen, strict=True):
            began = one.worked
            milliseconds, count = one.key(key)
            if pause:
                one.settle(pause)
            pressed.append((milliseconds, count, one.worked - began))
    return [_summary(pressed) for pressed in seen]


def _summary(pressed: Sequence[tuple[float, int, float]]) -> Keys:
    times, sizes, work = (sorted(each) for each in zip(*pressed, strict=True))
    largest = int(sizes[-1])
    at_99 = times[int(len(times) * 0.99)]
    return Keys(statistics.median(times), at_99, statistics.median(work), statistics.median(sizes), largest)


class Report:
    """Prints both sides of each measurement with their ratio, ours beside its budget; `end` returns the exit code."""

    def __init__(self, benchmark: str) -> None:
        self._judge = Judge(benchmark)
        self.end = self._judge.end
        print(f"{'':<40}{'ours':>10}{'other':>10}{'ratio':>8}{'budget':>9}", flush=True)

    def head(self, text: str) -> None:
        print(f"\n{text}", flush=True)

    def say(
        self,
        what: str,
        unit: str,
        ours: float,
        other: float | None = None,
        *,
        budget: str = "",
    ) -> None:
        """One line. `budget` names one in `budgets.py`: for the ratio where it is one, else for ours."""
        ratio = ours / other if other else None
        bound, verdict = "–", ""
        if budget:
            found = self._judge.budgets[budget]
            judged = ratio if found.unit == "×" else ours
            assert judged is not None, f"{what}: a budget of a ratio needs the other side"
            bound, verdict = f"{found.most:g}", "ok" if self._judge.measured(budget, judged) else "OVER"
        print(
            f"{what + ', ' + unit:<40}{ours:>10.1f}{_or_dash(other, '.1f'):>10}{_or_dash(ratio, '.2f'):>8}"
            f"{bound:>9}  {verdict}",
            flush=True,
        )


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
