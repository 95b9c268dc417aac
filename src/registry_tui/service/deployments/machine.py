"""The resources of this machine, and the claims of deployments."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from registry_tui.platform.ports import is_free
from registry_tui.schemas.deployments import GIB, MIB, MIN_MEMORY, DeploymentState, RevisionState
from registry_tui.service.core import clusters
from registry_tui.service.database.tables import DeploymentRow, EnvironmentBackendRow, ProjectRow, WorkspaceRow
from registry_tui.service.errors import InvalidInput, WrongState
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.settings import Settings as ServiceSettings

#: Deployments in these states claim memory.
CLAIMING = tuple(
    state.value for state in (DeploymentState.PENDING, DeploymentState.DEPLOYING, DeploymentState.DEPLOYED)
)
#: Memory of a process with MLflow and a small model, measured; and the factor of a model's size from disk to memory.
_BASE, _GROWTH = 384 * MIB, 3
_ROUND = 128 * MIB


def memory_bytes() -> int:
    """The memory of this machine, or of the control group that it runs in when that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def cpus() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))


def suggested_memory(archive_bytes: int) -> int:
    """Bytes that a replica probably needs, from its archive's size."""
    needed = max(MIN_MEMORY, _BASE + _GROWTH * archive_bytes)
    return -(-needed // _ROUND) * _ROUND


def claimed_memory(session: Session, *, but: str | None = None) -> int:
    """Bytes of this machine that all deployments may use at most, leaving one out."""
    elsewhere = (
        select(ProjectRow.id)
        .join(WorkspaceRow, WorkspaceRow.id == ProjectRow.workspace_id)
        .join(EnvironmentBackendRow, EnvironmentBackendRow.environment_id == WorkspaceRow.environment_id)
    )
    query = select(DeploymentRow).where(
        DeploymentRow.state.in_(CLAIMING),
        DeploymentRow.id != (but or ""),
        DeploymentRow.project_id.not_in(elsewhere),
    )
    total = 0
    for row in session.scalars(query.options(selectinload(DeploymentRow.revisions))):
        active = gateway_link.active_revision(row)
        pending = [each for each in row.revisions if each.state == RevisionState.PENDING.value]
        # Replicas of another generation run next to the earlier ones until callers are switched over.
        claims: dict[int, int] = {}
        for revision in ([active] if active is not None else []) + (pending or row.revisions[-1:] * (active is None)):
            claimed = revision.replicas * revision.memory_bytes
            claims[revision.generation] = max(claims.get(revision.generation, 0), claimed)
        total += sum(claims.values())
    return total


def claimed_beside(row: DeploymentRow, generation: int) -> int:
    """Bytes that replicas of a deployment may use which serve while those of another generation start."""
    active = gateway_link.active_revision(row)
    if active is None or active.generation == generation or not gateway_link.serves(row):
        return 0
    return active.replicas * active.memory_bytes


@dataclass(frozen=True)
class Asked:
    """The resources that a deployment's replicas request: memory, processors and GPUs of each."""

    replicas: int
    memory_bytes: int
    cpu: float
    gpus: int = 0
    #: Whether the cluster finds their number.
    autoscaling: bool = False


def require_room(
    session: Session, row: DeploymentRow, asked: Asked, *, but: str | None = None, beside: int = 0
) -> None:
    """Raises InvalidInput when a deployment requests more than this machine has, WrongState when others use it.

    `but`: the deployment itself, whose own claim is not another's; `beside`: memory that its earlier replicas still
    use. A cluster has its own scheduler, which reports the missing resources.
    """
    if clusters.cluster_for(session, row) is not None:
        return
    _require_possible_here(asked)
    replicas, memory, cpu = asked.replicas, asked.memory_bytes, asked.cpu
    total, claimed = memory_bytes(), claimed_memory(session, but=but)
    if cpu > cpus():
        raise InvalidInput(f"{cpu:g} CPUs are asked for, and this machine has {cpus()}", action="Ask for fewer")
    if replicas * memory > total:
        raise InvalidInput(
            f"{replicas} × {_gib(memory)} of memory are asked for, and this machine has {_gib(total)}",
            action="Ask for less memory or fewer replicas",
        )
    if replicas * memory + claimed > total:
        raise WrongState(
            f"{replicas} × {_gib(memory)} of memory are asked for; of this machine's {_gib(total)}, other deployments "
            f"have {_gib(claimed)}",
            action="Stop a deployment, or ask for less",
        )
    if replicas * memory + claimed + beside > total:
        raise WrongState(
            f"{replicas} × {_gib(memory)} of memory are asked for, and {_gib(beside)} serve until the new replicas "
            f"answer; this machine has {_gib(total)}, of which other deployments have {_gib(claimed)}",
            action="Stop the deployment first, whose callers then wait for the new replicas; or ask for less",
        )


def _require_possible_here(asked: Asked) -> None:
    """Raises InvalidInput for features of clusters only."""
    elsewhere = "or have the environment's deployments run in a Ray cluster: `registry-tui environments set-backend`"
    if asked.autoscaling:
        raise InvalidInput(
            "On the registry's machine a deployment has a fixed number of replicas, and is not scaled by its requests",
            action=f"Give the number: `registry-tui deployments scale`, `--replicas`; {elsewhere}",
        )
    if asked.gpus:
        raise InvalidInput(
            "On the registry's machine no replica is given GPUs of its own: each sees all that there are",
            action=f"Ask for none: `--gpus 0`; {elsewhere}",
        )


def free_port(session: Session, settings: ServiceSettings) -> int:
    """A free port of 127.0.0.1 that no deployment has. Raises WrongState without one."""
    first, last = settings.first_deployment_port, settings.last_deployment_port
    taken = gateway_link.taken_ports(session)
    for port in range(first, last + 1):
        if port not in taken and is_free(port):
            return port
    raise WrongState(
        f"All ports of deployments, from {first} to {last}, are taken",
        action="Deploy without a port of its own: the gateway's address suffices; or set last_deployment_port higher",
    )


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
