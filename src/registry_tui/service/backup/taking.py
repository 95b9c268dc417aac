"""`registry-tui backup`: a whole platform, running or stopped, into a store.

First the databases as they were at one moment, then the content that they name: objects deleted meanwhile are left out,
objects added meanwhile are unneeded extras. Nothing in the store is a backup before its manifest is written.
"""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import TypeVar

import registry_tui
from registry_tui.contracts import file_paths
from registry_tui.platform import lifecycle, lone_store
from registry_tui.platform.database_urls import databases_of, is_postgresql
from registry_tui.platform.errors import StillRunning
from registry_tui.platform.locks import Locked, only_one
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import load_ports
from registry_tui.platform.secrets import FollowedSecrets
from registry_tui.schemas.stores import uri_of
from registry_tui.service.backup import manifest as manifests
from registry_tui.service.backup import postgresql_snapshots, snapshots
from registry_tui.service.backup.manifest import Kept, Manifest, Sealed
from registry_tui.service.backup.place import CHUNK, BackupPlace, digest_of, key_of, same
from registry_tui.service.backup.sealing import DamagedBackup, Derivation, Sealer, WrongPassphrase
from registry_tui.service.backup.snapshots import CannotBackUp
from registry_tui.service.core.own_stores import store_of
from registry_tui.service.errors import Missing, WrongState
from registry_tui.service.stores.base import Bucket, StoredObject
from registry_tui.service.stores.s3_bucket import S3Bucket
from registry_tui.service.stores.seaweedfs import ObjectStore

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: Objects that are copied at the same time, and bytes up to which one is read only once.
AT_ONCE, _IN_MEMORY = 8, 8 << 20
#: Times that secrets and databases are read until both are of one moment.
_TRIES = 10


@dataclass(frozen=True)
class Progress:
    """The progress of a step, for people: done of all, and the copied bytes."""

    what: str
    done: int = 0
    total: int | None = None
    bytes: int = 0


@dataclass
class Copied:
    """Counts of one backup."""

    objects: int = 0
    new: int = 0
    new_bytes: int = 0
    #: Objects that were deleted meanwhile.
    gone: int = 0
    #: Objects whose names nothing could restore.
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Taken:
    """A finished backup."""

    manifest: Manifest
    copied: Copied


def take(home: Home, target: Bucket, passphrase: str) -> Generator[Progress, None, Taken]:
    """Makes a backup; interrupted at any moment it leaves none, and the next one copies only the missing content.

    Raises CannotBackUp, DamagedBackup, PlaceBusy, Busy, PartFailed, HomeUnusable, ServiceError, OSError.
    """
    require_home(home)
    busy = "Another backup of this platform is being made"
    home.create_run()
    try:
        with only_one(home.backup_lock, 0.0, busy):
            made_at, place = datetime.now(UTC), BackupPlace(target)
            id_ = f"{made_at:%Y%m%dT%H%M%SZ}-{token_hex(4)}"
            with place.being_made(id_, f"{socket.gethostname()}:{home.root}"):
                return (yield from _take(home, place, passphrase, id_, made_at))
    except Locked as error:
        raise CannotBackUp(busy, action="Wait for its end") from error


def require_home(home: Home) -> None:
    """Raises CannotBackUp for a home without rows of its own."""
    if not home.service_database.exists() and not home.databases_file.exists():
        raise CannotBackUp(f"There is no platform in {home.root}", action="Name its home with `--data-dir`")


def _take(
    home: Home, place: BackupPlace, passphrase: str, id_: str, made_at: datetime
) -> Generator[Progress, None, Taken]:
    derivation = Derivation.fresh()
    sealer = Sealer(passphrase, derivation)
    yield Progress("looking at earlier backups")
    content = place.content()
    with _work_folder(home) as folder, _object_store(home) as store:
        yield Progress("copying the databases")
        files = _snapshot(home, folder)
        facts = _facts(folder / "service.db")
        known = _known(place, facts.platform, passphrase)
        sealed = []
        for done, (name, path) in enumerate(files.items()):
            yield Progress("encrypting databases and secrets", done, len(files))
            sealed.append(_sealed(place, sealer, name, path, content))
        copied, kept = Copied(), list[Kept]()
        yield from _copy_objects(place, store, facts.buckets, known, content, copied, kept)
    manifest = Manifest(
        format=manifests.FORMAT,
        id=id_,
        made_at=made_at,
        platform=facts.platform,
        home=str(home.root),
        host=socket.gethostname(),
        version=registry_tui.__version__,
        revision=facts.revision,
        derivation=derivation,
        check=sealer.check(),
        sealed=sealed,
        objects=sorted(kept, key=lambda each: (each.bucket, each.key)),
        elsewhere=facts.elsewhere,
    )
    yield Progress("writing the manifest")
    place.finish(id_, manifests.written(manifest, sealer))
    return Taken(manifest, copied)


