"""Watches deployments whose replicas read model files from a registry's NFS.

In a thread of its own: finding that an NFS server is lost takes seconds, in which memory limits must be enforced.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from registry_tui.schemas.deployments import DeploymentState
from registry_tui.schemas.registries import NfsStatus
from registry_tui.service.core import nfs
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import DeploymentRow, RegistryRow
from registry_tui.service.deployments import rules as deployments
from registry_tui.service.deployments import shared_files
from registry_tui.service.deployments.revisions import settings_now
from registry_tui.service.errors import InUse, ServiceError
from registry_tui.service.loops.minding import creator_of, report
from registry_tui.service.registries import lifecycle as registries

#: Seconds between two rounds, and for which a usable NFS is not tried again.
LOOK_EVERY, SOUND_FOR = 5.0, 30.0
#: Seconds between rollouts of one deployment because of its NFS, and until the next try of one that was not accepted.
LEAVE_EVERY, AGAIN_AFTER = 300.0, 30.0

#: The results of one round, by source and version of the protocol.
Found = dict[tuple[str | None, str | None], NfsStatus]


class NfsMinder:
    """The work of one thread, in `look`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._local = service.backends.replicas
        #: When a deployment may be rolled out next.
        self._next: dict[str, float] = {}
        #: Why a deployment could not be rolled out, as last reported.
        self._said: dict[str, str] = {}

    def look(self) -> None:
        """Checks every deployment that reads from an NFS. Raises ServiceError."""
        noted = shared_files.noted(self._service)
        found: Found = {}
        for row in self._deployed(noted) if noted else ():
            self._leave(row, found)

    def _deployed(self, versions: Collection[str]) -> Sequence[DeploymentRow]:
        query = select(DeploymentRow).where(
            DeploymentRow.state == DeploymentState.DEPLOYED.value, DeploymentRow.version_id.in_(versions)
        )
        with self._service.database.reading() as session:
            return session.scalars(query.options(selectinload(DeploymentRow.revisions))).all()

    def _leave(self, row: DeploymentRow, found: Found) -> None:
        """Rolls a deployment out again whose replicas cannot read its registry's NFS: the rollout places them again.

        A replica whose NFS does not respond does not give up: it ends, starts again and waits.
        """
        if time.monotonic() < self._next.get(row.id, 0.0):
            return
        # The state noted of a version does not apply to one replica: its rollout may have fetched the files.
        processes = self._local.look(self._local.names(row.id))
        waiting = [process for process in processes if process.shared and not process.ready]
        if not waiting:
            return
        registry = registries.load(self._service, row.registry_id)
        if registry is None or not registry.existing_nfs:
            return
        status = self._tried(registry, found)
        unread = next((process for process in waiting if process.unread), None)
        if status.mounted and unread is None:
            return
        # In a usable NFS, the rollout unpacks missing or damaged files again.
        why = nfs.why_not(status) if unread is None or not status.mounted else unread.reason
        accepted = self._roll_out(row, why)
        self._next[row.id] = time.monotonic() + (LEAVE_EVERY if accepted else AGAIN_AFTER)

    def _tried(self, registry: RegistryRow, found: Found) -> NfsStatus:
        """The state of its NFS. One round tries each server once, and a usable one not again soon."""
        key = registry.existing_nfs, registry.nfs_protocol_version
        if key in found:
            return found[key]
        known = nfs.look(self._service, registry)
        assert known is not None, "asked for registries with an NFS only"
        status = nfs.try_again(self._service, registry, SOUND_FOR if known.mounted else 0.0) or known
        if not status.mount_command:  # a command names the folder of one registry, and cost no try
            found[key] = status
        return status

    def _roll_out(self, row: DeploymentRow, why: str) -> bool:
        """Whether a rollout was begun."""
        service = self._service
        try:
            creator = creator_of(service, row)
            settings = settings_now(service, creator, row)
            deployments.roll_out(service, creator, row, settings, "its model files are put in place again", fresh=True)
        except InUse:  # another change is under way
            return False
        except ServiceError as error:
            message = f"its model files cannot be put in place again ({why}): {error.detail}"
            if self._said.get(row.id) != message:
                self._said[row.id] = message
                report(service, row, "deployment.leave-nfs", message)
            return False
        self._said.pop(row.id, None)
        report(service, row, "deployment.leave-nfs", f"replicas could not read their model files: {why}")
        return True
