"""How much memory a process of the tests may use."""

from __future__ import annotations

import re
import resource
from pathlib import Path

#: MiB that a test process should stay below, and above which the run fails.
MEMORY_GOAL, MEMORY_LIMIT = 700, 1200
#: Modules whose tests raised the peak most, as the run's end names them.
NAMED = 5


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
