"""The terminal program in a real pseudo-terminal, beside a bare Textual app: first paint, memory, keys, bytes, idling.

`python bench/tui.py` (100 000 runs; about three minutes)   `--runs 10000 --idle 5` is quicker

The bare app is one empty table of Textual's. Both run in turns on the same 170 × 50 pseudo-terminal. Key to paint is
the time from writing a key to the last byte of what it makes the program write.
"""

from __future__ import annotations

import argparse
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path

from servers import compile_project, environment, temporary_folder

from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from support.many_runs import fill
from support.platforms import Platform

COLUMNS, ROWS = 170, 50
#: Budgets of the design.
FIRST_PAINT, MEMORY, MEMORY_RUNS, KEY_MS, MOVE_BYTES, FRAME_BYTES = 1.5, 80, 110, 16, 1024, 32 << 10
#: A key's paint is over after so many seconds without a byte.
QUIET = 0.03
BARE = """
from textual.app import App
from textual.widgets import DataTable
class Bare(App):
    def compose(self):
        yield DataTable()
    def on_mount(self):
        self.query_one(DataTable).add_columns("bare-app")
Bare().run()
"""


@dataclass
class Program:
    """A program in a pseudo-terminal, and all that it wrote."""

    pid: int
    file: int
    written: bytearray

    def read(self, seconds: float) -> bytes:
        """What it writes next; empty when nothing comes for that long."""
        if not select.select([self.file], [], [], seconds)[0]:
            return b""
        with suppress(OSError):
            data = os.read(self.file, 1 << 16)
            self.written += data
            return data
        return b""

    def wait_for(self, text: bytes, seconds: float = 60) -> float:
        """Reads until the text was written; returns the clock's time of it."""
        until = time.perf_counter() + seconds
        start = len(self.written)
        while text not in self.written[max(0, start - len(text)) :]:
            self.read(0.5)
            if time.perf_counter() > until:
                sys.exit(f"{text!r} did not appear; written last:\n{bytes(self.written[-3000:])!r}")
        return time.perf_counter()

    def settle(self, quiet: float = 0.6) -> None:
        """Reads until nothing comes any more."""
        while self.read(quiet):
            pass

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

    @property
    def memory(self) -> float:
        """Resident megabytes (`VmRSS`, proc(5))."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1000
        return 0.0


@contextmanager
def program(command: list[str], variables: Mapping[str, str]) -> Iterator[Program]:
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
        yield Program(started.pid, outer, bytearray())
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()
        os.close(outer)


class Budgets:
    """Prints each measurement beside its budget; remembers whether one was broken."""

    def __init__(self) -> None:
        self.broken = False

    def say(self, what: str, value: float, budget: float, unit: str, note: str = "") -> None:
        over = value > budget
        self.broken |= over
        mark = "OVER" if over else "ok"
        print(f"{what:<44}{value:>10.2f} {unit:<3} budget {budget:>8.2f}  {mark}  {note}", flush=True)


def first_paints(ours: list[str], variables: Mapping[str, str], repeat: int, budgets: Budgets) -> None:
    """Starts both in turns: until something is painted, and ours until data is."""
    bare, painted, data, memory_bare, memory = [], [], [], [], []
    for number in range(repeat + 1):
        began = time.perf_counter()
        with program([sys.executable, "-c", BARE], variables) as one:
            seconds_bare = one.wait_for(b"bare-app") - began
            one.settle()
            resident_bare = one.memory
        began = time.perf_counter()
        with program(ours, variables) as one:
            seconds_painted = one.wait_for(b"Registries") - began
            seconds_data = one.wait_for(b"registry-local") - began
            one.settle()
            resident = one.memory
        if number:  # the first ones warm both sides up
            bare.append(seconds_bare)
            painted.append(seconds_painted)
            data.append(seconds_data)
            memory_bare.append(resident_bare)
            memory.append(resident)
    base = statistics.median(bare)
    for what, values in (("first paint / bare app's", painted), ("first paint with data / bare app's", data)):
        middle = statistics.median(values)
        budgets.say(what, middle / base, FIRST_PAINT, "x", f"{middle * 1000:.0f} ms, bare {base * 1000:.0f} ms")
    note = f"bare {statistics.median(memory_bare):.0f} MB"
    budgets.say("memory with the registries", statistics.median(memory), MEMORY, "MB", note)


def with_many_runs(one: Program, runs: int, idle: float, budgets: Budgets) -> None:
    """Moves, scrolls, jumps to the end and back, and waits, in the list of runs."""
    one.wait_for(f"run-{runs - 1}".encode())
    one.settle()
    moves = [one.key(b"j" if number % 40 < 20 else b"k") for number in range(200)]
    # Two pages down and two up, within rows that are loaded: what the server takes is measured by `pages.py`.
    scrolls = []
    for number in range(40):
        scrolls.append(one.key(b"\x1b[6~" if number % 4 < 2 else b"\x1b[5~"))
        one.settle(0.1)
    for what, keys, most in (("move", moves, MOVE_BYTES), ("page", scrolls, FRAME_BYTES)):
        times = sorted(milliseconds for milliseconds, _ in keys)
        note = f"p50 {statistics.median(times):.1f} ms"
        budgets.say(f"{what}: key to paint, p99", times[int(len(times) * 0.99)], KEY_MS, "ms", note)
        sizes = sorted(count for _, count in keys)
        typical, largest = statistics.median(sizes), sizes[-1]
        budgets.say(f"{what}: bytes", typical if what == "move" else largest, most, "B", f"largest {largest}")
    for what, key, text in (("to the end", b"G", b"run-0 "), ("to the start", b"g", f"run-{runs - 1}".encode())):
        began = time.perf_counter()
        os.write(one.file, key)
        seconds = one.wait_for(text) - began
        one.settle()
        print(f"jump {what} of {runs} runs{'':<14}{seconds * 1000:>10.0f} ms", flush=True)
    budgets.say(f"memory with {runs} runs", one.memory, MEMORY_RUNS, "MB")
    before, until = len(one.written), time.monotonic() + idle
    while (left := until - time.monotonic()) > 0:
        one.read(left)
    budgets.say(f"bytes written in {idle:.0f} idle seconds", len(one.written) - before, 0, "B")


def measure(platform: Platform, asked: argparse.Namespace) -> bool:
    """Prints every measurement; returns whether one is over its budget."""
    budgets = Budgets()
    variables = environment({ENVIRONMENT_VARIABLE: str(platform.home.root)})
    ours = [sys.executable, "-m", "registry_tui"]
    first_paints(ours, variables, asked.repeat, budgets)
    project = platform.new_project()
    experiment = fill(platform.home.mlflow_database, asked.runs, workspace=project.mlflow_workspace)
    # MLflow looks at its database's growth from time to time; starting it anew looks now.
    platform.command("restart", "mlflow")
    with program(ours, variables) as one:
        one.wait_for(b"registry-local")
        one.settle()
        os.write(one.file, f":runs {project.name} {experiment}\r".encode())
        with_many_runs(one, asked.runs, asked.idle, budgets)
    return budgets.broken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5, help="starts of each side")
    parser.add_argument("--idle", type=float, default=30, help="seconds")
    asked = parser.parse_args()
    compile_project()
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        platform.command("up")
        try:
            broken = measure(platform, asked)
        finally:
            platform.command("down")
    if broken:
        sys.exit("over budget")


if __name__ == "__main__":
    main()
