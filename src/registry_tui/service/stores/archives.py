"""Archives: a model's files copied into the registry's prefix, read back, and described by a manifest.

Pure functions over boto3 S3 clients of the embedded store, and over environments' own stores (`base.py: Bucket`); they
know nothing of MLflow or of workflows.

How an archive is verified: every copy names the source's ETag, so that a file that changed since it was listed is
refused; every stored file is then read back whole, its length compared with the source's, and its SHA-256 put into the
manifest. A copy between two stores passes through here, is hashed on the way, and the stored file must have the same
hash. In a copy within one store the bytes never leave the store, so the source's hash is not known: reading it as well
would take as long as the copy. There the store's own checksums of its reads must suffice.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from registry_tui.contracts.counts import counted
from registry_tui.contracts.signatures import BUNDLE, OTHERS
from registry_tui.schemas.models import ArchiveCheck, Manifest, ManifestEntry
from registry_tui.service.errors import InvalidInput, Missing, ServiceError, WrongState
from registry_tui.service.stores.base import Bucket, batches
from registry_tui.service.stores.bucket_files import (
    MAX_FILES,
    MIB,
    RANGE_BYTES,
    READERS,
    Folder,
    Place,
    StoredFile,
    StoreFolder,
    clear_errors,
    files_there,
    in_parallel,
    list_files,
    read_bounded,
    read_pieces,
    read_whole,
    slices,
    write_whole,
)

logger = logging.getLogger(__name__)


MANIFEST = "manifest.json"
FILES = "files"

#: Larger files are copied in parts. S3 takes parts from 5 MiB, at most 10 000 of them. Small parts cost SeaweedFS least
#: (`bench/archive.py`: larger ones make its garbage collector work).
PART_BYTES = 5 * MIB
MAX_PARTS = 10_000
#: Copies under way at the same time.
COPIERS = 4
#: Bytes of the largest manifest; it is read whole.
MAX_MANIFEST_BYTES = 64 * MIB
#: S3's limit on the keys of one DeleteObjects.
DELETE_BATCH = 1000

#: Called with bytes and files done since the last call.
Advance = Callable[[int, int], None]
#: Called between pieces of work; raises to stop it.
Check = Callable[[], None]


def same_store(source: Folder, target: Folder) -> bool:
    """Whether the embedded store can copy from the source to the target by itself."""
    if isinstance(source, StoreFolder) or isinstance(target, StoreFolder):
        return False
    return bool(source.client.meta.endpoint_url == target.client.meta.endpoint_url)


def copy_files(
    files: Sequence[StoredFile],
    source: Folder,
    target: Folder,
    *,
    advance: Advance = lambda _bytes, _files: None,
    check: Check = lambda: None,
) -> dict[str, str]:
    """Copies files.

    Within one store the store copies, and files that are at the target already, in full length, are left. Between
    stores the bytes are streamed through here in constant memory, and the SHA-256 of each copied file is returned by
    path; a file that is there already is stored again, since its hash is not known otherwise.

    Raises ServiceError; WrongState when a source file changed.
    """
    _abort_uploads(target)
    if isinstance(source, StoreFolder) or isinstance(target, StoreFolder) or not same_store(source, target):
        return _pass_through(files, source, target, advance, check)
    there = {file.path: file.size for file in list_files(target)}
    missing = []
    for file in files:
        if there.get(file.path) == file.size:
            advance(file.size, 1)
        else:
            missing.append(file)

    def copy_small(file: StoredFile) -> StoredFile:
        with clear_errors(target):
            target.client.copy_object(
                Bucket=target.bucket,
                Key=target.key(file.path),
                CopySource={"Bucket": source.bucket, "Key": source.key(file.path)},
                CopySourceIfMatch=file.etag,
            )
        return file

    for file in in_parallel(copy_small, (file for file in missing if file.size <= PART_BYTES), COPIERS, COPIERS):
        advance(file.size, 1)
        check()
    for file in (file for file in missing if file.size > PART_BYTES):
        _copy_large(file, source, target, advance, check)
    return {}


def store_files(
    files: Sequence[StoredFile],
    read: Callable[[StoredFile], Iterator[bytes]],
    target: Folder,
    *,
    advance: Advance = lambda _bytes, _files: None,
    check: Check = lambda: None,
) -> dict[str, str]:
    """Stores files whose bytes `read` gives, piece by piece in constant memory; returns the SHA-256 of each by path.

    A file that is there already is stored again, since its hash is not known otherwise. Raises ServiceError and the
    errors of `read`; WrongState when it yields another number of bytes than the file has.
    """
    _abort_uploads(target)
    if isinstance(target, StoreFolder):
        return {file.path: _store_outside(file, read(file), target, advance, check) for file in files}
    sums = {}
    for file in files:
        sha, size = hashlib.sha256(), 0
        pieces = _in_parts(read(file), max(RANGE_BYTES, _part_size(file.size)))
        if file.size <= PART_BYTES:
            body = b"".join(pieces)
            sha.update(body)
            size = len(body)
            with clear_errors(target):
                target.client.put_object(Bucket=target.bucket, Key=target.key(file.path), Body=body)
            advance(size, 0)
        else:
            key, parts = target.key(file.path), []
            with _upload(target, key) as upload:
                for number, piece in enumerate(pieces, 1):
                    sha.update(piece)
                    size += len(piece)
                    with clear_errors(target):
                        answer = target.client.upload_part(
                            Bucket=target.bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece
                        )
                    parts.append({"PartNumber": number, "ETag": answer["ETag"]})
                    advance(len(piece), 0)
                    check()
                _complete(target, key, upload, parts)
        if size != file.size:
            found = counted(size, "byte")
            raise WrongState(f"{file.path} has {found}, not {file.size} as listed", action="Retry the workflow")
        sums[file.path] = sha.hexdigest()
        advance(0, 1)
        check()
    return sums


def _store_outside(
    file: StoredFile, chunks: Iterator[bytes], target: StoreFolder, advance: Advance, check: Check
) -> str:
    """Stores a file in an environment's own store; with a wrong number of bytes no object is stored."""
    sha, size = hashlib.sha256(), 0

    def passing() -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            sha.update(chunk)
            size += len(chunk)
            yield chunk
            advance(len(chunk), 0)
            check()
        if size != file.size:
            found = counted(size, "byte")
            raise WrongState(f"{file.path} has {found}, not {file.size} as listed", action="Retry the workflow")

    target.store.put(target.key(file.path), passing(), size=file.size)
    advance(0, 1)
    return sha.hexdigest()


