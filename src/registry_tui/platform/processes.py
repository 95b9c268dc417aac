"""Processes of this platform: which part each belongs to, its memory, and which process listens on a port."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, PART_VARIABLE, Home

#: Whether the kernel lists a thread's children (proc(5), CONFIG_PROC_CHILDREN).
_LISTS_CHILDREN = Path("/proc/thread-self/children").exists()


def part_of(pid: int, home: Home) -> str | None:
    """The part of this home's platform that a process belongs to; None for other processes."""
    try:
        variables = psutil.Process(pid).environ()
    except psutil.Error:
        return None
    if variables.get(ENVIRONMENT_VARIABLE) != str(home.root):
        return None
    return variables.get(PART_VARIABLE) or None


def ours(home: Home) -> dict[int, str]:
    """PIDs of all processes of this home's parts, with the part's name; without this process and its parents."""
    own = set(parents(os.getpid()))
    return {pid: part for pid in psutil.pids() if pid not in own and (part := part_of(pid, home))}


def parents(pid: int) -> Iterable[int]:
    """The process itself, its parent, and so on upwards."""
    yield pid
    with suppress(psutil.Error):
        yield from (parent.pid for parent in psutil.Process(pid).parents())


def alive(pid: int) -> bool:
    """Whether a process runs, even if only its last threads do. False for one that only waits to be reaped."""
    try:
        process = psutil.Process(pid)
        status = process.status()
        return status != psutil.STATUS_DEAD and (status != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.Error:
        return False


def end(pids: Iterable[int], home: Home, patience: float = 15.0) -> None:
    """Terminates this home's processes, and kills them after `patience` seconds. Others are never touched."""
    waiting = [pid for pid in pids if part_of(pid, home)]
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        for pid in waiting:
            _signal(pid, number, home)
        until = time.monotonic() + seconds
        while (waiting := [pid for pid in waiting if alive(pid)]) and time.monotonic() < until:
            time.sleep(0.05)
        if not waiting:
            return


def _signal(pid: int, number: int, home: Home) -> None:
    """Signals a process of this home, but not another one that has got the same PID meanwhile."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if part_of(pid, home):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def uptime(pid: int) -> float | None:
    """Seconds since a process started; None when it does not run."""
    try:
        return max(0.0, time.time() - psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def memory(pid: int) -> int | None:
    """Resident bytes of a process and everything that it started; None when it does not run."""
    total, todo = 0, [pid]
    while todo:
        with suppress(psutil.Error, OSError):
            process = psutil.Process(todo.pop())
            total += process.memory_info().rss
            todo.extend(_children(process))
    return total or None


def _children(process: psutil.Process) -> list[int]:
    """The processes that a process started. Raises OSError, psutil.Error.

    psutil reads every process of the machine to find them, 20 times the work: replicas are measured every few seconds.
    """
    if not _LISTS_CHILDREN:
        return [child.pid for child in process.children()]
    tasks = Path(f"/proc/{process.pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text("utf-8").split()]


def holder_of_port(port: int) -> str | None:
    """The process that listens on a TCP port of this machine: "name (PID 12)"; None when that cannot be seen."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid is not None:
            with suppress(psutil.Error):
                return f"{psutil.Process(connection.pid).name()} (PID {connection.pid})"
    return None