# -- databases and files ---------------------------------------------------------------------------------


@contextmanager
def _work_folder(home: Home) -> Iterator[Path]:
    """A folder of the home for copies; removes the remains of an earlier backup that was killed."""
    folder = home.backup_work
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _object_store(home: Home) -> Iterator[ObjectStore]:
    """The home's object store: of the running platform, else started for the time of the backup."""
    try:
        with lifecycle.stopped(home), lone_store.running(home) as (ports, secrets):
            yield ObjectStore(ports, secrets)
            return
    except StillRunning:
        pass
    known = load_ports(home)
    assert known is not None, "a platform runs without ports"
    # A rotation of secrets soon ends those of now.
    yield ObjectStore(known, FollowedSecrets(home))


def _snapshot(home: Home, folder: Path) -> dict[str, Path]:
    """Copies of databases and files, all of one moment. Raises CannotBackUp, OSError."""
    for _ in range(_TRIES):
        before = _files(home)
        with _one_moment(home) as copies:
            if _files(home) != before:  # secrets are being rotated
                continue
            for name, copy in copies.items():
                copy(folder / name)
        found = {name: folder / name for name in copies}
        for name, content in before.items():
            found[name] = folder / name
            found[name].parent.mkdir(mode=0o700, exist_ok=True)
            found[name].write_bytes(content)
        return found
    raise CannotBackUp("The platform's secrets change all the time", action="Try again later")


@contextmanager
def _one_moment(home: Home) -> Iterator[dict[str, Callable[[Path], None]]]:
    """Functions that write each database, all as at one moment, as SQLite. Raises CannotBackUp, OSError, Damaged."""
    databases = databases_of(home)
    if not is_postgresql(databases.service):
        with snapshots.one_moment(home) as readers:
            yield {name: partial(snapshots.copy, reader) for name, reader in readers.items()}
        return
    with postgresql_snapshots.one_moment(databases) as connections:
        yield {
            postgresql_snapshots.NAMES[part]: partial(postgresql_snapshots.copy, part, connection)
            for part, connection in connections.items()
        }


def _files(home: Home) -> dict[str, bytes]:
    """The small files of a home that a backup holds."""
    found: dict[str, bytes] = {}
    tls = (f"tls/{path.name}" for path in sorted(home.tls.glob("*")) if path.is_file())
    for name in (*manifests.FILES, *tls):
        with suppress(FileNotFoundError):
            found[name] = (home.root / name).read_bytes()
    return found


@dataclass(frozen=True)
class _Facts:
    """Facts of the service's rows; of any version, so that a home may be backed up before it is upgraded."""

    platform: str
    revision: str
    buckets: list[str]
    #: The stores that environments brought along.
    elsewhere: dict[str, str]


