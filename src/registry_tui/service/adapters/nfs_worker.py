"""`python -m registry_tui.service.adapters.nfs_worker`: one job in a folder of an NFS, in its own process.

A lost NFS server blocks its callers until it is back. `nfs_folder.py` starts this process, sends it one line of JSON on
its standard input, and kills it when it makes no progress. Responses are lines of JSON.

Layout, below the NFS: `registry-tui-<registry>/<model>/<version>-<digest>/` holds `files/` and `manifest.json`; folders
get these names when they are whole. `.unfinished` holds folders that are being written or removed.

Everything goes through descriptors of folders and follows no link: others may be able to write there. Only the standard
library and rules are imported, so that it starts quickly.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

from registry_tui.contracts import file_paths
from registry_tui.contracts.archive_check import FILES, MANIFEST
from registry_tui.service.adapters.nfs_tree import (
    FOLDER,
    PROBE,
    Telling,
    entries,
    names,
    paths,
    put_away,
    remove_tree,
    say,
    sweep,
    sweep_probes,
)

UNFINISHED = ".unfinished"
_CHUNK = 1 << 20
#: Bytes after which written data is synced to the server, so that the end does not take long.
_SYNC_EVERY = 32 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS: Mapping[int, str] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "full"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "refused"),
}

Entry = Mapping[str, Any]
Users = frozenset[int]


class Refused(Exception):
    """Work that must not be done there, with the reason."""


class Damaged(Exception):
    """The files differ from the manifest."""


def main() -> None:
    """Does the job that one line of standard input describes."""
    os.umask(0o077)
    say({"started": os.getpid()})
    requests = sys.stdin.buffer
    request = json.loads(requests.readline())
    works: Mapping[str, Callable[[Mapping[str, Any], BinaryIO], Mapping[str, Any]]] = {
        "try": _try,
        "check": _check,
        "unpack": _unpack,
        "remove": _remove,
    }
    try:
        for name in request.get("path", ()):
            _require_name(name)
        answer = {"answer": works[request["work"]](request, requests)}
    except Refused as error:
        answer = {"error": {"kind": "refused", "text": str(error)}}
    except Damaged as error:
        answer = {"error": {"kind": "damaged", "text": str(error)}}
    except OSError as error:
        kind = _KINDS.get(error.errno or 0, "failed")
        answer = {"error": {"kind": kind, "text": error.strerror or str(error)}}
    say(answer)


# -- the pieces of work ------------------------------------------------------------------------------------


def _try(request: Mapping[str, Any], _: BinaryIO) -> Mapping[str, Any]:
    """Writes a file, reads it back and removes it."""
    name, content = f"{PROBE}{token_hex(16)}", token_hex(16).encode()
    with _opened(request) as (folder, _users):
        descriptor = os.open(name, _NEW, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder), "rb") as file:
                if file.read() != content:
                    raise OSError(errno.EIO, "What was written there reads otherwise")
        finally:
            os.unlink(name, dir_fd=folder)
        found = os.fstatvfs(folder)
        return {"free_bytes": found.f_bavail * found.f_frsize}


def _check(request: Mapping[str, Any], _: BinaryIO) -> Mapping[str, Any]:
    """Checks that a version is there; reads every file and compares its hash. Raises Damaged."""
    top, model, version = request["path"]
    with _opened(request) as (folder, users):
        try:
            with (
                _entered(folder, top, users) as above,
                _entered(above, model, users) as of_model,
                _entered(of_model, version, users) as own,
            ):
                _require_whole(own, request["files"], request["sum"], users)
        except FileNotFoundError:
            return {"there": False}
    return {"there": True}


def _unpack(request: Mapping[str, Any], content: BinaryIO) -> Mapping[str, Any]:
    """Writes a version's files, whose bytes follow on standard input; gives the folder its name when it is whole."""
    top, model, version = request["path"]
    files: Sequence[Entry] = request["files"]
    for entry in files:
        if problem := file_paths.problem(entry["path"]):
            raise Refused(f"The manifest names {entry['path'][:200]!r}, whose path {problem}")
    with _opened(request) as (folder, users):
        # Abandoned files may have taken the room.
        _sweep(folder, top, users)
        free = os.fstatvfs(folder)
        if free.f_bavail * free.f_frsize < request["needed"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with (
            _entered(folder, top, users, make=True) as above,
            _entered(above, UNFINISHED, users, make=True) as unfinished,
        ):
            name = token_hex(16)
            os.mkdir(name, 0o700, dir_fd=unfinished)
            try:
                with _entered(unfinished, name, users) as own:
                    _write_all(own, files, content, users)
                    _write(own, MANIFEST, [request["manifest"].encode()], None)
                    os.fsync(own)
                return {"first": _published(above, unfinished, name, (model, version), request, users)}
            finally:
                remove_tree(unfinished, name)


def _remove(request: Mapping[str, Any], _: BinaryIO) -> Mapping[str, Any]:
    """Removes all of a registry, of a model, or of a version with any digest, as far as it exists."""
    top, *below = request["path"]
    with suppress(FileNotFoundError), _opened(request) as (folder, users):
        if not below:
            with _entered(folder, top, users):
                pass
            remove_tree(folder, top)
            return {}
        with (
            _entered(folder, top, users) as above,
            _entered(above, UNFINISHED, users, make=True) as unfinished,
        ):
            with suppress(FileNotFoundError), _entered(above, below[0], users) as of_model:
                for name in names(of_model):
                    if len(below) == 1 or name.startswith(f"{below[1]}-"):
                        put_away(of_model, name, unfinished)
            # A folder in which another host has put a version stays.
            with suppress(OSError):
                os.rmdir(below[0], dir_fd=above)
            sweep_probes(folder, sweep(unfinished))
    return {}


# -- underneath ------------------------------------------------------------------------------------------


def _require_name(name: str) -> None:
    if file_paths.problem(name) or "/" in name:
        raise Refused(f"{name[:200]!r} is not a name of a folder")


@contextmanager
def _opened(request: Mapping[str, Any]) -> Iterator[tuple[int, Users]]:
    """The folder of the NFS, and whose folders in it are ours.

    Raises Refused where a link leads elsewhere, and where others could put another folder in the place of ours.
    """
    folder: str = request["folder"]
    if os.path.realpath(folder) != folder:
        raise Refused(f"{folder} leads elsewhere through a link")
    _require_kept(folder, request["mount"])
    descriptor = os.open(folder, FOLDER)
    try:
        yield descriptor, _own_users(descriptor)
    finally:
        os.close(descriptor)


def _require_kept(folder: str, mount: str) -> None:
    """Raises Refused where other accounts may rename entries of a folder, or of one above it up to the mount."""
    while True:
        mode = Path(folder).lstat().st_mode
        if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
            raise Refused(
                f"other accounts may rename files in {folder}, and could replace model files: run `chmod +t` on it"
            )
        if folder in (mount, "/"):
            return
        folder = str(Path(folder).parent)


@contextmanager
def _entered(folder: int, name: str, users: Users, *, make: bool = False) -> Iterator[int]:
    """Opens a folder of ours in a folder. Raises Refused for a link, or a folder that another account could change."""
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=folder)
    try:
        descriptor = os.open(name, FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Refused(f"{name} there is a link or a file, and must be a folder") from error
        raise
    try:
        found = os.fstat(descriptor)
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Refused(f"{name} there can be changed by other accounts: run `chmod go-w` on it")
        if found.st_uid not in users:
            raise Refused(f"{name} there belongs to another account")
        yield descriptor
    finally:
        os.close(descriptor)


def _own_users(folder: int) -> Users:
    """The accounts that own the files that this process makes: the server may map its account to another one."""
    users = {os.getuid()}
    with suppress(OSError):
        name = f"{PROBE}{token_hex(16)}"
        os.close(os.open(name, _NEW, 0o600, dir_fd=folder))
        try:
            users.add(os.stat(name, dir_fd=folder, follow_symlinks=False).st_uid)
        finally:
            os.unlink(name, dir_fd=folder)
    return frozenset(users)


def _sweep(folder: int, top: str, users: Users) -> None:
    """Removes unfinished folders that others left in a registry."""
    with (
        suppress(FileNotFoundError),
        _entered(folder, top, users) as above,
        _entered(above, UNFINISHED, users) as unfinished,
    ):
        sweep_probes(folder, sweep(unfinished))


def _write_all(own: int, files: Sequence[Entry], content: BinaryIO, users: Users) -> None:
    telling = Telling(own)
    os.mkdir(FILES, 0o700, dir_fd=own)
    with _entered(own, FILES, users) as root:
        for entry in files:
            with _below(root, entry["path"], make=True) as (folder, name):
                digest = _write(folder, name, _pieces(content, entry["size"]), telling)
            if digest != entry["sha256"]:
                raise Damaged(f"{entry['path']} came with other bytes than its manifest says")
        _make_read_only(root, telling)


def _pieces(content: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = content.read(min(size, _CHUNK))
        if not piece:
            raise Damaged("its bytes ended early")
        size -= len(piece)
        yield piece


def _write(folder: int, name: str, pieces: Iterator[bytes] | Sequence[bytes], telling: Telling | None) -> str:
    """Writes a new file, which the server has on its disk then; returns its SHA-256."""
    digest, unsynced = hashlib.sha256(), 0
    with os.fdopen(os.open(name, _NEW, 0o600, dir_fd=folder), "wb", buffering=0) as file:
        for piece in pieces:
            digest.update(piece)
            view = memoryview(piece)
            while view:
                view = view[file.write(view) :]
            unsynced += len(piece)
            if unsynced >= _SYNC_EVERY:
                os.fdatasync(file.fileno())
                unsynced = 0
            if telling is not None:
                telling(len(piece))
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), 0o400)
    return digest.hexdigest()


