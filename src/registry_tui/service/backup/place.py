"""A place of backups in a store: content by its digest, and the manifests of the backups."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from registry_tui.contracts.counts import counted
from registry_tui.platform.errors import PlatformError
from registry_tui.service.backup import manifest as manifests
from registry_tui.service.backup.manifest import Manifest
from registry_tui.service.backup.sealing import DamagedBackup
from registry_tui.service.errors import AlreadyThere, Missing, ServiceError
from registry_tui.service.stores.base import Bucket, StoredObject

#: Bytes that are read and sent at once.
CHUNK = 4 << 20
_CONTENT, _BACKUPS = "content/", "backups/"
#: Marks: of each backup that is being made, and of a pruning. Neither begins while the other is running.
_MADE, _PRUNED = "being-made/", "being-pruned.json"
_MANIFEST = re.compile(rf"{_BACKUPS}([0-9]{{8}}T[0-9]{{6}}Z-[0-9a-f]{{8}})\.json\.gz")


class NoSuchBackup(PlatformError):
    """The place has no such backup."""


class PlaceBusy(PlatformError):
    """Backups of a place are pruned while one is made there, or the other way round."""


@dataclass(frozen=True)
class BackupPlace:
    """Backups in one store, perhaps of several platforms. Threads may share it. Methods raise as those of `Bucket`."""

    bucket: Bucket

    def content(self) -> dict[str, int]:
        """The digests of everything that is kept, with its size in bytes."""
        return {each.key.rpartition("/")[2]: each.size for each in self.bucket.list(_CONTENT)}

    def keep(self, sha256: str, body: bytes | Iterable[bytes], size: int) -> None:
        """Stores content, completely or not at all. Raises DamagedBackup when pieces have another digest."""
        self.bucket.put(_key(sha256), body if isinstance(body, bytes) else _checked(body, sha256, size), size=size)

    def read(self, sha256: str, size: int) -> Iterator[bytes]:
        """Content in pieces; the last one is yielded once the digest is verified. Raises DamagedBackup."""
        try:
            yield from _checked(self._pieces(_key(sha256), size), sha256, size)
        except Missing as error:
            raise DamagedBackup(f"{self.bucket.uri}{_key(sha256)} is missing", action="Use another backup") from error

    def ids(self) -> list[str]:
        """The IDs of all backups, the newest first."""
        found = (_MANIFEST.fullmatch(each.key) for each in self.bucket.list(_BACKUPS))
        return sorted((each[1] for each in found if each), reverse=True)

    def packed(self, id_: str) -> bytes:
        """A manifest in its stored form. Raises NoSuchBackup."""
        try:
            found = self.bucket.head(key_of(id_))
            return b"".join(self._pieces(found.key, found.size))
        except Missing as error:
            raise NoSuchBackup(
                f"There is no backup {id_} in {self.bucket.uri}", action="See `registry-tui backups list`"
            ) from error

    def manifest(self, id_: str) -> Manifest:
        """A manifest, for lists, without a check of its signature. Raises NoSuchBackup, DamagedBackup."""
        return manifests.read(self.packed(id_), key_of(id_))

    def finish(self, id_: str, packed: bytes) -> None:
        """Completes a backup: from now on it is listed. Raises AlreadyThere."""
        self.bucket.put_new(key_of(id_), packed)

    def newest(self) -> str:
        """The ID of the newest backup. Raises NoSuchBackup."""
        if not (found := self.ids()):
            raise NoSuchBackup(
                f"There is no backup in {self.bucket.uri}", action="Make one: `registry-tui backup TARGET`"
            )
        return found[0]

    def forget(self, ids: Iterable[str]) -> None:
        """Deletes backups' manifests; their content stays."""
        self.bucket.delete([key_of(each) for each in ids])

    def discard(self, digests: Iterable[str]) -> None:
        """Deletes content."""
        self.bucket.delete([_key(each) for each in digests])

    @contextmanager
    def being_made(self, id_: str, whose: str) -> Iterator[None]:
        """Marks a backup as being made of `whose` platform; its earlier marks belong to interrupted backups.

        Raises PlaceBusy while the place is pruned.
        """
        for mark in self._marks():
            if self.bucket.read(mark).decode("utf-8", "replace") == whose:
                self.bucket.delete([mark])
        mark = f"{_MADE}{id_}.json"
        self.bucket.put(mark, whose.encode())
        try:
            if self._is_there(_PRUNED):
                raise PlaceBusy(
                    f"The backups in {self.bucket.uri} are being pruned",
                    action="Wait for the end of that; if it was cut off, run `registry-tui backups prune` again with "
                    "`--cut-off`",
                )
            yield
        finally:
            # If the store is unavailable, the mark stays, until the next backup of this platform.
            with suppress(ServiceError):
                self.bucket.delete([mark])

    @contextmanager
    def being_pruned(self, *, cut_off: bool = False) -> Iterator[None]:
        """Marks the place as being pruned. Raises PlaceBusy while anything else is running there, unless `cut_off`."""
        again = "Wait for its end; if it was cut off, repeat this with `--cut-off`"
        if cut_off:
            self.bucket.delete([_PRUNED, *self._marks()])
        try:
            self.bucket.put_new(_PRUNED, b"{}")
        except AlreadyThere as error:
            raise PlaceBusy(f"The backups in {self.bucket.uri} are being pruned already", action=again) from error
        try:
            for mark in self._marks():
                whose = self.bucket.read(mark).decode("utf-8", "replace")
                raise PlaceBusy(f"A backup of {whose} is being made in {self.bucket.uri}", action=again)
            yield
        finally:
            with suppress(ServiceError):
                self.bucket.delete([_PRUNED])

    def _marks(self) -> list[str]:
        return [each.key for each in self.bucket.list(_MADE)]

    def _is_there(self, key: str) -> bool:
        with suppress(Missing):
            self.bucket.head(key)
            return True
        return False

    def _pieces(self, key: str, size: int) -> Iterator[bytes]:
        done = 0
        while done < size and (piece := self.bucket.read(key, done, min(CHUNK, size - done))):
            done += len(piece)
            yield piece


def key_of(id_: str) -> str:
    """The key of a backup's manifest. Raises NoSuchBackup for an ID that no backup has."""
    key = f"{_BACKUPS}{id_}.json.gz"
    if _MANIFEST.fullmatch(key) is None:
        raise NoSuchBackup(f"{id_!r} is not the ID of a backup", action="See `registry-tui backups list`")
    return key


def _key(sha256: str) -> str:
    return f"{_CONTENT}{sha256[:2]}/{sha256}"


def _checked(pieces: Iterable[bytes], sha256: str, size: int) -> Iterator[bytes]:
    """Yields pieces, the last one only after the digest of all was verified."""
    digest, count, held = hashlib.sha256(), 0, b""
    for piece in pieces:
        digest.update(piece)
        count += len(piece)
        if held:
            yield held
        held = piece
    if count != size or digest.hexdigest() != sha256:
        raise DamagedBackup(
            f"The content {sha256} has changed (it has {counted(count, 'byte')} in place of {size})",
            action="Repeat it, or use another backup",
        )
    if held:
        yield held


def digest_of(pieces: Iterable[bytes]) -> tuple[str, int]:
    """The SHA-256 of pieces, and their bytes."""
    digest, count = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        count += len(piece)
    return digest.hexdigest(), count


def same(known: manifests.Kept, found: StoredObject) -> bool:
    """Whether an object is the one that a backup holds, by size, ETag and time."""
    return (known.size, known.etag, known.modified) == (found.size, found.etag, found.modified)