def _facts(database: Path) -> _Facts:
    with closing(sqlite3.connect(database)) as rows:
        tables = {name for (name,) in rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        facts = dict(rows.execute("SELECT key, value FROM installation"))
        (revision,) = rows.execute("SELECT version_num FROM alembic_version").fetchone()
        environments = list(rows.execute("SELECT id, name, bucket FROM environments"))
        stores = (
            dict(rows.execute("SELECT environment_id, store FROM environment_stores"))
            if "environment_stores" in tables
            else {}
        )
    return _Facts(
        platform=facts.get("account_id", ""),
        revision=revision,
        buckets=sorted({bucket for _, _, bucket in environments}),
        elsewhere={name: uri_of(store_of(json.loads(stores[id_]))) for id_, name, _ in environments if id_ in stores},
    )


def _sealed(place: BackupPlace, sealer: Sealer, name: str, path: Path, content: dict[str, int]) -> Sealed:
    target = path.with_name(f"{path.name}.sealed")
    with target.open("wb") as file:
        for piece in sealer.seal(name, _packed(path)):
            file.write(piece)
    sha256, size = digest_of(_pieces(target))
    place.keep(sha256, _pieces(target), size)
    content[sha256] = size
    target.unlink()
    path.unlink()
    return Sealed(name=name, sha256=sha256, size=size)


def _packed(path: Path) -> Iterator[bytes]:
    packing = zlib.compressobj(1, wbits=31)
    for piece in _pieces(path):
        yield packing.compress(piece)
    yield packing.flush()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


# -- objects ---------------------------------------------------------------------------------------------


def _known(place: BackupPlace, platform: str, passphrase: str) -> dict[tuple[str, str], Kept]:
    """The objects of the newest backup of this platform that was signed with the passphrase.

    Manifests of others are not trusted: this backup would sign their false claims about objects.
    """
    for id_ in place.ids():
        with suppress(DamagedBackup, WrongPassphrase):
            packed = place.packed(id_)
            # Deriving keys takes long: not worth it for another platform's manifests.
            if manifests.read(packed, key_of(id_)).platform == platform:
                found, _ = manifests.proven(packed, key_of(id_), passphrase)
                return {(each.bucket, each.key): each for each in found.objects}
    return {}


def _copy_objects(
    place: BackupPlace,
    store: ObjectStore,
    buckets: Iterable[str],
    known: dict[tuple[str, str], Kept],
    content: dict[str, int],
    copied: Copied,
    kept: list[Kept],
) -> Generator[Progress, None, None]:
    """Keeps every object whose content is not kept yet, and notes all of them."""
    guard = Lock()

    def keep(found: tuple[S3Bucket, StoredObject]) -> Kept | None:
        bucket, each = found
        before = known.get((bucket.bucket, each.key))
        if before is not None and same(before, each) and content.get(before.sha256) == each.size:
            return before
        try:
            sha256, size = _keep_object(place, bucket, each, content, guard, copied)
        except Missing:
            return None
        return Kept(
            bucket=bucket.bucket, key=each.key, size=size, sha256=sha256, etag=each.etag, modified=each.modified
        )

    total = 0
    for done, result in enumerate(at_once(keep, _listed(store, buckets, copied)), 1):
        total = done
        if result is None:
            copied.gone += 1
        else:
            kept.append(result)
        copied.objects = len(kept)
        yield Progress("copying artifacts and archives", done, None, copied.new_bytes)
    yield Progress("copying artifacts and archives", total, total, copied.new_bytes)


def _listed(store: ObjectStore, buckets: Iterable[str], copied: Copied) -> Iterator[tuple[S3Bucket, StoredObject]]:
    for name in buckets:
        bucket = S3Bucket(store.s3(), name)
        with suppress(Missing):  # its environment is being made, or was deleted meanwhile
            for each in bucket.list():
                if file_paths.problem(each.key, decode=False):
                    copied.left_out.append(f"{name}/{each.key}")
                else:
                    yield bucket, each


def _keep_object(
    place: BackupPlace, bucket: S3Bucket, found: StoredObject, content: dict[str, int], guard: Lock, copied: Copied
) -> tuple[str, int]:
    """Keeps an object; returns its digest and size. Read twice where it is large and new. Raises Missing."""
    for left in reversed(range(3)):
        whole = bucket.read(found.key) if found.size <= _IN_MEMORY else None
        sha256, size = digest_of(object_pieces(bucket, found.key, found.size) if whole is None else [whole])
        with guard:
            if content.get(sha256) == size:
                return sha256, size
        try:
            place.keep(sha256, object_pieces(bucket, found.key, size) if whole is None else whole, size)
        except (DamagedBackup, WrongState):
            if left == 0:
                raise
            continue  # somebody wrote it meanwhile
        with guard:
            # The same content may have come twice at the same time, which changes nothing.
            if sha256 not in content:
                copied.new += 1
                copied.new_bytes += size
            content[sha256] = size
        return sha256, size
    raise AssertionError("the last try returns or raises")


def object_pieces(bucket: Bucket, key: str, size: int) -> Iterator[bytes]:
    """An object's content. Raises Missing."""
    done = 0
    while done < size and (piece := bucket.read(key, done, min(CHUNK, size - done))):
        done += len(piece)
        yield piece


def at_once(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Results of work by several threads, in any order; few items are queued at a time. Raises the work's errors."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        source, running = iter(items), set[Future[_Result]]()
        try:
            while True:
                running |= {threads.submit(work, item) for item in islice(source, 2 * AT_ONCE - len(running))}
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for each in done:
                    yield each.result()
        finally:
            for each in running:
                each.cancel()
