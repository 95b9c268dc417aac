"""Deployments as people see them: rows of the database joined with the state of supervisord and the gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from registry_tui.contracts.permissions import Action
from registry_tui.gateway.words import unanswered
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.canaries import KeptRollout
from registry_tui.schemas.deployments import (
    Batching,
    BuildState,
    Deployment,
    DeploymentState,
    EnvironmentVariable,
    ReplicaLog,
    ReplicaLogFile,
    ReplicaState,
    ReplicaStatus,
    Revision,
    RevisionState,
)
from registry_tui.service.backends.base import ReplicaName, ReplicaProcess
from registry_tui.service.core import clusters, paging, permissions, reached
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import (
    CanaryRow,
    DeploymentRow,
    EnvironmentRow,
    ProjectRow,
    RegistryRow,
    RevisionRow,
    WorkspaceRow,
)
from registry_tui.service.deployments import canaries
from registry_tui.service.deployments.finding import find_for
from registry_tui.service.deployments.revisions import autoscaling_of
from registry_tui.service.errors import Missing, PartUnavailable
from registry_tui.service.publishing import gateway as gateway_link

_LOADED = (
    selectinload(DeploymentRow.revisions),
    selectinload(DeploymentRow.project)
    .selectinload(ProjectRow.workspace)
    .selectinload(WorkspaceRow.environment)
    .selectinload(EnvironmentRow.backend),
)


def list_deployments(
    service: Service,
    principal: Principal,
    *,
    project: str | None = None,
    registry: str | None = None,
    model: str | None = None,
    version: int | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[Deployment]:
    """The deployments of the projects that you collaborate in, by name. Raises Missing, NotPermitted, InvalidInput."""
    paging.check_page_size(page_size)
    query = select(DeploymentRow).options(*_LOADED)
    scope = f"deployments:{principal.name}:{project}:{registry}:{model}:{version}"
    with service.database.reading() as session:
        if project is not None:
            row = permissions.find_project(session, principal, project)
            permissions.check_project(session, principal, row, Action.DEPLOYMENT_READ)
            query = query.where(DeploymentRow.project_id == row.id)
        elif not principal.administrator:
            query = query.where(DeploymentRow.project_id.in_(permissions.own_projects(principal)))
        if registry is not None:
            ids = select(RegistryRow.id).where((RegistryRow.id == registry) | (RegistryRow.name == registry))
            query = query.where(DeploymentRow.registry_id.in_(ids))
        if model is not None:
            query = query.where((DeploymentRow.model_name == model) | (DeploymentRow.model_id == model))
        if version is not None:
            query = query.where(DeploymentRow.version == version)
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(DeploymentRow.name), paging.Key(DeploymentRow.id)],
            scope=scope,
            page_size=page_size,
            page_token=page_token,
        )
        registries = {row.id: row.name for row in session.scalars(select(RegistryRow))}
        tried = canaries.open_ones(session, [row.id for row in found.rows])
    stats = gateway_link.stats(service)
    processes = all_processes(service, found.rows)
    return found.to_page(
        lambda row: to_schema(service, row, registries, stats, processes.get(row.id, ()), tried.get(row.id))
    )


def get_deployment(service: Service, principal: Principal, deployment: str) -> Deployment:
    """One deployment, by ID, name or `project/name`. Raises Missing, InvalidInput, NotPermitted."""
    return show(service, _find(service, principal, deployment).id)


def show(service: Service, id_: str) -> Deployment:
    """One deployment, without a check of permissions. Raises Missing."""
    with service.database.reading() as session:
        row = session.get(DeploymentRow, id_, options=_LOADED)
        if row is None:
            raise Missing(f"There is no deployment {id_!r}", action="See `registry-tui deployments list`")
        registries = {each.id: each.name for each in session.scalars(select(RegistryRow))}
        canary = canaries.open_ones(session, [id_]).get(id_)
    processes = all_processes(service, [row]).get(id_, ())
    return to_schema(service, row, registries, gateway_link.stats(service), processes, canary)


def replicas(service: Service, principal: Principal, deployment: str) -> list[ReplicaStatus]:
    """Every process of a deployment, those of other revisions too while they are replaced."""
    row = _find(service, principal, deployment)
    traffic = gateway_link.traffic(gateway_link.stats(service), row.id).by_replica
    return [_replica(row, process, traffic) for process in all_processes(service, [row]).get(row.id, ())]


def revisions(service: Service, principal: Principal, deployment: str) -> list[Revision]:
    """A deployment's history with its builds, newest first. Raises Missing, InvalidInput, NotPermitted."""
    return [to_revision(row) for row in reversed(_find(service, principal, deployment).revisions)]


