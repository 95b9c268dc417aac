"""Writes the gateway's routes and keys, and reads its counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import and_, select
from sqlalchemy.orm import Session, selectinload

from registry_tui.contracts.gateway_routes import Canary, Key, Replica, RequestLog, Route, Routes
from registry_tui.gateway import counts, limits
from registry_tui.platform import listening
from registry_tui.platform.secrets import write_private
from registry_tui.schemas.canaries import ON_TRIAL, CanaryState, Rollout, Strategy
from registry_tui.schemas.deployments import GIB, MIB, DeploymentState, KeyLimits, RevisionState, Traffic
from registry_tui.schemas.request_log import RequestLogRules
from registry_tui.service.backends.base import ReplicaName
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import ApiKeyRow, CanaryRow, DeploymentRow, ProjectRow, RevisionRow
from registry_tui.service.errors import PartUnavailable

#: One writer at a time, so that the last write has the newest rows.
_LOCK = "publish to the gateway"
_TIMEOUT = 2.0
#: Bytes of memory that MLflow takes before any request, and for each byte of a request's body: measured 4 to 12 for
#: tables and tensors of numbers as JSON.
_MEMORY_BEFORE, _MEMORY_OF_A_BYTE = 192 * MIB, 12


def publish(service: Service) -> None:
    """Writes the gateway's routes from the database. Call it after each change of deployments, keys or collaborators.

    Raises PartUnavailable when the file cannot be written.
    """
    with service.locks.of(_LOCK), service.database.reading() as session:
        rows = session.scalars(
            select(DeploymentRow).options(
                selectinload(DeploymentRow.revisions),
                selectinload(DeploymentRow.project).selectinload(ProjectRow.collaborators),
            )
        )
        keys = session.scalars(select(ApiKeyRow))
        suspended = identity.suspended(session)
        canaries = _tried(session)
        routes = Routes(
            deployments=tuple(_route(service, row, canaries.get(row.id)) for row in rows),
            keys=tuple(_key(row, suspended=row.user in suspended) for row in keys),
            administrators=(identity.owner_name(service),),
            hosts=(
                *service.settings.gateway_hosts,
                *listening.known_names(service.home, service.settings.listen_names),
            ),
            origins=service.settings.gateway_origins,
        )
        try:
            write_private(service.home.gateway_routes_file, routes.to_json())
        except OSError as error:
            raise PartUnavailable(
                f"Cannot write {service.home.gateway_routes_file}: {error.strerror}",
                action="Free space on the disk, or make the folder writable",
            ) from error
    _nudge(service)


def active_revision(row: DeploymentRow) -> RevisionRow | None:
    """The revision that serves, if one does."""
    return next((revision for revision in row.revisions if revision.number == row.revision), None)


def replica_names(row: DeploymentRow, revision: RevisionRow) -> list[ReplicaName]:
    """The replicas of a revision, by their index."""
    return [ReplicaName(row.id, revision.generation, index) for index in range(revision.replicas)]


def is_of(name: ReplicaName, revision: RevisionRow) -> bool:
    """Whether a replica is one of a revision's, of which a cluster may run more than the least."""
    more = revision.autoscaling is not None
    return name.generation == revision.generation and (more or name.index < revision.replicas)


def has_replicas(service: Service, row: DeploymentRow, revision: RevisionRow) -> bool:
    """Whether all replicas of a revision are configured to run, independent of the rows."""
    replicas = service.backends.replicas
    return all(replicas.configured(name) for name in replica_names(row, revision))


def serves(row: DeploymentRow) -> bool:
    """Whether callers are sent to replicas of a deployment, whether or not one responds just now."""
    revision = active_revision(row)
    stopped = row.state in (DeploymentState.STOPPING.value, DeploymentState.STOPPED.value)
    return revision is not None and revision.state == RevisionState.ACTIVE.value and not stopped


def _tried(session: Session) -> Mapping[str, CanaryRow]:
    """The canaries whose versions get requests, by deployment.

    A promoted one counts until its rollout has switched all callers over: the old version may not respond any more.
    """
    query = (
        select(CanaryRow)
        .join(
            RevisionRow,
            and_(RevisionRow.deployment_id == CanaryRow.deployment_id, RevisionRow.number == CanaryRow.revision),
        )
        .where(RevisionRow.state == RevisionState.PENDING.value)
        .order_by(CanaryRow.created_at, CanaryRow.id)
    )
    newest = {canary.deployment_id: canary for canary in session.scalars(query)}
    return {id_: each for id_, each in newest.items() if each.state in (*ON_TRIAL, CanaryState.PROMOTED.value)}


def _route(service: Service, row: DeploymentRow, canary: CanaryRow | None) -> Route:
    revision = active_revision(row)
    names = replica_names(row, revision) if revision is not None and serves(row) else []
    tried = None if canary is None or not names else _canary(service, row, canary)
    body_bytes, larger = body_limit(service, row, canary if tried is not None else None)
    return Route(
        id=row.id,
        name=row.name,
        project=row.project.name,
        access_key=row.access_key,
        authentication=row.authentication,
        members=tuple(collaborator.user for collaborator in row.project.collaborators),
        replicas=_reached(service, names, revision.version if revision is not None else 0),
        port=row.port,
        state=row.state,
        body_bytes=body_bytes,
        larger=larger,
        seconds=service.settings.prediction_seconds,
        canary=tried,
        request_log=_request_log(row),
    )


