"""An archive on this machine's disk, compared with its manifest before it is loaded. Standard library only."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

MANIFEST = "manifest.json"
FILES = "files"
_CHUNK = 1 << 20


class ArchiveDamaged(Exception):
    """A file is missing, does not match the manifest, or does not belong to the archive."""


def check(folder: Path, advance: Callable[[], None] = lambda: None) -> Path:
    """Reads every file of the archive in `folder`; returns the model's folder. Raises ArchiveDamaged, OSError.

    `advance` is called for each listed name and for each piece read.
    """
    expected = _expected(folder)
    files = folder / FILES
    found = set(_listed(files, "", advance))
    if missing := sorted(expected.keys() - found):
        raise ArchiveDamaged(f"{missing[0]} is missing")
    if unexpected := sorted(found - expected.keys()):
        raise ArchiveDamaged(f"{unexpected[0]} does not belong to it")
    for path, (size, sum_) in expected.items():
        advance()
        if (files / path).stat().st_size != size or sha256(files / path, advance) != sum_:
            raise ArchiveDamaged(f"{path} has other bytes than its manifest says")
    return files


def sums(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file by its path, from the manifest in `folder`. Raises ArchiveDamaged, OSError."""
    return {path: sum_ for path, (_, sum_) in _expected(folder).items()}


def _expected(folder: Path) -> dict[str, tuple[int, str]]:
    try:
        entries = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return {entry["path"]: (entry["size"], entry["sha256"]) for entry in entries}
    except FileNotFoundError as error:
        raise ArchiveDamaged(f"{MANIFEST} is missing") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveDamaged(f"{MANIFEST} is damaged: {error}") from error


def _listed(folder: Path, prefix: str, advance: Callable[[], None]) -> Iterator[str]:
    """The paths of the files below a folder.

    Names come with their kinds, without a request to an NFS server for each.
    """
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except FileNotFoundError:
        return
    for entry in entries:
        advance()
        if entry.is_dir(follow_symlinks=False):
            yield from _listed(folder / entry.name, f"{prefix}{entry.name}/", advance)
        elif entry.is_file():
            yield f"{prefix}{entry.name}"


def sha256(path: Path, advance: Callable[[], None] = lambda: None) -> str:
    """A file's SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            advance()
    return digest.hexdigest()
