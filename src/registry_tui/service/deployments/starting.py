"""Starts a rollout's replicas, on this machine or in a cluster, and waits until all answer."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from registry_tui.contracts.counts import counted
from registry_tui.contracts.replica_spec import Limits, ReplicaSpec
from registry_tui.schemas.operations import Progress
from registry_tui.service.backends.base import Backend, Backends, ReplicaName, ReplicaProcess, Resources
from registry_tui.service.core import clusters
from registry_tui.service.database.tables import DeploymentRow, RevisionRow
from registry_tui.service.deployments import in_cluster, preparing, python_environments, shared_files
from registry_tui.service.deployments.input_example import last_words
from registry_tui.service.engine.steps import StepContext
from registry_tui.service.errors import WrongState
from registry_tui.service.publishing.gateway import replica_names
from registry_tui.service.registries import lifecycle as registries

#: Seconds between checks of starting replicas.
_LOOK_EVERY = 0.2


def start(context: StepContext) -> Mapping[str, Any]:
    """Starts the missing replicas, and waits until all are ready; if their NFS is lost, from fetched files.

    Raises WrongState when one cannot serve.
    """
    try:
        _start_missing(context)
        return {}
    except WrongState as error:
        row, local = preparing.row_of(context), context.service.backends.replicas
        registry = registries.load(context.service, row.registry_id)
        why = shared_files.why_away(context.service, registry) if context.state.get("shared", False) else ""
        if not why:
            raise
        context.log(error.detail, "warning")
        names = replica_names(row, preparing.revision_of(context, row))
        local.remove([process.name for process in local.look(names) if not process.ready])
        placed = preparing.place(context, why)
    _start_missing(replace(context, state={**context.state, **placed}))
    return placed


def _start_missing(context: StepContext) -> None:
    service, row = context.service, preparing.row_of(context)
    revision = preparing.revision_of(context, row)
    local = service.backends.replicas
    wanted = replica_names(row, revision)
    present = {name for name in local.names(row.id) if local.configured(name)}
    missing = [name for name in wanted if name not in present]
    try:
        _start_in_place(context, row, revision, missing)
    except OSError as error:
        raise WrongState(f"Replicas cannot be started: {error}", action="Free space on the disk") from error
    context.log(f"starting {counted(len(missing), 'replica')}; {len(wanted) - len(missing)} already run")
    _wait(context, wanted, set(missing))


def _start_in_place(
    context: StepContext, row: DeploymentRow, revision: RevisionRow, missing: Sequence[ReplicaName]
) -> None:
    """Starts replicas on this machine, or in the cluster of the deployment's environment."""
    service, local = context.service, context.service.backends.replicas
    key = context.state["environment"]
    with service.database.reading() as session:
        cluster = clusters.cluster_for(session, row)
    if cluster is None:
        python = python_environments.of_key(service, key)
        local.start({name: (_spec(context, row, revision, local, name), python) for name in missing})
    elif missing:
        spec = replace(_spec(context, row, revision, local, missing[0]), name=missing[0].program.rpartition("-")[0])
        carried = in_cluster.carried(service, cluster, row, revision, spec, key)
        resources = Resources(revision.cpu, revision.memory_bytes, revision.gpus)
        context.log(f"in the Ray cluster at {cluster.address}")
        service.backends.clusters.start(cluster, missing, carried, resources, in_cluster.scaling_of(revision))
    else:
        in_cluster.set_number(service, row, revision)


def _spec(
    context: StepContext, row: DeploymentRow, revision: RevisionRow, local: Backend, name: ReplicaName
) -> ReplicaSpec:
    settings = context.service.settings
    return ReplicaSpec(
        name=name.program,
        deployment=row.name,
        model=str(preparing.model_of(context, row, revision)),
        model_name=row.model_name,
        version=revision.version,
        socket=str(local.socket(name)),
        threads=math.ceil(revision.cpu),
        batching=revision.batching,
        strict_json=revision.strict_json,
        files=context.state.get("files", ""),
        shared=context.state.get("shared", False),
        manifest_sha256=context.state.get("manifest_sha256", ""),
        signature=context.state.get("signature", ""),
        trusted_keys=context.state.get("trusted_keys", ""),
        signed_version=context.state.get("signed_version", ""),
        limits=Limits(
            settings.max_prediction_bytes,
            settings.prediction_seconds,
            settings.prediction_queue,
            settings.stream_seconds,
        ),
        environment={variable["name"]: variable["value"] or "" for variable in revision.environment},
    )


def _wait(context: StepContext, names: Sequence[ReplicaName], started: Collection[ReplicaName]) -> None:
    """Waits until all are ready. An existing one may be restarting after an earlier end: only new ones fail on their
    first end.
    """
    backends = context.service.backends
    until = time.monotonic() + context.service.settings.replica_patience
    reported, waited = -1, ""
    while True:
        processes = backends.replicas.look(names)
        ready = sum(process.ready for process in processes)
        waits = next((process.waits for process in processes if process.waits), "")
        if ready != reported:
            context.log(f"{ready} of {counted(len(names), 'replica')} ready")
        if waits and waits != waited:
            context.log(f"a replica {waits}", "warning")
        if (ready, waits) != (reported, waited):
            context.progress(Progress(files_done=ready, files_total=len(names), waits=waits))
        reported, waited = ready, waits
        if ready == len(names):
            return
        for process in processes:
            if process.name in started or process.state == "FATAL":
                _require_hope(backends, process)
        if time.monotonic() > until:
            slow = next(process for process in processes if not process.ready)
            why = f"It {slow.waits}" if slow.waits else last_words(backends, slow.name)
            raise WrongState(
                f"The replica {slow.name.program} does not answer after "
                f"{counted(context.service.settings.replica_patience, 'second')}. {why}",
                action="See its log: `registry-tui deployments logs`",
            )
        context.check_cancelled()
        time.sleep(_LOOK_EVERY)


def _require_hope(backends: Backends, process: ReplicaProcess) -> None:
    """Raises WrongState when a replica reported that it cannot serve, or ended too often."""
    if process.reason:
        raise WrongState(process.reason, action="See its log: `registry-tui deployments logs`")
    if process.state == "FATAL" or (process.starts > 1 and process.state in ("BACKOFF", "EXITED")):
        raise WrongState(
            f"The replica {process.name.program} ends while it starts. {last_words(backends, process.name)}",
            action="See its log: `registry-tui deployments logs`",
        )
