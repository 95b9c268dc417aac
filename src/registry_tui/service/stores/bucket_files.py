"""Lists and reads files below a folder of the embedded store or of an environment's own.

Translates the embedded store's errors too; those of other stores come translated (`base.py: Bucket`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from registry_tui.service.errors import (
    InvalidInput,
    Missing,
    NotPermitted,
    PartUnavailable,
    ServiceError,
    StorageNotGranted,
    WrongState,
)
from registry_tui.service.stores.base import RESTORE, UNKNOWN_KEY, Bucket

Item = TypeVar("Item")
Result = TypeVar("Result")

MIB = 1 << 20
#: Files up to this size are read in one request each, larger ones in ranges of this size.
RANGE_BYTES = 8 * MIB
#: Requests under way at the same time; they keep at most (`READERS` + 1) × `RANGE_BYTES` in memory.
READERS = 3
#: Most files of a model. Bounds the manifest and the state of a workflow.
MAX_FILES = 100_000

#: Called with bytes and files done since the last call.
Advance = Callable[[int, int], None]
#: Called between pieces of work; raises to stop it.
Check = Callable[[], None]


@dataclass(frozen=True)
class Place:
    """A folder in a bucket, and the client to reach it with. `prefix` ends with `/`."""

    client: Any
    bucket: str
    prefix: str
    #: The name of the Model Registry with whose machine user's key it is reached; empty for other keys.
    registry: str = ""

    def key(self, path: str) -> str:
        return f"{self.prefix}{path}"

    def below(self, folder: str) -> Place:
        return replace(self, prefix=f"{self.prefix}{folder.rstrip('/')}/")

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True)
class StoreFolder:
    """A folder in an environment's own store. `prefix` ends with `/`."""

    store: Bucket
    prefix: str

    def key(self, path: str) -> str:
        return f"{self.prefix}{path}"

    def below(self, folder: str) -> StoreFolder:
        return StoreFolder(self.store, f"{self.prefix}{folder.rstrip('/')}/")

    @property
    def uri(self) -> str:
        return f"{self.store.uri}{self.prefix}"


#: A folder of a model's files.
Folder = Place | StoreFolder


@dataclass(frozen=True)
class StoredFile:
    """A file below a place: its path there, size in bytes, and the store's ETag."""

    path: str
    size: int
    etag: str


def list_files(place: Folder) -> list[StoredFile]:
    """Every file below a place, by path. Raises ServiceError."""
    files: list[StoredFile] = []
    if isinstance(place, StoreFolder):
        for found in place.store.list(place.prefix):
            files.append(StoredFile(found.key.removeprefix(place.prefix), found.size, found.etag))
            if len(files) > MAX_FILES:
                raise _too_many(place)
        return sorted(files, key=lambda file: file.path)
    with clear_errors(place):
        pages = place.client.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.prefix)
        for page in pages:
            for entry in page.get("Contents", ()):
                path = entry["Key"].removeprefix(place.prefix)
                if path and not path.endswith("/"):  # a marker of an empty folder
                    files.append(StoredFile(path, entry["Size"], entry["ETag"]))
            if len(files) > MAX_FILES:
                raise _too_many(place)
    return sorted(files, key=lambda file: file.path)


def files_there(place: Folder, wanted: Iterable[str], *, check: Check = lambda: None) -> list[StoredFile]:
    """As `list_files`; where a store's list differs from the wanted paths, each such file is looked up by its name.

    Listings may lag behind writes and deletions. Raises ServiceError, and the errors of `check`, called between
    requests.
    """
    listed = {file.path: file for file in list_files(place)}
    if not isinstance(place, StoreFolder):
        return list(listed.values())
    asked = sorted(listed.keys() ^ set(wanted))
    found: dict[str, StoredFile | None] = {}
    answers = in_parallel(lambda path: _asked_for(place, path), asked, READERS, READERS)
    for path, answer in zip(asked, answers, strict=True):
        check()
        found[path] = answer
    there = {path: file for path, file in (listed | found).items() if file is not None}
    return [there[path] for path in sorted(there)]


def _asked_for(place: StoreFolder, path: str) -> StoredFile | None:
    """A file, or None if it does not exist."""
    try:
        found = place.store.head(place.key(path))
    except Missing:
        return None
    return StoredFile(path, found.size, found.etag)


def _too_many(place: Folder) -> InvalidInput:
    return InvalidInput(f"{place.uri} holds more than {MAX_FILES:,} files", action="Store them as one file")


def read_whole(place: Folder, path: str, *, etag: str = "") -> bytes:
    """A small file's bytes, of the state with that ETag where one is given. Raises ServiceError."""
    if isinstance(place, StoreFolder):
        return place.store.read(place.key(path), etag=etag)
    with clear_errors(place):
        return bytes(get(place, path, etag=etag or None)["Body"].read())


