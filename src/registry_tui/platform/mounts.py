"""The mounts of this machine, from a mountinfo file (proc_pid_mountinfo(5)): where an NFS is mounted, and how.

Reading the file involves no server, so it works also while an NFS does not respond.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

MOUNTINFO = Path("/proc/self/mountinfo")
#: File systems of NFS; `nfs4` is NFS from version 4 on.
_NFS = ("nfs", "nfs4")
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """One mount. `root` is the folder of the file system that is mounted at `point`."""

    id: int
    parent: int
    root: str
    point: str
    type: str
    source: str
    #: Of this mount, then of the file system: `ro`, `vers=4.1`, `addr=10.0.0.4`.
    options: Mapping[str, str] = field(default_factory=dict)
    super_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def read_only(self) -> bool:
        return "ro" in self.options or "ro" in self.super_options

    @property
    def nfs_version(self) -> str:
        """The protocol's version, such as `3` or `4.1`; empty where it is not known."""
        version = self.super_options.get("vers") or self.super_options.get("nfsvers", "")
        if version == "4":
            # Kernels before 3.10 and some of their successors name the second number apart.
            return f"4.{self.super_options.get('minorversion', '0')}"
        return version or {"nfs4": "4.0", "nfs": ""}.get(self.type, "")


@dataclass(frozen=True)
class NfsFound:
    """Where a directory of an NFS server is reached on this machine."""

    mount: Mount
    folder: str


class Mounts:
    """The mounts of one moment."""

    def __init__(self, mounts: Sequence[Mount]) -> None:
        self._mounts = mounts
        self._children: dict[int, list[Mount]] = {}
        known = {mount.id for mount in mounts}
        #: Mounts whose parents cannot be seen from here: the root of this process.
        self._tops: list[Mount] = []
        for mount in mounts:
            if mount.parent in known and mount.parent != mount.id:
                self._children.setdefault(mount.parent, []).append(mount)
            else:
                self._tops.append(mount)

    @classmethod
    def parse(cls, text: str) -> Mounts:
        """Reads the text of a mountinfo file; lines that no kernel writes are left out."""
        return cls([mount for line in text.split("\n") if (mount := _mount(line)) is not None])

    def at(self, path: str) -> Mount | None:
        """The mount that a path leads into, resolved as by the kernel: a mount hides the one below it."""
        found = _first(self._tops, path)
        while found is not None and (inner := _first(self._children.get(found.id, ()), path)) is not None:
            found = inner
        return found

    def find_nfs(self, source: str) -> list[NfsFound]:
        """Where `host:/path` is mounted and can be reached, alone or as a part of a larger export; closest first."""
        wanted = _parsed(source)
        if wanted is None:
            return []
        host, path = wanted
        found: list[tuple[int, NfsFound]] = []
        for number, mount in enumerate(self._mounts):
            there = _parsed(mount.source) if mount.type in _NFS else None
            if there is None or not _same_host(host, there[0], mount.super_options.get("addr", "")):
                continue
            # The kernel's NFS shows a folder that is mounted alone in the source; others show it as the root.
            mounted = there[1] / mount.root.strip("/")
            if mounted != path and mounted not in path.parents:
                continue
            folder = str(PurePosixPath(mount.point) / path.relative_to(mounted))
            if self.at(folder) is mount:
                found.append((number, NfsFound(mount, folder)))
        found.sort(key=lambda each: (-len(PurePosixPath(each[1].mount.source).parts), each[0]))
        return [each for _, each in found]

    def hidden(self, source: str) -> str | None:
        """Where `host:/path` is mounted below another mount, so that nothing reaches it."""
        wanted = _parsed(source)
        for mount in self._mounts:
            there = _parsed(mount.source) if mount.type in _NFS else None
            if wanted is not None and there == wanted and self.at(mount.point) is not mount:
                return mount.point
        return None


def has_climbing_part(source: str) -> bool:
    """Whether the path of `host:/path` holds a part that leads elsewhere."""
    return any(part in (".", "..") for part in source.partition(":/")[2].split("/"))


# -- underneath ------------------------------------------------------------------------------------------


def _mount(line: str) -> Mount | None:
    before, separator, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if not separator or len(left) < 6 or len(right) < 2 or not (left[0].isdigit() and left[1].isdigit()):
        return None
    return Mount(
        id=int(left[0]),
        parent=int(left[1]),
        root=_unescaped(left[3]),
        point=_unescaped(left[4]),
        type=right[0],
        source=_unescaped(right[1]),
        options=_options(left[5]),
        super_options=_options(right[2] if len(right) > 2 else ""),
    )


def _unescaped(text: str) -> str:
    """The kernel writes space, tab, newline and backslash as octal numbers."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)


def _options(text: str) -> dict[str, str]:
    return {name: _unescaped(value) for name, _, value in (option.partition("=") for option in text.split(",")) if name}


def _first(mounts: Iterable[Mount], path: str) -> Mount | None:
    """The mount that a walk towards a path meets first."""
    below = [mount for mount in mounts if PurePosixPath(path).is_relative_to(mount.point)]
    # Of two at one point the later one was mounted over the other.
    return min(reversed(below), key=lambda mount: len(PurePosixPath(mount.point).parts), default=None)


def _parsed(source: str) -> tuple[str, PurePosixPath] | None:
    """Host and path of an NFS source; None for other texts, and for paths that climb out with `..`."""
    # An IPv6 address may be in brackets.
    host, separator, path = source.partition(":/")
    host = host.strip("[]")
    if not separator or not host or has_climbing_part(source):
        return None
    return _host(host), PurePosixPath("/") / path.strip("/")


def _host(text: str) -> str:
    try:
        return ipaddress.ip_address(text).compressed
    except ValueError:
        return text.casefold().rstrip(".")


def _same_host(wanted: str, mounted: str, address: str) -> bool:
    """By name or address; a server that was mounted by its name is also known by its address."""
    return wanted in (mounted, _host(address) if address else mounted)
