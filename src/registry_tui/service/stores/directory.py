"""A directory as a store, which may be a mounted NFS.

Files are written next to the objects and renamed, so that an object appears whole. Symbolic links are not followed:
other writers of a shared directory could otherwise expose the service's own files.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from registry_tui.contracts import file_paths
from registry_tui.schemas.stores import DirectoryAddress, StoreProblem
from registry_tui.service.errors import (
    AlreadyThere,
    InvalidInput,
    Missing,
    NotPermitted,
    PartUnavailable,
    ServiceError,
    StorageFull,
)
from registry_tui.service.stores.base import Method, StoredFolder, StoredObject, Usage, changed_meanwhile
from registry_tui.service.stores.pieces import own_errors
from registry_tui.service.stores.probing import try_verbs

#: Below the directory: files that are being written. Not objects.
_UNFINISHED = ".registry-tui-unfinished"
#: Seconds after which an unfinished file is abandoned: left by a process that was killed.
_ABANDONED = 86_400.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})
#: Times that a folder is made again when a concurrent deletion removed it.
_TRIES = 10


def open_directory(address: DirectoryAddress) -> Directory:
    """A directory, not accessed yet."""
    return Directory(Path(address.path))


@dataclass(frozen=True)
class Directory:
    """A directory and all files below it."""

    root: Path

    @property
    def uri(self) -> str:
        return f"{self.root.as_uri()}/"

    def put(self, key: str, body: bytes | Iterable[bytes], *, size: int | None = None) -> None:
        source = [body] if isinstance(body, bytes) else body
        with own_errors(source) as pieces, self._translated(key), self._written(key, pieces) as file:
            self._place(file, key, os.replace)

    def put_new(self, key: str, body: bytes) -> None:
        with self._translated(key), self._written(key, [body]) as file:
            try:
                self._place(file, key, os.link)
            except FileExistsError as error:
                # NFS repeats a request whose response was lost, and then finds its own link.
                if file.stat().st_nlink < 2:
                    raise AlreadyThere(f"There is an object {self.uri}{key} already") from error

    def read(self, key: str, start: int = 0, size: int | None = None, *, etag: str = "") -> bytes:
        with self._translated(key), self._opened(key) as descriptor:
            found = os.fstat(descriptor)
            self._require(key, found, etag)
            left = max(found.st_size - start, 0)
            left = left if size is None else min(left, size)
            pieces = []
            while left and (piece := os.pread(descriptor, left, start)):
                pieces.append(piece)
                start, left = start + len(piece), left - len(piece)
            return b"".join(pieces)

    def head(self, key: str) -> StoredObject:
        with self._translated(key), self._opened(key) as descriptor:
            return _object(key, os.fstat(descriptor))

    def list(self, folder: str = "") -> Iterator[StoredObject]:
        with self._translated(folder):
            self.root.stat()
            yield from self._below(self._path(folder.rstrip("/")) if folder else self.root, folder)

    def entries(self, folder: str = "") -> Iterator[StoredObject | StoredFolder]:
        with self._translated(folder):
            self.root.stat()
            for key, path, found in self._in(self._path(folder.rstrip("/")) if folder else self.root, folder):
                if found is not None:
                    yield found
                elif next(self._below(path, key), None) is not None:
                    yield StoredFolder(key)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._translated(key):
                path = self._path(key)
                # A folder is not an object, so no object has its name.
                with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                    path.unlink()
                for folder in path.parents:
                    if folder == self.root or not _removed(folder):
                        break

    def abort_uploads(self, folder: str) -> None:
        """Does nothing: unfinished files are removed when the next file is written."""

    def copy(self, source: str, target: str, *, etag: str = "") -> None:
        with self._translated(source), self._opened(source) as descriptor:
            self._require(source, os.fstat(descriptor), etag)
            with self._written(target, descriptor) as file:
                self._place(file, target, os.replace)

    def signed_url(self, method: Method, key: str, seconds: int) -> str | None:
        return None

    def usage(self, folder: str = "") -> Usage:
        return Usage.of(self.list(folder))

    def probe(self) -> Sequence[StoreProblem]:
        if not self.root.is_dir():
            return [
                StoreProblem(
                    text=f"There is no directory {self.root} on the service's machine",
                    action="Make it, or mount it there, writable for the service's account",
                )
            ]
        problems = try_verbs(self)
        _removed(self.root / _UNFINISHED)
        return problems

    # -- underneath --------------------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        if problem := file_paths.problem(key, decode=False):
            raise InvalidInput(f"The path {key!r} {problem}")
        if key.split("/", 1)[0] == _UNFINISHED:
            raise InvalidInput(f"The path {key!r} is kept for files that are being written")
        return self.root / key

    @contextmanager
    def _opened(self, key: str) -> Iterator[int]:
        """A file to read from, of this directory alone. Raises OSError."""
        path = self._path(key)
        self._require_inside(path.parent)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileNotFoundError(errno.ENOENT, "not a file", str(path))
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _written(self, key: str, body: Iterable[bytes] | int) -> Iterator[Path]:
        """A new file with some content (or that of a descriptor), synced to the disk; removed after the block."""
        self._path(key)
        self.root.stat()
        file = self.root / _UNFINISHED / token_hex(16)
        _remove_abandoned(file.parent)
        try:
            with _new_file(file) as out:
                if isinstance(body, int):
                    with os.fdopen(os.dup(body), "rb") as source:
                        shutil.copyfileobj(source, out, 1 << 20)
                else:
                    for piece in body:
                        out.write(piece)
                out.flush()
                os.fsync(out.fileno())
            yield file
        finally:
            file.unlink(missing_ok=True)

    def _place(self, file: Path, key: str, act: Callable[[Path, Path], None]) -> None:
        """Gives a finished file its name, and syncs the folder to the disk. Raises OSError."""
        target = self._path(key)
        for tries in range(_TRIES):
            self._require_inside(target.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                act(file, target)
                break
            except FileNotFoundError:
                if tries == _TRIES - 1:
                    raise
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _require_inside(self, folder: Path) -> None:
        """Refuses a folder that a symbolic link leads out of the directory."""
        if not folder.resolve().is_relative_to(self.root.resolve()):
            raise NotPermitted(f"A symbolic link leads from {folder} out of the directory {self.root}")

    def _require(self, key: str, found: os.stat_result, etag: str) -> None:
        if etag and _etag(found) != etag:
            raise changed_meanwhile(f"{self.uri}{key}")

    def _below(self, folder: Path, prefix: str) -> Iterator[StoredObject]:
        for key, path, found in self._in(folder, prefix):
            if found is not None:
                yield found
            else:
                yield from self._below(path, key)

    def _in(self, folder: Path, prefix: str) -> Iterator[tuple[str, Path, StoredObject | None]]:
        """The files of a folder and its folders, which have no object, by key."""
        try:
            with os.scandir(folder) as found:
                entries = [
                    (f"{each.name}/" if each.is_dir(follow_symlinks=False) else each.name, each) for each in found
                ]
        except (FileNotFoundError, NotADirectoryError):
            return
        for name, entry in sorted(entries, key=lambda each: os.fsencode(each[0])):
            if name.endswith("/"):
                if name != f"{_UNFINISHED}/" or prefix:
                    yield f"{prefix}{name}", Path(entry.path), None
            elif entry.is_file(follow_symlinks=False):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # deleted meanwhile
                    continue
                yield f"{prefix}{name}", Path(entry.path), _object(f"{prefix}{name}", status)

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Turns the system's errors into service errors with an action."""
        try:
            yield
        except OSError as error:
            raise self._service_error(error, key) from error

    def _service_error(self, error: OSError, key: str) -> ServiceError:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            return StorageFull(f"There is no room in {self.root} ({reason})", action="Free some, or use a larger one")
        if error.errno in _REFUSED:
            return NotPermitted(
                f"The service may not work on {self.uri}{key} ({reason})",
                action=f"Let its account read and write {self.root}",
            )
        if error.errno in _GONE and not self.root.is_dir():
            return PartUnavailable(f"The directory {self.root} is not there", action="Mount it, or make it")
        if error.errno in _GONE:
            return Missing(f"There is no object {self.uri}{key}")
        if error.errno == errno.ENAMETOOLONG:
            return InvalidInput(f"The name {key} is too long for {self.root}")
        return PartUnavailable(f"The directory {self.root} does not answer ({reason})", action="Look at its mount")


def _new_file(file: Path) -> BinaryIO:
    """A new file in a folder that a probe may remove at the same time. Raises OSError."""
    for _ in range(_TRIES):
        file.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            return file.open("xb")
    return file.open("xb")


def _remove_abandoned(folder: Path) -> None:
    """Removes files left by processes that were killed while they wrote; files that cannot be removed stay."""
    with suppress(OSError), os.scandir(folder) as found:
        for each in found:
            with suppress(OSError):  # another process removes it too
                if time.time() - each.stat(follow_symlinks=False).st_mtime > _ABANDONED:
                    Path(each.path).unlink()


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def _etag(found: os.stat_result) -> str:
    return f'"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"'


def _object(key: str, found: os.stat_result) -> StoredObject:
    return StoredObject(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC), _etag(found))
