"""How much memory a process of the tests may use."""

from __future__ import annotations

import ctypes
import re
import resource
from pathlib import Path

#: MiB that a test process should stay below, and above which the run fails.
MEMORY_GOAL, MEMORY_LIMIT = 700, 1200
#: Modules whose tests raised the peak most, as the run's end names them.
NAMED = 5


#: Parameters of glibc's `mallopt` (malloc.h).
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8


def return_freed_memory() -> None:
    """Has glibc return large freed blocks to the system at once, and keep two heaps for all threads.

    By default it has up to eight heaps a processor, and keeps freed blocks of up to 32 MiB in them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 2)
        mallopt(_MMAP_THRESHOLD, 128 << 10)


def peak_memory() -> int:
    """The most memory in MiB that this process has had resident."""
    try:
        # The result of `getrusage` begins with the peak of the parent process.
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except FileNotFoundError:  # macOS
        found = None
    if found is not None:
        return int(found[1]) >> 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20