def body_limit(service: Service, row: DeploymentRow, canary: CanaryRow | None) -> tuple[int, str]:
    """The largest body of a request in bytes, and the action that allows more.

    A parsed body takes several times its bytes of memory: each replica that may get it has room for that.
    """
    reached = {row.revision} if canary is None else {row.revision, canary.revision}
    memory = min((each.memory_bytes for each in row.revisions if each.number in reached), default=None)
    most = service.settings.max_prediction_bytes
    if memory is None or (room := (memory - _MEMORY_BEFORE) // _MEMORY_OF_A_BYTE) >= most:
        return most, "Send fewer rows at once, or have the administrator set `max_prediction_bytes` higher"
    enough = min(most * _MEMORY_OF_A_BYTE + _MEMORY_BEFORE, 2 * memory)
    return room, (
        f"Send fewer rows at once, or give the replicas more than the {memory / GIB:.2g} GiB of memory that they have: "
        f"`registry-tui deployments update {row.name} --memory {-(-enough // MIB)}M`"
    )


def _request_log(row: DeploymentRow) -> RequestLog | None:
    """The rules of its request log, if requests are logged."""
    rules = RequestLogRules.model_validate({"share": 0.0, **row.request_log})
    return rules_for_gateway(rules) if rules.share else None


def rules_for_gateway(rules: RequestLogRules) -> RequestLog:
    """The rules of a request log, in the gateway's form."""
    return RequestLog(
        share=rules.share,
        seconds=rules.days * 86_400,
        max_bytes=rules.max_bytes,
        leave_out=tuple(rules.leave_out),
        mask=tuple(rules.mask),
    )


def _key(row: ApiKeyRow, *, suspended: bool) -> Key:
    may = KeyLimits.model_validate(row.limits)
    return Key(
        id=row.id,
        sha256=row.sha256,
        user=row.user,
        expires_at=row.expires_at.timestamp(),
        revoked=row.revoked_at is not None,
        suspended=suspended,
        per_second=may.per_second or 0.0,
        burst=may.at_once,
        per_day=may.per_day or 0,
        per_month=may.per_month or 0,
    )


def _reached(service: Service, names: Sequence[ReplicaName], version: int) -> tuple[Replica, ...]:
    replicas, clusters = service.backends.replicas, service.backends.clusters
    here = [Replica(name.program, str(replicas.socket(name))) for name in names if not clusters.has(name)]
    return tuple(replace(each, version=version) for each in (*here, *clusters.reached(names)))


def _canary(service: Service, row: DeploymentRow, canary: CanaryRow) -> Canary | None:
    """The version that is tried, for the gateway."""
    tried = next((each for each in row.revisions if each.number == canary.revision), None)
    if tried is None or canary.revision == row.revision:
        return None
    rollout = Rollout.model_validate(canary.rollout)
    shadow = rollout.strategy is Strategy.SHADOW
    return Canary(
        id=canary.id,
        shadow=shadow,
        share=rollout.shares[canary.step] / 100,
        replicas=_reached(service, replica_names(row, tried), tried.version),
        compares=shadow or rollout.max_disagreement is not None,
        tolerance=rollout.tolerance,
    )


def stats(service: Service) -> Mapping[str, Any]:
    """The counts of all processes of the gateway, summed up; of one that does not respond, those it stored last."""
    home = service.home
    found = []
    for socket, file in zip(home.gateway_sockets, home.gateway_counts_files, strict=True):
        try:
            with _gateway(socket) as client:
                found.append(client.get("/stats").raise_for_status().json())
        except (httpx.HTTPError, json.JSONDecodeError):
            found.append(counts.read(file))
    return counts.summed(found)


def key_uses(service: Service) -> Mapping[str, limits.Use]:
    """The requests of API keys with limits in this day and month, as the gateway counts them."""
    return limits.read(service.home.gateway_limits_file)


def write_request_logs(service: Service) -> None:
    """Has the gateway write the queued requests of its logs. An unresponsive one has none, or writes them itself."""
    for socket in service.home.gateway_sockets:
        with suppress(httpx.HTTPError), _gateway(socket) as client:
            client.post("/request-log-written")


def _nudge(service: Service) -> None:
    """Has the gateway reload its routes now. One that does not respond reloads by itself, every few seconds."""
    for socket in service.home.gateway_sockets:
        with suppress(httpx.HTTPError), _gateway(socket) as client:
            client.post("/routes-changed")


def _gateway(socket: Path) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(socket), verify=False, trust_env=False)
    return httpx.Client(transport=transport, base_url="http://gateway", timeout=_TIMEOUT)


def traffic(told: Mapping[str, Any], deployment: str) -> Traffic:
    """One deployment's counts in a result of `stats`."""
    found = told.get("deployments", {}).get(deployment)
    return Traffic() if found is None else Traffic.model_validate(found)


def taken_ports(session: Session) -> set[int]:
    """The ports that deployments have."""
    return {port for port in session.scalars(select(DeploymentRow.port)) if port is not None}
