"""Archives: a model's files in the registry's prefix, described by a manifest; reads, verifies and deletes them.

Pure functions over boto3 S3 clients of the embedded store, and over environments' own stores (`base.py: Bucket`); they
know nothing of MLflow or of workflows. `copying.py` stores the files.

How an archive is verified: every copy names the source's ETag, so that a file that changed since it was listed is
refused; every stored file is then read back whole, its length compared with the source's, and its SHA-256 put into the
manifest. A copy between two stores passes through here, is hashed on the way, and the stored file must have the same
hash. In a copy within one store the bytes never leave the store, so the source's hash is not known: reading it as well
would take as long as the copy. There the store's own checksums of its reads must suffice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from registry_tui.contracts.counts import counted
from registry_tui.contracts.signatures import BUNDLE, OTHERS
from registry_tui.schemas.models import ArchiveCheck, Manifest, ManifestEntry
from registry_tui.service.errors import InvalidInput, Missing, WrongState
from registry_tui.service.stores.base import batches
from registry_tui.service.stores.bucket_files import (
    MAX_FILES,
    MIB,
    RANGE_BYTES,
    READERS,
    Advance,
    Check,
    Folder,
    StoredFile,
    StoreFolder,
    clear_errors,
    files_there,
    in_parallel,
    list_files,
    read_bounded,
    read_pieces,
    read_whole,
    write_whole,
)
from registry_tui.service.stores.uploads import abort_uploads

MANIFEST = "manifest.json"
FILES = "files"

#: Bytes of the largest manifest; it is read whole.
MAX_MANIFEST_BYTES = 64 * MIB

#: S3's limit on the keys of one DeleteObjects.
DELETE_BATCH = 1000


def beside(archive: Folder) -> list[StoredFile]:
    """The files next to an archive's manifest, without the signatures. Raises ServiceError."""
    other = (f"{FILES}/", f"{OTHERS}/")
    return [
        file for file in list_files(archive) if not (file.path in (MANIFEST, BUNDLE) or file.path.startswith(other))
    ]


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
    abort_uploads(archive)
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
