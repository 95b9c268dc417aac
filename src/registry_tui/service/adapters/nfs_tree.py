"""Content of folders of an NFS, by their descriptors: lists names and paths, and removes them. Follows no link.

Only the standard library is imported: the process that works there starts quickly.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from secrets import token_hex
from typing import Any

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Prefix of the names of temporary files that try the server.
PROBE = ".registry-tui-"
#: Seconds after which an unfinished folder is abandoned: left behind by a host that was switched off.
ABANDONED = 900.0
_REMOVED = "removed-"
#: Seconds between updates of the time of a folder being written, and between lines that report progress.
_SIGN_EVERY, _TELL_EVERY = 5.0, 0.5


def say(line: Mapping[str, Any]) -> None:
    """Writes a line of JSON to the parent process."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Telling:
    """Reports progress: by lines, and by the time of the folder that is being written.

    `alone`: the work continues when nobody reads the lines any more.
    """

    def __init__(self, own: int | None = None, *, alone: bool = False) -> None:
        self._own, self._alone = own, alone
        self._told = self._signed = time.monotonic()
        self._bytes = 0

    def __call__(self, bytes_: int) -> None:
        self._bytes += bytes_
        moment = time.monotonic()
        if moment - self._told >= _TELL_EVERY:
            self._told = moment
            try:
                say({"bytes": self._bytes})
            except BrokenPipeError:
                if not self._alone:
                    raise
        if self._own is not None and moment - self._signed >= _SIGN_EVERY:
            self._signed = moment
            os.utime(self._own)


def entries(folder: int) -> list[tuple[str, bool]]:
    """The names in a folder, and whether each is a folder, from the listing, without a request for each."""
    with os.scandir(folder) as found:
        return [(each.name, each.is_dir(follow_symlinks=False)) for each in found]


def names(folder: int) -> list[str]:
    """The names in a folder."""
    with os.scandir(folder) as found:
        return [each.name for each in found]


def paths(folder: int, telling: Telling, prefix: str = "") -> Iterator[str]:
    """Yields the paths below a folder that are not folders: files, links, and special files."""
    for name, is_folder in entries(folder):
        telling(0)
        if is_folder:
            descriptor = os.open(name, FOLDER, dir_fd=folder)
            try:
                yield from paths(descriptor, telling, f"{prefix}{name}/")
            finally:
                os.close(descriptor)
        else:
            yield f"{prefix}{name}"


def sweep(unfinished: int) -> float:
    """Removes abandoned folders; returns the time by the clock of the server, which sets files' times."""
    os.utime(unfinished)
    moment = os.fstat(unfinished).st_mtime
    for name in names(unfinished):
        with suppress(OSError):
            age = moment - os.stat(name, dir_fd=unfinished, follow_symlinks=False).st_mtime
            if name.startswith(_REMOVED):
                remove_tree(unfinished, name)
            elif age > ABANDONED:
                # Under another name first: a process that still writes there, after a long pause, cannot publish it.
                put_away(unfinished, name, unfinished)
    return moment


def sweep_probes(folder: int, moment: float) -> None:
    """Removes probe files whose process was killed. `moment`: the current time, as returned by `sweep`."""
    for name in names(folder):
        if name.startswith(PROBE):
            with suppress(OSError):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and moment - found.st_mtime > ABANDONED:
                    os.unlink(name, dir_fd=folder)


def put_away(folder: int, name: str, unfinished: int) -> None:
    """Moves something out of sight at once, then removes it."""
    away = f"{_REMOVED}{token_hex(16)}"
    with suppress(FileNotFoundError):
        os.rename(name, away, src_dir_fd=folder, dst_dir_fd=unfinished)
        remove_tree(unfinished, away)


def remove_tree(folder: int, name: str, telling: Telling | None = None) -> None:
    """Removes a folder with its content, or a file, or a link. Does nothing if it does not exist.

    A file that a replica still has open may stay under a name of the NFS client's until it is closed: its folder stays
    for the next time.
    """
    telling = Telling(alone=True) if telling is None else telling
    try:
        descriptor = os.open(name, FOLDER, dir_fd=folder)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        os.unlink(name, dir_fd=folder)
        return
    try:
        os.fchmod(descriptor, 0o700)
        for each in names(descriptor):
            remove_tree(descriptor, each, telling)
            telling(1)
    finally:
        os.close(descriptor)
    try:
        os.rmdir(name, dir_fd=folder)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
            raise
