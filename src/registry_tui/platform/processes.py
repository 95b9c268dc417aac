"""Processes of this platform, read from /proc (proc(5)): whose they are, their memory, who holds a port."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home

#: Set for every part by the supervisor: what makes a process ours.
PART_VARIABLE = "REGISTRY_TUI_PART"

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
#: Whether the kernel lists a thread's children (proc(5), CONFIG_PROC_CHILDREN).
_LISTS_CHILDREN = Path("/proc/thread-self/children").exists()


def part_of(pid: int, home: Home) -> str | None:
    """Which part of this home's platform a process is, or None when it is none of ours."""
    try:
        raw = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    variables = dict(entry.partition(b"=")[::2] for entry in raw.split(b"\0"))
    if variables.get(ENVIRONMENT_VARIABLE.encode()) != os.fsencode(home.root):
        return None
    part = variables.get(PART_VARIABLE.encode())
    return part.decode() if part else None


def ours(home: Home) -> dict[int, str]:
    """PIDs of all processes of this home's parts, with the part's name; this process and its parents are left out."""
    own = set(parents(os.getpid()))
    found = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (pid := int(entry.name)) not in own and (part := part_of(pid, home)):
            found[pid] = part
    return found


def parents(pid: int) -> Iterable[int]:
    """The process itself, its parent, and so on upwards."""
    while pid > 0:
        yield pid
        stat = _stat(pid)
        if stat is None:
            return
        pid = int(stat[1])


def _stat(pid: int) -> list[str] | None:
    """The fields after the command's name: [0] state, [1] parent, … (proc(5), /proc/pid/stat from field 3 on)."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def alive(pid: int) -> bool:
    """Whether a process runs, be it with its last threads; one that only waits to be reaped does not."""
    stat = _stat(pid)
    if stat is None or stat[0] == "X":
        return False
    try:
        return stat[0] != "Z" or len(list((_PROC / str(pid) / "task").iterdir())) > 1
    except OSError:
        return False


def end(pids: Iterable[int], home: Home, patience: float = 15.0) -> None:
    """Asks this home's processes to end, and ends them after `patience` seconds. Others are never touched."""
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
    """Signals a process of this home; a stranger that was given the same PID meanwhile is left alone."""
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
    """Seconds since a process started."""
    stat = _stat(pid)
    if stat is None:
        return None
    since_boot = float((_PROC / "uptime").read_text(encoding="utf-8").split()[0])
    return max(0.0, since_boot - int(stat[19]) / _TICKS)


def memory(pid: int) -> int | None:
    """Resident bytes of a process and everything that it started."""
    children = _listed_children if _LISTS_CHILDREN else _every_child()
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        try:
            total += int((_PROC / str(one) / "statm").read_text(encoding="utf-8").split()[1]) * _PAGE
            todo.extend(children(one))
        except (OSError, IndexError):
            continue
    return total or None


def _listed_children(pid: int) -> list[int]:
    """The processes that a process's threads started. Raises OSError."""
    found: list[int] = []
    for task in (_PROC / str(pid) / "task").iterdir():
        found.extend(map(int, (task / "children").read_text(encoding="utf-8").split()))
    return found


def _every_child() -> Callable[[int], list[int]]:
    """The same for kernels that do not list children: all processes of the machine by their parent."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None:
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    return lambda pid: children.get(pid, [])


def holder_of_port(port: int) -> str | None:
    """Who listens on a TCP port of this machine: "name (PID 12)"; None when that cannot be seen."""
    inodes = {inode for _, number, inode in listening() if number == port}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and inodes & _socket_inodes(int(entry.name)):
            try:
                name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                continue
            return f"{name} (PID {entry.name})"
    return None


def listening() -> list[tuple[str, int, int]]:
    """Every TCP socket that listens on this machine: its address as the kernel writes it, its port, its inode."""
    found = []
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text(encoding="utf-8").splitlines()[1:]
        except FileNotFoundError:  # a kernel without IPv6
            continue
        for fields in map(str.split, lines):
            if fields[3] == "0A":  # TCP_LISTEN
                address, _, number = fields[1].rpartition(":")
                found.append((address, int(number, 16), int(fields[9])))
    return found


def listening_of(pids: Iterable[int]) -> list[tuple[str, int]]:
    """Address, as the kernel writes it, and port of each TCP socket that these processes listen on."""
    inodes = {inode for pid in pids for inode in _socket_inodes(pid)}
    return [(address, port) for address, port, inode in listening() if inode in inodes]


def _socket_inodes(pid: int) -> set[int]:
    """The sockets that a process holds; none when that may not be seen."""
    found: set[int] = set()
    try:
        links = list((_PROC / str(pid) / "fd").iterdir())
    except OSError:
        return found
    for link in links:
        try:
            target = str(link.readlink())
        except OSError:  # closed meanwhile
            continue
        if target.startswith("socket:["):
            found.add(int(target[len("socket:[") : -1]))
    return found