def replica_logs(service: Service, principal: Principal, deployment: str) -> list[ReplicaLogFile]:
    """The logs of a deployment's replicas: of existing ones first, then of removed ones, newest first."""
    row = _find(service, principal, deployment)
    local = service.backends.replicas
    there = set(local.names(row.id))
    versions = {revision.generation: revision.version for revision in row.revisions}
    found = []
    for name, status in service.backends.logs.logs(row.id):
        found.append(
            ReplicaLogFile(
                name=f"{name.generation}-{name.index}",
                version=versions.get(name.generation, row.version),
                size_bytes=status.st_size,
                updated_at=datetime.fromtimestamp(status.st_mtime, UTC),
                serving=name in there,
            )
        )
    found.sort(key=lambda each: [int(part) for part in each.name.split("-")])
    gone = [each for each in found if not each.serving]
    return [each for each in found if each.serving] + sorted(gone, key=lambda each: each.updated_at, reverse=True)


def replica_log(
    service: Service,
    principal: Principal,
    deployment: str,
    replica: str,
    *,
    offset: int | None = None,
    lines: int = 1000,
) -> ReplicaLog:
    """Lines of one replica's log, by its name or number; also of removed replicas. Raises Missing."""
    row = _find(service, principal, deployment)
    logs = service.backends.logs
    known = {f"{name.generation}-{name.index}" for name, _ in logs.logs(row.id)}
    active = gateway_link.active_revision(row)
    wanted = replica.split("-", 1)[-1] if replica.count("-") == 2 else replica
    if wanted.isdigit() and active is not None:
        wanted = f"{active.generation}-{wanted}"
    if wanted not in known:
        listed = ", ".join(sorted(known)) or "none yet"
        raise Missing(f"{row.name} has no replica {replica!r}", action=f"There are logs of: {listed}")
    generation, _, index = wanted.partition("-")
    name = ReplicaName(row.id, int(generation), int(index))
    try:
        found, following = logs.read(name, offset, lines=lines)
    except FileNotFoundError as error:
        raise Missing(f"The log of {replica} is gone") from error
    return ReplicaLog(lines=found, next_offset=following)


def _find(service: Service, principal: Principal, deployment: str) -> DeploymentRow:
    return find_for(service, principal, deployment, Action.DEPLOYMENT_READ)


# -- rows as schemas --------------------------------------------------------------------------------------


def to_schema(
    service: Service,
    row: DeploymentRow,
    registries: Mapping[str, str],
    told: Mapping[str, Any],
    processes: Sequence[ReplicaProcess],
    canary: CanaryRow | None,
) -> Deployment:
    """A deployment with its serving revision, or else its last."""
    revision = gateway_link.active_revision(row) or row.revisions[-1]
    workspace = row.project.workspace
    own = [process for process in processes if process.name.generation == revision.generation]
    gateway = reached.gateway_url(service)
    return Deployment(
        id=row.id,
        name=row.name,
        description=row.description,
        project_id=row.project_id,
        project_name=row.project.name,
        workspace_name=workspace.name,
        environment_name=workspace.environment.name,
        backend=clusters.shown(workspace.environment.backend).kind,
        registry_id=row.registry_id,
        registry_name=registries.get(row.registry_id),
        model_name=row.model_name,
        version=row.version,
        alias=row.alias,
        follow_alias=row.follow_alias,
        follow_rollout=KeptRollout.model_validate(row.follow_rollout)
        if row.follow_alias and row.follow_rollout is not None
        else None,
        state=DeploymentState(row.state),
        reason=_reason(row, own, processes),
        revision=revision.number,
        replicas_wanted=revision.replicas if revision.autoscaling is None else max(revision.replicas, len(own)),
        replicas_ready=sum(process.ready for process in own),
        autoscaling=autoscaling_of(revision),
        gpus=revision.gpus,
        cpu=revision.cpu,
        memory_bytes=revision.memory_bytes,
        memory_used_bytes=sum(process.memory_bytes or 0 for process in processes),
        batching=Batching(revision.batching),
        batching_decision=next((process.batching for process in own if process.ready and process.batching), ""),
        strict_json=revision.strict_json,
        model_files=next((process.files for process in own if process.files), ""),
        authentication=row.authentication,
        access_key=row.access_key,
        model_url=f"{gateway}/model",
        endpoint_url=f"{gateway}/endpoints/{row.access_key}",
        port=row.port,
        port_error=told.get("port_errors", {}).get(row.id, ""),
        creator=row.creator,
        created_at=row.created_at,
        updated_at=row.updated_at,
        workflow_id=row.workflow_id,
        traffic=gateway_link.traffic(told, row.id),
        canary=None if canary is None else canaries.to_schema(row, canary, told),
    )


