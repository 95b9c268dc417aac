"""Content of the object store: a file or a part of it, and the entries of a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from registry_tui.contracts import file_paths
from registry_tui.contracts.counts import counted
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.tracking import Artifact
from registry_tui.service.errors import InvalidInput, Missing, ServiceError, WrongState
from registry_tui.service.stores.base import StoredObject
from registry_tui.service.stores.bucket_files import (
    MIB,
    Folder,
    Place,
    StoredFile,
    StoreFolder,
    clear_errors,
    read_pieces,
)

#: Bytes kept in memory while one file is read.
CHUNK = MIB
#: Folders hold at most this many entries; the object store lists 1000 a request.
_MAX_ENTRIES = 100_000
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class RangeNotSatisfiable(ServiceError):
    """The requested range is behind the end of the file, which has `size` bytes."""

    status, code, title = 416, "range-not-satisfiable", "There are no such bytes"

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {counted(size, 'byte')} only", action="Ask for bytes within it")
        self.headers = {"Content-Range": f"bytes */{size}"}


@dataclass(frozen=True)
class Content:
    """A part of a file: from byte `start`, `length` bytes, of `size` in all. Read `chunks` once."""

    start: int
    length: int
    size: int
    etag: str
    chunks: Iterator[bytes]

    @property
    def whole(self) -> bool:
        return self.length == self.size


def open_file(folder: Folder, path: str, range_header: str | None = None) -> Content:
    """A file below a folder of the object store. Raises Missing, InvalidInput, RangeNotSatisfiable, PartUnavailable."""
    if isinstance(folder, StoreFolder):
        return _open_outside(folder, path, range_header)
    client, key = folder.client, folder.key(path)
    try:
        with clear_errors(folder):
            head = client.head_object(Bucket=folder.bucket, Key=key)
    except WrongState as error:
        if entries_of(replace(folder, prefix=f"{key}/"), path, limit=1):
            raise InvalidInput(f"{path!r} is a folder", action="Name a file in it") from error
        raise Missing(f"There is no file {path!r}") from error
    size, etag = int(head["ContentLength"]), str(head["ETag"])
    start, length = parse_range(range_header, size)
    return Content(start, length, size, etag, _chunks(folder, key, etag, start, length))


def _open_outside(folder: StoreFolder, path: str, range_header: str | None) -> Content:
    key = folder.key(path)
    try:
        found = folder.store.head(key)
    except Missing as error:
        if next(folder.store.list(folder.below(path).prefix), None) is not None:
            raise InvalidInput(f"{path!r} is a folder", action="Name a file in it") from error
        raise Missing(f"There is no file {path!r}") from error
    start, length = parse_range(range_header, found.size)
    file = StoredFile(path, found.size, found.etag)
    return Content(start, length, found.size, found.etag, read_pieces(file, folder, part=(start, length)))


def parse_range(header: str | None, size: int) -> tuple[int, int]:
    """First byte and length of a `Range` header for a file (RFC 9110, 14.2).

    The whole file when the header names no single range. Raises RangeNotSatisfiable.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.groups() == ("", "") or any(len(number) > 19 for number in match.groups()):
        return 0, size
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size - 1
        if int(last) == 0:
            raise RangeNotSatisfiable(size)
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < start:
            return 0, size
    if start >= size:
        raise RangeNotSatisfiable(size)
    return start, end - start + 1


def clean_path(path: str, field: str = "path") -> str:
    """A path below a run's artifacts. Raises InvalidInput when it leaves the run or cannot be one."""
    path = "" if path == "." else path
    clean = path.removesuffix("/")
    if path and (problem := file_paths.problem(clean, decode=False)):
        raise InvalidInput(f"The path {problem}", errors=[FieldProblem(field=field, message=problem)])
    return clean


def entries_of(folder: Folder, path: str, limit: int = _MAX_ENTRIES) -> list[Artifact]:
    base = f"{path}/" if path else ""
    entries: list[Artifact] = []
    if isinstance(folder, StoreFolder):
        for found in islice(folder.store.entries(folder.prefix), limit):
            name = found.key.removeprefix(folder.prefix).rstrip("/")
            size = found.size if isinstance(found, StoredObject) else None
            entries.append(Artifact(path=f"{base}{name}", is_folder=size is None, size=size))
        return entries
    with clear_errors(folder):
        pages = folder.client.get_paginator("list_objects_v2").paginate(
            Bucket=folder.bucket, Prefix=folder.prefix, Delimiter="/"
        )
        for page in pages:
            for below in page.get("CommonPrefixes", ()):
                name = below["Prefix"].removeprefix(folder.prefix).rstrip("/")
                entries.append(Artifact(path=f"{base}{name}", is_folder=True))
            for entry in page.get("Contents", ()):
                if name := entry["Key"].removeprefix(folder.prefix):
                    entries.append(Artifact(path=f"{base}{name}", is_folder=False, size=entry["Size"]))
            if len(entries) >= limit:
                break
    return entries


def _chunks(folder: Place, key: str, etag: str, start: int, length: int) -> Iterator[bytes]:
    if length == 0:
        return
    with clear_errors(folder):
        answer = folder.client.get_object(
            Bucket=folder.bucket, Key=key, IfMatch=etag, Range=f"bytes={start}-{start + length - 1}"
        )
        body = answer["Body"]
        try:
            yield from body.iter_chunks(CHUNK)
        finally:
            body.close()
