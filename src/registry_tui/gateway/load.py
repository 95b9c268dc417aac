"""The number of requests in progress at each replica, summed over all processes of the gateway."""

from __future__ import annotations

import mmap
import os
import time
import zlib
from contextlib import suppress
from pathlib import Path

from registry_tui.platform.paths import Home

#: Counters in a file, 4 bytes each. Replicas whose names have the same digest share one, which costs evenness only.
SLOTS = 1024
#: Seconds between checks whether another process was replaced.
LOOK_EVERY = 0.5


class SharedLoad:
    """This process's counters, in a file that the other processes read."""

    def __init__(self, home: Home, number: int) -> None:
        path = home.gateway_load_files[number]
        # A new file: a process that had this number before may still be counting in the old one.
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(bytes(4 * SLOTS))
        with temporary.open("r+b") as file:
            self._own = memoryview(mmap.mmap(file.fileno(), 4 * SLOTS)).cast("i")
        temporary.replace(path)
        self._others = {other: _Seen(other) for other in home.gateway_load_files if other != path}

    def add(self, socket: str, change: int) -> None:
        """Counts a request that begins (1) or ends (-1) at a replica."""
        self._own[_slot(socket)] += change

    def of(self, socket: str) -> int:
        """Requests in progress at a replica."""
        slot = _slot(socket)
        return self._own[slot] + sum(other.of(slot) for other in self._others.values())


class _Seen:
    """Another process's counters."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._looked = 0.0
        self._counts: memoryview[int] | None = None

    def of(self, slot: int) -> int:
        now = time.monotonic()
        if now - self._looked > LOOK_EVERY:
            self._looked = now
            self._look()
        return 0 if self._counts is None else max(0, self._counts[slot])

    def _look(self) -> None:
        with suppress(OSError, ValueError), self._path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if inode != self._inode:
                mapped = mmap.mmap(file.fileno(), 4 * SLOTS, access=mmap.ACCESS_READ)
                self._counts, self._inode = memoryview(mapped).cast("i"), inode


def _slot(socket: str) -> int:
    return zlib.crc32(socket.encode()) % SLOTS