def _reason(row: DeploymentRow, processes: Sequence[ReplicaProcess], all_of_it: Sequence[ReplicaProcess]) -> str:
    """Why it does not respond, in the gateway's words or by its failing calls, and the last problem.

    With `all_of_it`, which includes the replicas of a rollout, it has the reasons of their waits.
    """
    waits = dict.fromkeys(f"A replica {each.waits}" for each in all_of_it if each.waits)
    happened = "; ".join(filter(None, (*waits, row.reason, row.follow_problem if row.follow_alias else "")))
    if row.state != DeploymentState.DEPLOYED.value:
        return happened
    parts = list(dict.fromkeys(process.trouble for process in processes if process.trouble))
    if processes and not any(process.ready for process in processes):
        parts.insert(0, unanswered(row.name, row.state, has_replicas=gateway_link.serves(row))[0])
    return ". ".join(part for part in [*parts, happened] if part)


def to_revision(row: RevisionRow) -> Revision:
    """A revision; values of secret variables stay here."""
    environment = [EnvironmentVariable(**variable) for variable in row.environment]
    return Revision(
        number=row.number,
        version=row.version,
        alias=row.alias,
        replicas=row.replicas,
        autoscaling=autoscaling_of(row),
        gpus=row.gpus,
        cpu=row.cpu,
        memory_bytes=row.memory_bytes,
        environment=[each.model_copy(update={"value": None}) if each.secret else each for each in environment],
        batching=Batching(row.batching),
        strict_json=row.strict_json,
        comment=row.comment,
        creator=row.creator,
        created_at=row.created_at,
        state=RevisionState(row.state),
        error=row.error,
        build=BuildState(row.build),
        python_environment=row.python_environment,
        build_seconds=row.build_seconds,
        workflow_id=row.workflow_id,
    )


def all_processes(service: Service, rows: Sequence[DeploymentRow]) -> dict[str, list[ReplicaProcess]]:
    """The replicas of each deployment; none are known while the supervisor does not respond."""
    local = service.backends.replicas
    names = [name for row in rows for name in local.names(row.id)]
    found: dict[str, list[ReplicaProcess]] = {}
    if names:
        with suppress(PartUnavailable):
            for process in local.look(names):
                found.setdefault(process.name.deployment, []).append(process)
    return found


def _replica(row: DeploymentRow, process: ReplicaProcess, requests: Mapping[str, int]) -> ReplicaStatus:
    of = [revision for revision in row.revisions if revision.generation == process.name.generation]
    revision = next((each for each in of if each.number == row.revision), of[-1] if of else row.revisions[-1])
    state, detail = replica_state(process)
    return ReplicaStatus(
        name=process.name.program,
        index=process.name.index,
        revision=revision.number,
        version=revision.version,
        state=state,
        detail=detail,
        pid=process.pid,
        memory_bytes=process.memory_bytes,
        memory_limit_bytes=revision.memory_bytes,
        restarts=max(0, process.starts - 1),
        uptime_seconds=process.uptime_seconds,
        requests=requests.get(process.name.program, 0),
    )


def replica_state(process: ReplicaProcess) -> tuple[ReplicaState, str]:
    """The state of a replica's process for people, with its reason."""
    if process.ready:
        return ReplicaState.READY, process.trouble or process.reason
    if process.state == "STOPPING":
        return ReplicaState.STOPPING, "finishes the requests in progress"
    if process.state in ("FATAL", "MISSING"):
        return ReplicaState.FAILED, process.reason or process.trouble or "it ended again and again; see its log"
    return ReplicaState.STARTING, process.reason or process.trouble or process.waits or "loading the model"
