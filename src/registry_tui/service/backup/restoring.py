"""`registry-tui restore`: a backup into an empty home, of this or another machine.

Until everything is there and was read back, a file of the home marks it as being restored, and nothing starts there. An
interrupted restoration begins again.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import shutil
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from sqlalchemy import select

from registry_tui.platform import lifecycle, lone_store, processes
from registry_tui.platform.errors import Busy, HomeUnusable, PlatformError
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import choose_ports
from registry_tui.schemas.canaries import OPEN, CanaryState
from registry_tui.schemas.deployments import DeploymentState, RevisionState
from registry_tui.schemas.operations import WorkflowKind, WorkflowStatus
from registry_tui.service import running
from registry_tui.service.backup import manifest as manifests
from registry_tui.service.backup.manifest import Kept, Manifest, Sealed
from registry_tui.service.backup.place import BackupPlace, digest_of, key_of
from registry_tui.service.backup.sealing import DamagedBackup, Sealer
from registry_tui.service.backup.snapshots import files_of
from registry_tui.service.backup.taking import Progress, at_once, object_pieces
from registry_tui.service.core.context import Service
from registry_tui.service.core.machine_keys import machine_key
from registry_tui.service.database.database import LATEST_REVISION, Database
from registry_tui.service.database.tables import CanaryRow, DeploymentRow, EnvironmentRow, RegistryRow, WorkflowRow, now
from registry_tui.service.engine.rows import ACTIVE
from registry_tui.service.idbroker import synchronizing
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.s3_bucket import S3Bucket

logger = logging.getLogger(__name__)

#: States of deployments that have replicas, or are about to.
_SERVING = (
    DeploymentState.PENDING.value,
    DeploymentState.DEPLOYING.value,
    DeploymentState.DEPLOYED.value,
    DeploymentState.STOPPING.value,
)
_CUT_OFF = "the platform was restored from a backup that was made meanwhile"
_START_AGAIN = "Start the deployment again: `registry-tui deployments restart`"


class CannotRestore(PlatformError):
    """A backup cannot be restored here."""


def restore(
    home: Home, source: Bucket, passphrase: str, id_: str | None = None
) -> Generator[Progress, None, tuple[Manifest, list[str]]]:
    """Restores a backup, the newest unless an ID is given; returns it, and the deployments that were stopped with it.

    Raises CannotRestore, NoSuchBackup, WrongPassphrase, DamagedBackup, PartFailed, HomeUnusable, ServiceError, OSError.
    """
    require_empty(home)
    place = BackupPlace(source)
    id_ = id_ or place.newest()
    yield Progress("reading the manifest")
    manifest, sealer = manifests.proven(place.packed(id_), key_of(id_), passphrase)
    _require_known(manifest)
    with _being_restored(home, source.uri, id_), lifecycle.stopped(home, unfinished=True):
        for done, each in enumerate(manifest.sealed):
            yield Progress("decrypting databases and secrets", done, len(manifest.sealed))
            _write(home, place, sealer, each)
        database = Database(f"sqlite:///{home.service_database}")
        try:
            database.migrate()
            stopped = _stop_deployments(database)
        finally:
            database.close()
        with lone_store.running(home, choose_ports(home, fresh=True)):
            service = running.build(home)
            try:
                yield from _put_objects(service, place, manifest.objects)
                yield Progress("giving machine users their access")
                _let_machine_users_in(service)
            finally:
                service.database.close()
    return manifest, stopped


def verify(place: BackupPlace, id_: str, passphrase: str | None) -> Generator[Progress, None, Manifest]:
    """Reads all parts of a backup; with its passphrase, also decrypts them and checks the signature.

    Raises NoSuchBackup, DamagedBackup, WrongPassphrase, ServiceError.
    """
    packed, sealer = place.packed(id_), None
    if passphrase is None:
        manifest = manifests.read(packed, key_of(id_))
    else:
        manifest, sealer = manifests.proven(packed, key_of(id_), passphrase)
    for done, each in enumerate(manifest.sealed):
        yield Progress("reading databases and secrets", done, len(manifest.sealed))
        content = place.read(each.sha256, each.size)
        for _ in _unpacked(each.name, sealer.unseal(each.name, content)) if sealer else content:
            pass
    contents = {each.sha256: each.size for each in manifest.objects}
    done_bytes = 0
    for done, size in enumerate(at_once(lambda one: digest_of(place.read(*one))[1], contents.items()), 1):
        done_bytes += size
        yield Progress("reading artifacts and archives", done, len(contents), done_bytes)
    return manifest


# -- the home --------------------------------------------------------------------------------------------


def require_empty(home: Home) -> None:
    """Raises CannotRestore for a home that is not empty, unless an earlier restoration left it so."""
    if home.restoring_file.exists() or not home.root.exists():
        return
    if not home.root.is_dir() or any(home.root.iterdir()):
        raise _not_empty(home)


def _require_restorable(home: Home, descriptor: int) -> None:
    """Checks again, under the lock: others may have restored into the home meanwhile, and started it.

    Raises Busy, CannotRestore.
    """
    mine = os.fstat(descriptor)
    try:
        found = home.restoring_file.stat()
    except FileNotFoundError:
        found = None
    if found is None or not os.path.samestat(found, mine):
        raise Busy(f"Another command has just restored into {home.root}", action="Look with `registry-tui status`")
    # The note of an earlier restoration lets this one remove its remains.
    if mine.st_size == 0 and any(path != home.restoring_file for path in home.root.iterdir()):
        home.restoring_file.unlink()
        raise _not_empty(home)


def _not_empty(home: Home) -> CannotRestore:
    return CannotRestore(
        f"{home.root} is not empty",
        action="Name a folder that is empty or does not exist: `registry-tui --data-dir FOLDER restore …`",
    )


def _require_known(manifest: Manifest) -> None:
    if manifest.revision > LATEST_REVISION:
        raise CannotRestore(
            f"The backup was made by a newer version ({manifest.version}, database {manifest.revision})",
            action="Install that version, or a newer one",
        )
    if missing := set(manifests.DATABASES) - {each.name for each in manifest.sealed}:
        raise DamagedBackup(f"The backup {manifest.id} lacks {', '.join(sorted(missing))}", action="Use another backup")


@contextmanager
def _being_restored(home: Home, source: str, id_: str) -> Iterator[None]:
    """Keeps a home from being started until the block is done; removes the remains of an earlier restoration first."""
    home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(home.restoring_file, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                raise
            raise Busy(f"Another command restores into {home.root}", action="Wait for its end") from error
        _require_restorable(home, descriptor)
        processes.end(processes.ours(home), home)
        for path in home.root.iterdir():
            if path != home.restoring_file:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        file.truncate()
        json.dump({"source": source, "backup": id_}, file)
        file.flush()
        os.fsync(descriptor)
        yield
        home.restoring_file.unlink()


def _target(home: Home, name: str) -> Path:
    """The path of a file of a backup; a manifest has no other names than these."""
    databases = files_of(home)
    return databases[name] if name in databases else home.root / name


def _write(home: Home, place: BackupPlace, sealer: Sealer, each: Sealed) -> None:
    path = _target(home, each.name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for piece in _unpacked(each.name, sealer.unseal(each.name, place.read(each.sha256, each.size))):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HomeUnusable(
                f"The disk of {home.root} is full", action="Free some space, and restore again"
            ) from error
        raise


def _unpacked(name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    unpacking = zlib.decompressobj(wbits=31)
    for piece in pieces:
        yield unpacking.decompress(piece)
    yield unpacking.flush()
    if not unpacking.eof:
        raise DamagedBackup(f"{name} in the backup is cut off", action="Use another backup")


def _stop_deployments(database: Database) -> list[str]:
    """Stops deployments, whose replicas and environments are in no backup; returns the names of those that served.

    Rollouts under way end, too: resumed after their finished steps, they would count as deployed.
    """
    with database.session() as session:
        rows = session.scalars(select(DeploymentRow).where(DeploymentRow.state.in_(_SERVING))).all()
        rollouts = session.scalars(
            select(WorkflowRow).where(WorkflowRow.status.in_(ACTIVE), WorkflowRow.kind == WorkflowKind.DEPLOY.value)
        ).all()
        for work in rollouts:
            work.status, work.error, work.action = WorkflowStatus.FAILED.value, _CUT_OFF, _START_AGAIN
            work.lock = work.step = None
            work.finished_at = work.updated_at = now()
        for canary in session.scalars(select(CanaryRow).where(CanaryRow.state.in_(OPEN))):
            canary.state, canary.reason, canary.ended_at = CanaryState.ROLLED_BACK.value, _CUT_OFF, now()
        ended = {work.id for work in rollouts}
        for row in rows:
            row.state = DeploymentState.STOPPED.value
            if row.workflow_id in ended:
                row.workflow_id = None
            for revision in row.revisions:
                if revision.workflow_id in ended and revision.state == RevisionState.PENDING.value:
                    revision.state, revision.error = RevisionState.FAILED.value, _CUT_OFF
        return sorted(row.name for row in rows)


# -- the object store ------------------------------------------------------------------------------------


def _put_objects(service: Service, place: BackupPlace, objects: list[Kept]) -> Generator[Progress, None, None]:
    """Stores every object, and reads it back. Raises DamagedBackup."""
    with service.database.reading() as session:
        buckets = set(session.scalars(select(EnvironmentRow.bucket)))
    for name in sorted(buckets):
        service.stores.objects.create_bucket(name)

    def put(each: Kept) -> int:
        bucket = S3Bucket(service.stores.objects.s3(), each.bucket)
        body = place.read(each.sha256, each.size)
        bucket.put(each.key, b"".join(body) if each.size <= _WHOLE else body, size=each.size)
        if digest_of(object_pieces(bucket, each.key, each.size)) != (each.sha256, each.size):
            raise CannotRestore(
                f"The object store gives s3://{each.bucket}/{each.key} back changed",
                action="Look at the disk and at `registry-tui logs object-store`, then restore again",
            )
        return each.size

    if strange := {each.bucket for each in objects} - buckets:
        raise DamagedBackup(f"The backup has objects of unknown buckets ({', '.join(sorted(strange))})", action=None)
    done_bytes = 0
    for done, size in enumerate(at_once(put, objects), 1):
        done_bytes += size
        yield Progress("storing artifacts and archives", done, len(objects), done_bytes)
    counted = {name: sum(1 for _ in S3Bucket(service.stores.objects.s3(), name).list()) for name in buckets}
    wanted = _counts(objects)
    if wrong := [name for name in buckets if counted[name] != wanted.get(name, 0)]:
        raise CannotRestore(f"The object store lists other objects than were stored in {', '.join(wrong)}")


#: Bytes up to which an object is sent in one piece.
_WHOLE = 8 << 20


def _counts(objects: list[Kept]) -> Mapping[str, int]:
    return {name: len(list(those)) for name, those in groupby(sorted(each.bucket for each in objects))}


def _let_machine_users_in(service: Service) -> None:
    """Makes the machine users on the new object store, with new keys, and gives them their former rights."""
    users = service.stores.users
    with service.database.reading() as session:
        rows = [row for row in session.scalars(select(RegistryRow)) if machine_key(row) is not None]
        environments = list(session.scalars(select(EnvironmentRow.id).where(EnvironmentRow.raz_enabled.is_(False))))
    for row in rows:
        name = str(row.machine_user_workload_name)
        users.create_user(name)
        key = users.create_access_key(name)
        with service.database.session() as session:
            found = session.get_one(RegistryRow, row.id)
            found.machine_user_access_key_id = key.access_key_id
            found.machine_user_secret_access_key = key.secret_access_key
    # Those with RAZ get their policies when the service starts.
    for environment in environments:
        synchronizing.enforce_again(service, environment)
