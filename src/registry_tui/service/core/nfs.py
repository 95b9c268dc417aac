"""The existing NFS of a registry on this machine: whether it is mounted as configured, responds, and is writable.

The mounts are read from the kernel's own list on each request, without contacting the server. A separate process
(`adapters/nfs_folder.py`) tries whether the server responds: when somebody opens the details, and before files are
written.
"""

from __future__ import annotations

import logging
import shlex
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from registry_tui.platform.mounts import MOUNTINFO, Mounts, NfsFound, has_climbing_part
from registry_tui.schemas.registries import NfsState, NfsStatus
from registry_tui.service.adapters.nfs_folder import ANSWER_SECONDS, NfsFault, NfsFolder
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import now

logger = logging.getLogger(__name__)

#: The folder below which the mount command puts an NFS, unless it is mounted somewhere.
_MOUNT_BELOW = "/mnt"


class WithNfs(Protocol):
    """The columns of a registry's row that are used here."""

    id: str
    name: str
    existing_nfs: str | None
    nfs_protocol_version: str | None


@dataclass
class _Tried:
    """The last try of a folder of one mount, and one try at a time."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    at: datetime | None = None
    mount: int = -1
    folder: NfsFolder | None = None
    fault: NfsFault | None = None


class Shares:
    """The known state of this machine's mounts."""

    def __init__(self) -> None:
        #: The kernel's list of mounts.
        self.table = MOUNTINFO
        self._guard = threading.Lock()
        self._text: str | None = None
        self._mounts = Mounts([])
        self._tried: dict[str, _Tried] = {}

    def mounts(self) -> Mounts:
        """The mounts now; none where the list cannot be read."""
        try:
            text = self.table.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            logger.warning("the mounts of this machine cannot be read: %s", error)
            return Mounts([])
        with self._guard:
            if text != self._text:
                self._text, self._mounts = text, Mounts.parse(text)
            return self._mounts

    def tried(self, registry_id: str) -> _Tried:
        """The tries of a registry's NFS."""
        with self._guard:
            return self._tried.setdefault(registry_id, _Tried())


def look(service: Service, row: WithNfs) -> NfsStatus | None:
    """The state of a registry's NFS by the mounts and the last try, without contacting the server; None without NFS."""
    if not row.existing_nfs:
        return None
    shares = service.kept.of(Shares)
    found = _found(shares, row)
    if isinstance(found, NfsStatus):
        return found
    return _judged(row, found, shares.tried(row.id))


def try_again(service: Service, row: WithNfs, max_age: float) -> NfsStatus | None:
    """The same, after a new try if the last one is older than `max_age` seconds; returns within a few seconds.

    Threads that waited for another thread's try use its result.
    """
    if not row.existing_nfs:
        return None
    shares, asked = service.kept.of(Shares), now()
    tried = shares.tried(row.id)
    if tried.turn.acquire(timeout=2 * ANSWER_SECONDS):
        try:
            found = _found(shares, row)
            if isinstance(found, NfsStatus):
                return found
            old = tried.at is None or (tried.at < asked and asked - tried.at > timedelta(seconds=max_age))
            if old or tried.mount != found.mount.id:
                _try(tried, found)
        finally:
            tried.turn.release()
    return look(service, row)


def usable_folder(service: Service, row: WithNfs) -> NfsFolder | NfsStatus:
    """The folder of a registry's NFS for work there, tried just now; or why it cannot be used."""
    status = try_again(service, row, 1.0)
    assert status is not None, "asked for registries with an NFS only"
    folder = service.kept.of(Shares).tried(row.id).folder
    if not status.mounted or folder is None:
        return status
    return folder


def why_not(status: NfsStatus) -> str:
    """Why an NFS is not used, and how to fix it, in one sentence."""
    detail = status.detail or status.state.label
    return f"{detail}; mount it: `{status.mount_command}`" if status.mount_command else detail