def _in_parts(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in parts of one size; the last may be shorter."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


def _pass_through(
    files: Sequence[StoredFile], source: Folder, target: Folder, advance: Advance, check: Check
) -> dict[str, str]:
    """Copies files between stores; returns the SHA-256 of each file by path."""
    sums = {}

    def copy_small(file: StoredFile) -> tuple[StoredFile, str]:
        body = read_whole(source, file.path, etag=file.etag)
        write_whole(target, file.path, body)
        return file, hashlib.sha256(body).hexdigest()

    small = (file for file in files if file.size <= PART_BYTES)
    for file, sha in in_parallel(copy_small, small, COPIERS, COPIERS):
        sums[file.path] = sha
        advance(file.size, 1)
        check()
    for file in (file for file in files if file.size > PART_BYTES):
        sums[file.path] = _stream(file, source, target, advance, check)
    return sums


def pass_files(
    files: Sequence[StoredFile],
    source: Folder,
    target: Folder,
    *,
    advance: Advance = lambda _bytes, _files: None,
    check: Check = lambda: None,
) -> dict[str, str]:
    """Copies files through here, between stores and within one; returns the SHA-256 of each file by path.

    The source's own key reads and the target's writes. A file that is there already is stored again. Raises
    ServiceError; WrongState when a source file changed.
    """
    _abort_uploads(target)
    return _pass_through(files, source, target, advance, check)


def beside(archive: Folder) -> list[StoredFile]:
    """The files next to an archive's manifest, without the signatures. Raises ServiceError."""
    other = (f"{FILES}/", f"{OTHERS}/")
    return [
        file for file in list_files(archive) if not (file.path in (MANIFEST, BUNDLE) or file.path.startswith(other))
    ]


def _write(target: Folder, path: str, body: bytes) -> None:
    if isinstance(target, StoreFolder):
        target.store.put(target.key(path), body)
        return
    with clear_errors(target):
        target.client.put_object(Bucket=target.bucket, Key=target.key(path), Body=body)


def hash_files(
    files: Sequence[StoredFile],
    place: Folder,
    *,
    advance: Advance = lambda _bytes, _files: None,
    check: Check = lambda: None,
) -> list[ManifestEntry]:
    """Reads files whole and gives the size and SHA-256 that each really has, by path. Raises ServiceError."""

    def hash_small(file: StoredFile) -> ManifestEntry:
        body = read_whole(place, file.path)
        return ManifestEntry(path=file.path, size=len(body), sha256=hashlib.sha256(body).hexdigest())

    entries = []
    for entry in in_parallel(hash_small, (file for file in files if file.size <= RANGE_BYTES), READERS, 1):
        entries.append(entry)
        advance(entry.size, 1)
        check()
    for file in (file for file in files if file.size > RANGE_BYTES):
        sha, size = hashlib.sha256(), 0
        for piece in read_pieces(file, place):
            sha.update(piece)
            size += len(piece)
            advance(len(piece), 0)
            check()
        advance(0, 1)
        entries.append(ManifestEntry(path=file.path, size=size, sha256=sha.hexdigest()))
    return sorted(entries, key=lambda entry: entry.path)


def write_manifest(archive: Folder, manifest: Manifest) -> None:
    """Stores an archive's manifest. Raises ServiceError; InvalidInput for one that is too large to be read again."""
    body = manifest.model_dump_json(indent=1).encode()
    if len(body) > MAX_MANIFEST_BYTES:
        raise InvalidInput(
            f"The manifest would have {counted(len(body), 'byte')}, more than {MAX_MANIFEST_BYTES}",
            action="Log the model again with fewer files or shorter paths, and register a new version",
        )
    write_whole(archive, MANIFEST, body, "application/json")


def source_files(place: Folder, *, archived: bool, check: Check = lambda: None) -> list[StoredFile]:
    """Every file of a folder that is copied; of an archive in an own store all that its manifest names.

    `archived`: whether the folder is in an archive. Elsewhere a `manifest.json` is somebody's own file, and names
    nothing.
    """
    if not archived or not isinstance(place, StoreFolder) or not place.prefix.endswith(f"/{FILES}/"):
        return list_files(place)
    try:
        manifest = read_manifest(StoreFolder(place.store, place.prefix.removesuffix(f"{FILES}/")))
    except (Missing, WrongState):
        return list_files(place)
    return files_there(place, [entry.path for entry in manifest.files], check=check)


def read_manifest(archive: Folder) -> Manifest:
    """An archive's manifest. Raises Missing, WrongState when it is damaged or too large, other ServiceErrors."""
    try:
        body = read_bounded(archive, MANIFEST, MAX_MANIFEST_BYTES)
    except Missing as error:
        raise Missing(f"There is no archive at {archive.uri}", action="Register the model again") from error
    action = "Register the model again, as a new version"
    if body is None:
        raise WrongState(f"The manifest at {archive.uri} has more than {MAX_MANIFEST_BYTES >> 20} MiB", action=action)
    try:
        manifest = Manifest.model_validate_json(body)
    except ValidationError as error:
        raise WrongState(f"The manifest at {archive.uri} is damaged", action=action) from error
    if len(manifest.files) > MAX_FILES:
        raise WrongState(f"The manifest at {archive.uri} names more than {MAX_FILES:,} files", action=action)
    return manifest


def check_archive(
    archive: Folder,
    *,
    progress: Callable[[Sequence[StoredFile]], Advance] = lambda _files: lambda _bytes, _count: None,
    check: Check = lambda: None,
) -> ArchiveCheck:
    """Reads a whole archive and compares it with its manifest; `progress` gets the files that are going to be read.

    Raises ServiceError.
    """
    manifest = read_manifest(archive)
    wanted = {entry.path: entry for entry in manifest.files}
    files = files_there(archive.below(FILES), wanted, check=check)
    found = hash_files(files, archive.below(FILES), advance=progress(files), check=check)
    return ArchiveCheck(
        checked_at=datetime.now(UTC),
        files=len(found),
        bytes=sum(entry.size for entry in found),
        missing=sorted(wanted.keys() - {entry.path for entry in found}),
        changed=[entry.path for entry in found if entry.path in wanted and entry != wanted[entry.path]],
        unexpected=[entry.path for entry in found if entry.path not in wanted],
    )


def delete_archive(
    archive: Folder, advance: Advance = lambda _bytes, _files: None, *, stored: Iterable[StoredFile] = ()
) -> None:
    """Removes everything below an archive's place, the manifest first. Raises ServiceError.

    `stored`: files below `files/` that may have been stored; an own store's list may lag behind that.
    """
    _abort_uploads(archive)
    sizes = {archive.key(file.path): file.size for file in list_files(archive)}
    if isinstance(archive, StoreFolder):
        named = {f"{FILES}/{file.path}": file.size for file in stored} | _named(archive)
        sizes = {archive.key(path): size for path, size in named.items()} | sizes
    keys = sorted(sizes, key=lambda key: (key != archive.key(MANIFEST), key))
    for batch in batches(keys, DELETE_BATCH):
        _delete(archive, batch)
        advance(sum(sizes[key] for key in batch), len(batch))


def _named(archive: StoreFolder) -> dict[str, int]:
    """The files of an archive by its manifest, with sizes in bytes; empty where the manifest cannot be read."""
    try:
        manifest = read_manifest(archive)
    except (Missing, WrongState):
        return {}
    return {MANIFEST: 0, BUNDLE: 0, **{f"{FILES}/{entry.path}": entry.size for entry in manifest.files}}


def _delete(archive: Folder, keys: Sequence[str]) -> None:
    if isinstance(archive, StoreFolder):
        archive.store.delete(keys)
        return
    with clear_errors(archive):
        answer = archive.client.delete_objects(
            Bucket=archive.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
    if refused := answer.get("Errors"):
        raise WrongState(f"The object store did not delete {refused[0]['Key']}: {refused[0].get('Message')}")


def _part_size(size: int) -> int:
    """Bytes of each part of a file, so that S3's number of parts suffices."""
    return max(PART_BYTES, math.ceil(size / MAX_PARTS / MIB) * MIB)


def _copy_large(file: StoredFile, source: Place, target: Place, advance: Advance, check: Check) -> None:
    client, key = target.client, target.key(file.path)
    with _upload(target, key) as upload:

        def copy_part(numbered: tuple[int, tuple[int, int]]) -> tuple[dict[str, Any], int]:
            number, (first, last) = numbered
            with clear_errors(target):
                answer = client.upload_part_copy(
                    Bucket=target.bucket,
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    CopySource={"Bucket": source.bucket, "Key": source.key(file.path)},
                    CopySourceIfMatch=file.etag,
                    CopySourceRange=f"bytes={first}-{last}",
                )
            return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}, last - first + 1

        parts = []
        for part, size in in_parallel(
            copy_part, enumerate(slices(file.size, _part_size(file.size)), 1), COPIERS, COPIERS
        ):
            parts.append(part)
            advance(size, 0)
            check()
        _complete(target, key, upload, parts)
    advance(0, 1)


def _stream(file: StoredFile, source: Folder, target: Folder, advance: Advance, check: Check) -> str:
    """Copies one large file through here; returns its SHA-256."""
    sha = hashlib.sha256()

    def passing(step: int) -> Iterator[bytes]:
        for piece in read_pieces(file, source, step):
            sha.update(piece)
            yield piece
            advance(len(piece), 0)
            check()

    if isinstance(target, StoreFolder):
        target.store.put(target.key(file.path), passing(RANGE_BYTES), size=file.size)
        advance(0, 1)
        return sha.hexdigest()
    client, key = target.client, target.key(file.path)
    step = max(RANGE_BYTES, _part_size(file.size))
    with _upload(target, key) as upload:
        parts = []
        for number, piece in enumerate(passing(step), 1):
            with clear_errors(target):
                answer = client.upload_part(
                    Bucket=target.bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece
                )
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        _complete(target, key, upload, parts)
    advance(0, 1)
    return sha.hexdigest()


@contextmanager
def _upload(target: Place, key: str) -> Iterator[str]:
    """A multipart upload's ID; aborts it when the block fails, so that no part stays."""
    with clear_errors(target):
        upload = str(target.client.create_multipart_upload(Bucket=target.bucket, Key=key)["UploadId"])
    try:
        yield upload
    except BaseException:
        try:
            with clear_errors(target):
                target.client.abort_multipart_upload(Bucket=target.bucket, Key=key, UploadId=upload)
        except ServiceError as error:  # raise the first error; the next copy aborts the rest
            logger.warning("The parts of %s%s stay for now: %s", target.uri, key, error.detail)
        raise


def _complete(target: Place, key: str, upload: str, parts: list[dict[str, Any]]) -> None:
    with clear_errors(target):
        target.client.complete_multipart_upload(
            Bucket=target.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
        )


def _abort_uploads(target: Folder) -> None:
    """Discards the parts that a killed copy left below a place."""
    if isinstance(target, StoreFolder):
        abort_outside(target.store, target.prefix)
        return
    with clear_errors(target):
        pages = target.client.get_paginator("list_multipart_uploads").paginate(
            Bucket=target.bucket, Prefix=target.prefix
        )
        for page in pages:
            for upload in page.get("Uploads", ()):
                target.client.abort_multipart_upload(
                    Bucket=target.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )


def abort_outside(store: Bucket, folder: str) -> None:
    """Discards the parts that killed uploads left in a folder of an own store, which may not permit that."""
    try:
        store.abort_uploads(folder)
    except ServiceError as error:
        # The work there does not depend on it.
        logger.warning("parts of unfinished uploads may stay in %s%s: %s", store.uri, folder, error.detail)
