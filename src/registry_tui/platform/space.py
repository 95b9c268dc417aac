"""How much room the home's disk has, and how much of it must stay free."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20

#: Nothing new is stored when less would stay free: databases, compaction and cleaning up need space themselves.
RESERVE = 256 * MIB
#: Below this nothing is started: a database could not even record a cleanup.
LEAST = 48 * MIB
#: The object store stops writing below this share of the disk (`weed mini`: 1 %), with a margin for uploads in
#: progress.
_STORE_SHARE, _STORE_MARGIN = 0.01, 64 * MIB


@dataclass(frozen=True)
class Space:
    """A disk: its free and all its bytes."""

    folder: Path
    free: int
    total: int

    @property
    def reserve(self) -> int:
        """Bytes that stay free when something is stored."""
        return max(RESERVE, round(self.total * _STORE_SHARE) + _STORE_MARGIN)

    def lacks(self, needed: int = 0) -> bool:
        """Whether storing `needed` bytes would take from the reserve."""
        return self.free - needed < self.reserve

    def sentence(self, needed: int = 0) -> str:
        """Describes the free space and the required space."""
        wanted = (
            f"{_size(needed)} are to be stored, and {_size(self.reserve)} stay free"
            if needed
            else (f"{_size(self.reserve)} have to stay free")
        )
        return f"The disk of {self.folder} is full: {_size(self.free)} are free, {wanted}"

    @property
    def action(self) -> str:
        """The remedy, as a sentence."""
        return (
            "Free some space: `registry-tui runs purge --project PROJECT` removes deleted runs, "
            "`registry-tui registries storage REGISTRY` shows archives that nothing needs"
        )


def space_of(folder: Path) -> Space:
    """The disk of a folder. Raises OSError."""
    found = shutil.disk_usage(folder)
    return Space(folder, found.free, found.total)


def _size(number: int) -> str:
    return f"{number / MIB:,.0f} MiB" if number < 10 * 1024 * MIB else f"{number / 1024 / MIB:,.0f} GiB"