# -- underneath -------------------------------------------------------------------------------------------


def _found(shares: Shares, row: WithNfs) -> NfsFound | NfsStatus:
    """The mount of a registry's NFS; or a status that describes the mount found instead."""
    source, version = row.existing_nfs or "", row.nfs_protocol_version or ""
    if has_climbing_part(source):
        return NfsStatus(state=NfsState.NOT_USABLE, detail=f"The path of {source} holds . or .. as a folder")
    mounts = shares.mounts()
    known = mounts.find_nfs(source)
    fitting = [each for each in known if each.mount.nfs_version == version]
    writable = [each for each in fitting if not each.mount.read_only]
    if writable:
        return writable[0]
    if fitting:
        point = fitting[0].mount.point
        return NfsStatus(
            state=NfsState.NOT_USABLE,
            detail=f"{source} is mounted read-only at {point}",
            folder=fitting[0].folder,
            mount_command=f"mount -o remount,rw {shlex.quote(point)}",
        )
    if known:
        mount = known[0].mount
        has = f"version {mount.nfs_version}" if mount.nfs_version else "an unknown version"
        detail = f"{source} is mounted at {mount.point} with {has} of the protocol, not with {version}"
        if known[0].folder == mount.point:
            command = f"umount {shlex.quote(mount.point)} && {_mount_command(mount.source, version, mount.point)}"
        else:
            # Others may use the rest of this mount.
            detail = f"{detail}; its folder can be mounted apart, with that version"
            command = _mount_command(source, version, f"{_MOUNT_BELOW}/{row.name}")
        return NfsStatus(state=NfsState.OTHER_VERSION, detail=detail, folder=known[0].folder, mount_command=command)
    detail = f"{source} is not mounted on this machine"
    if (below := mounts.hidden(source)) is not None:
        detail = f"{source} is mounted at {below}, below another mount that hides it"
    point = f"{_MOUNT_BELOW}/{row.name}"
    return NfsStatus(state=NfsState.NOT_MOUNTED, detail=detail, mount_command=_mount_command(source, version, point))


def _mount_command(source: str, version: str, point: str) -> str:
    return f"mkdir -p {shlex.quote(point)} && mount -t nfs -o vers={version} {shlex.quote(source)} {shlex.quote(point)}"


def _try(tried: _Tried, found: NfsFound) -> None:
    begun = now()
    folder = tried.folder
    if folder is None or (folder.path, folder.mount) != (found.folder, found.mount.point):
        folder = NfsFolder(found.folder, found.mount.point, hanging=[] if folder is None else folder.hanging)
    tried.folder, tried.fault = folder, None
    try:
        folder.try_it()
    except NfsFault as fault:
        tried.fault = fault
    tried.at, tried.mount = begun, found.mount.id


def _judged(row: WithNfs, found: NfsFound, tried: _Tried) -> NfsStatus:
    if tried.mount != found.mount.id or tried.folder is None or tried.folder.path != found.folder:
        return NfsStatus(state=NfsState.MOUNTED, folder=found.folder)
    fault = tried.fault
    if fault is None:
        return NfsStatus(state=NfsState.MOUNTED, folder=found.folder, tried_at=tried.at)
    state = NfsState.SILENT if fault.kind == "silent" else NfsState.NOT_USABLE
    if fault.kind == "silent":
        detail = f"The server of {row.existing_nfs}, mounted at {found.folder}, does not answer"
    else:
        detail = f"Files cannot be written to {row.existing_nfs}, mounted at {found.folder}: {fault}"
    return NfsStatus(state=state, detail=detail, folder=found.folder, tried_at=tried.at)


def registry_folder(registry_id: str) -> str:
    """The folder of a registry's unpacked model files in its NFS."""
    return f"registry-tui-{registry_id}"


def pending_removals(service: Service) -> Path:
    """The folder of files that name the NFS folders still to be removed."""
    return service.home.serving / "nfs-removals"