def read_bounded(place: Folder, path: str, limit: int) -> bytes | None:
    """A file's bytes; None when it has more than `limit`. Raises Missing, other ServiceErrors."""
    if isinstance(place, StoreFolder):
        size = place.store.head(place.key(path)).size
        return place.store.read(place.key(path), 0, limit) if size <= limit else None
    with clear_errors(place):
        try:
            found = get(place, path)
        except place.client.exceptions.NoSuchKey as error:
            raise Missing(f"There is no {path} at {place.uri}") from error
        with closing(found["Body"]) as stream:
            return bytes(stream.read()) if found["ContentLength"] <= limit else None


def write_whole(target: Folder, path: str, body: bytes, content_type: str = "") -> None:
    """Stores a small file. Raises ServiceError."""
    if isinstance(target, StoreFolder):
        target.store.put(target.key(path), body)
        return
    options = {"ContentType": content_type} if content_type else {}
    with clear_errors(target):
        target.client.put_object(Bucket=target.bucket, Key=target.key(path), Body=body, **options)


def read_pieces(
    file: StoredFile, place: Folder, step: int = RANGE_BYTES, *, part: tuple[int, int] | None = None
) -> Iterator[bytes]:
    """A file's bytes in pieces, a few of which are read ahead; of the listed state, where its ETag is given.

    `part`: only this range, as first byte and length.

    Raises ServiceError.
    """

    def fetch(piece: tuple[int, int]) -> bytes:
        first, last = piece
        if isinstance(place, StoreFolder):
            found = place.store.read(place.key(file.path), first, last - first + 1, etag=file.etag)
        else:
            found = _read_range(place, file, first, last)
        if len(found) != last - first + 1:
            raise PartUnavailable(f"The object store broke off reading {place.uri}{file.path}")
        return found

    start, length = part or (0, file.size)
    wanted = ((start + first, start + last) for first, last in slices(length, step))
    return in_parallel(fetch, wanted, READERS, 1)


def _read_range(place: Place, file: StoredFile, first: int, last: int) -> bytes:
    with clear_errors(place):
        return bytes(get(place, file.path, etag=file.etag or None, Range=f"bytes={first}-{last}")["Body"].read())


def get(place: Place, path: str, *, etag: str | None = None, **options: Any) -> Any:
    """The store's response with a file, of the state with that ETag if given. Raises ClientError."""
    if etag is not None:
        options["IfMatch"] = etag
    return place.client.get_object(Bucket=place.bucket, Key=place.key(path), **options)


def slices(size: int, step: int) -> Iterator[tuple[int, int]]:
    """First and last byte of each piece."""
    return ((start, min(start + step, size) - 1) for start in range(0, size, step))


def in_parallel(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int = 0
) -> Iterator[Result]:
    """Results in the order of the items; at most `threads` run, and `threads + ahead` are begun and not yet taken.

    Stops at the first exception, and when the caller stops asking.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="archive") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= threads + ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def clear_errors(place: Place) -> Iterator[None]:
    """Turns the object store's errors into ServiceErrors with an action: PartUnavailable when waiting helps."""
    try:
        yield
    except ClientError as error:
        raise _service_error(error, place) from error
    except (BotoCoreError, OSError) as error:
        raise PartUnavailable(
            "The object store does not answer", action="See `registry-tui status` and `registry-tui logs object-store`"
        ) from error


def _service_error(error: ClientError, place: Place) -> ServiceError:
    answer = error.response.get("Error", {})
    code, message = str(answer.get("Code", "")), str(answer.get("Message", "")).strip()
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    reason = f"{error.operation_name}: {code} {message}".strip()
    if code in ("AccessDenied", *UNKNOWN_KEY) or status == 403:
        detail = f"The object store refuses access to {place.uri} ({reason})"
        if place.registry and code not in UNKNOWN_KEY:
            return StorageNotGranted(detail, place.registry)
        return NotPermitted(detail, action=RESTORE)
    if code in ("NoSuchKey", "404", "PreconditionFailed", "412", "InvalidRange") or status in (404, 412, 416):
        return WrongState(
            f"Files of {place.uri} changed or went away while they were read ({reason})",
            action="Look whether the model is still there, and register it again",
        )
    if status >= 500 or code in ("SlowDown", "RequestTimeout", "Throttling"):
        return PartUnavailable(
            f"The object store cannot do that now ({reason})", action="See `registry-tui logs object-store`"
        )
    return WrongState(f"The object store refuses to work on {place.uri} ({reason})")