@contextmanager
def _below(root: int, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """The folder of a file's path below an open one, and the file's name."""
    *folders, name = path.split("/")
    opened = [root]
    try:
        for each in folders:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(each, 0o700, dir_fd=opened[-1])
            opened.append(os.open(each, FOLDER, dir_fd=opened[-1]))
        yield opened[-1], name
    finally:
        for descriptor in opened[1:]:
            os.close(descriptor)


def _make_read_only(folder: int, telling: Telling) -> None:
    """Folders below, and the folder itself, which the server has on its disk then."""
    for name, is_folder in entries(folder):
        telling(0)
        if is_folder:
            descriptor = os.open(name, FOLDER, dir_fd=folder)
            try:
                _make_read_only(descriptor, telling)
            finally:
                os.close(descriptor)
    os.fsync(folder)
    os.fchmod(folder, 0o500)


def _published(
    above: int, unfinished: int, name: str, place: tuple[str, str], request: Mapping[str, Any], users: Users
) -> bool:
    """Gives a complete folder its name; returns whether it was the first with it. A damaged one is moved away."""
    model, version = place
    files, sum_ = request["files"], hashlib.sha256(request["manifest"].encode()).hexdigest()
    for last in (False, False, True):
        with _entered(above, model, users, make=True) as of_model:
            try:
                os.rename(name, version, src_dir_fd=unfinished, dst_dir_fd=of_model)
                os.fsync(of_model)
                return True
            except FileNotFoundError:
                # Somebody removed the model's folder, which was empty, or took this one for abandoned.
                if last or name not in names(unfinished):
                    raise
            except OSError as error:
                if last or error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
                try:
                    with _entered(of_model, version, users) as other:
                        _require_whole(other, files, sum_, users)
                    return False
                except (Damaged, Refused, FileNotFoundError):
                    put_away(of_model, version, unfinished)
    raise AssertionError("the last try returns or raises")


def _require_whole(own: int, files: Sequence[Entry], sum_: str, users: Users) -> None:
    """Raises Damaged unless exactly these files are there, with their hashes, and no link."""
    telling = Telling()
    expected = {entry["path"]: entry for entry in files}
    with _entered(own, FILES, users) as root:
        found = set(paths(root, telling))
        if wrong := sorted(found ^ expected.keys()):
            raise Damaged(f"{wrong[0]} is missing there, or does not belong there")
        for path, entry in expected.items():
            with _below(root, path) as (folder, name):
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            digest = hashlib.sha256()
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                while piece := file.read(_CHUNK):
                    digest.update(piece)
                    telling(len(piece))
            telling(0)
            if digest.hexdigest() != entry["sha256"]:
                raise Damaged(f"{path} has other bytes than its manifest says")
    with suppress(FileNotFoundError):
        descriptor = os.open(MANIFEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=own)
        with os.fdopen(descriptor, "rb") as file:
            if hashlib.sha256(file.read()).hexdigest() == sum_:
                return
    raise Damaged(f"{MANIFEST} is missing or another one")


if __name__ == "__main__":
    main()
