"""Copies and stores a model's files: within one store, between stores, or from streams of bytes.

Every copy names the source's ETag, so that a file that changed since it was listed is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from registry_tui.contracts.counts import counted
from registry_tui.service.errors import WrongState
from registry_tui.service.stores.bucket_files import (
    RANGE_BYTES,
    Advance,
    Check,
    Folder,
    Place,
    StoredFile,
    StoreFolder,
    clear_errors,
    in_parallel,
    list_files,
    read_pieces,
    read_whole,
    slices,
    write_whole,
)
from registry_tui.service.stores.uploads import PART_BYTES, abort_uploads, complete_upload, new_upload, part_size

#: Copies under way at the same time.
COPIERS = 4


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
    abort_uploads(target)
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
    abort_uploads(target)
    if isinstance(target, StoreFolder):
        return {file.path: _store_outside(file, read(file), target, advance, check) for file in files}
    sums = {}
    for file in files:
        sha, size = hashlib.sha256(), 0
        pieces = _in_parts(read(file), max(RANGE_BYTES, part_size(file.size)))
        if file.size <= PART_BYTES:
            body = b"".join(pieces)
            sha.update(body)
            size = len(body)
            with clear_errors(target):
                target.client.put_object(Bucket=target.bucket, Key=target.key(file.path), Body=body)
            advance(size, 0)
        else:
            key, parts = target.key(file.path), []
            with new_upload(target, key) as upload:
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
                complete_upload(target, key, upload, parts)
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
    abort_uploads(target)
    return _pass_through(files, source, target, advance, check)


def _copy_large(file: StoredFile, source: Place, target: Place, advance: Advance, check: Check) -> None:
    client, key = target.client, target.key(file.path)
    with new_upload(target, key) as upload:

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
            copy_part, enumerate(slices(file.size, part_size(file.size)), 1), COPIERS, COPIERS
        ):
            parts.append(part)
            advance(size, 0)
            check()
        complete_upload(target, key, upload, parts)
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
    step = max(RANGE_BYTES, part_size(file.size))
    with new_upload(target, key) as upload:
        parts = []
        for number, piece in enumerate(passing(step), 1):
            with clear_errors(target):
                answer = client.upload_part(
                    Bucket=target.bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece
                )
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        complete_upload(target, key, upload, parts)
    advance(0, 1)
    return sha.hexdigest()
