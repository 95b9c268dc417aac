"""Looks after deployments that run in clusters: their logs, their memory, and the addresses of their files.

In a thread of its own: an unresponsive cluster must not delay the checks of replicas on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from registry_tui.contracts.gateway_routes import Replica
from registry_tui.schemas.deployments import DeploymentState
from registry_tui.service.backends.base import ReplicaName
from registry_tui.service.core import clusters
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import (
    DeploymentRow,
    EnvironmentBackendRow,
    ProjectRow,
    RevisionRow,
    WorkspaceRow,
)
from registry_tui.service.deployments import in_cluster
from registry_tui.service.errors import ServiceError
from registry_tui.service.loops.minding import report
from registry_tui.service.publishing import gateway as gateway_link

#: Seconds between two looks.
LOOK_EVERY = 3.0


class ClusterMinder:
    """One thread's work, in `look`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        #: When the addresses of a generation's files were renewed.
        self._renewed: dict[tuple[str, int], float] = {}
        #: The number of a replica's starts when its memory was last reported.
        self._reported: dict[ReplicaName, int] = {}
        #: Why a deployment could not be looked after, as last reported.
        self._said: dict[str, str] = {}
        #: Where the gateway reaches each deployment's replicas, as last published.
        self._published: dict[str, list[Replica]] = {}
        #: Whether there was anything to look after.
        self.wanted = True

    def look(self) -> None:
        """Looks at every deployment that runs in a cluster. Raises ServiceError."""
        rows = self._deployed()
        for row in rows:
            try:
                self._look(row)
                self._said.pop(row.id, None)
            except ServiceError as error:
                if self._said.get(row.id) != error.detail:
                    self._said[row.id] = error.detail
                    report(self._service, row, "deployment.cluster", error.detail)
        left = self._service.backends.clusters.clean_up()
        self.wanted = bool(rows) or left

    def _deployed(self) -> Sequence[DeploymentRow]:
        query = (
            select(DeploymentRow)
            .join(ProjectRow, ProjectRow.id == DeploymentRow.project_id)
            .join(WorkspaceRow, WorkspaceRow.id == ProjectRow.workspace_id)
            .join(EnvironmentBackendRow, EnvironmentBackendRow.environment_id == WorkspaceRow.environment_id)
            .where(DeploymentRow.state.in_((DeploymentState.DEPLOYED.value, DeploymentState.DEPLOYING.value)))
        )
        with self._service.database.reading() as session:
            return session.scalars(query.options(selectinload(DeploymentRow.revisions))).all()

    def _look(self, row: DeploymentRow) -> None:
        replicas = self._service.backends.replicas
        # Looking at replicas also fetches their output.
        for process in replicas.look(replicas.names(row.id)):
            before = self._reported.setdefault(process.name, 1)
            if process.over_memory and process.starts > before:
                self._reported[process.name] = process.starts
                self._over_memory(row, process.over_memory)
        self._publish(row)
        active = gateway_link.active_revision(row)
        if active is not None and row.state == DeploymentState.DEPLOYED.value:
            self._renew(row, active)

    def _publish(self, row: DeploymentRow) -> None:
        """Has the gateway know the nodes that came or went."""
        backends = self._service.backends
        found = backends.clusters.reached(backends.replicas.names(row.id))
        if self._published.get(row.id) != found:
            gateway_link.publish(self._service)
            self._published[row.id] = found

    def _over_memory(self, row: DeploymentRow, why: str) -> None:
        report(self._service, row, "deployment.replica-over-memory", why)
        with self._service.database.session() as session:
            present = session.get(DeploymentRow, row.id)
            if present is not None:
                present.reason = why

    def _renew(self, row: DeploymentRow, active: RevisionRow) -> None:
        """Signs the addresses again before they expire: a replica may restart on a node that has no copy yet."""
        moment = time.monotonic()
        key = (row.id, active.generation)
        # A service that has just started does not know when they expire.
        if moment - self._renewed.get(key, float("-inf")) < in_cluster.RENEW_SECONDS:
            return
        with self._service.database.reading() as session:
            cluster = clusters.cluster_for(session, row)
        if cluster is not None:
            files = in_cluster.addresses(self._service, cluster, row, active)
            self._service.backends.clusters.renew(row.id, active.generation, files)
            self._renewed[key] = moment
