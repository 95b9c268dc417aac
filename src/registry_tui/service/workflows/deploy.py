"""Rolling a deployment to a revision: new replicas are ready before old ones end; on failure the old ones stay."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import selectinload

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.contracts.replica_spec import Limits, ReplicaSpec
from registry_tui.schemas.deployments import BuildState, DeploymentState, RevisionState
from registry_tui.schemas.operations import Progress, WorkflowKind
from registry_tui.service.backends.base import Backend, Backends, ReplicaName, ReplicaProcess, Resources
from registry_tui.service.core import clusters, served
from registry_tui.service.database.tables import DeploymentRow, RevisionRow, now
from registry_tui.service.deployments import (
    canary_steps,
    fetching,
    in_cluster,
    input_example,
    machine,
    model_files,
    model_requirements,
    python_environments,
    shared_files,
)
from registry_tui.service.deployments.input_example import last_words
from registry_tui.service.engine import permits
from registry_tui.service.engine.steps import Definition, Step, StepContext
from registry_tui.service.errors import InvalidInput, Missing, ServiceError, WrongState
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.publishing.gateway import replica_names
from registry_tui.service.registries import lifecycle as registries
from registry_tui.service.workflows.shared import SETTLE

logger = logging.getLogger(__name__)

#: Seconds between checks of starting replicas.
_LOOK_EVERY = 0.2


def _row(context: StepContext) -> DeploymentRow:
    """The deployment with its revisions. Raises Missing."""
    with context.service.database.reading() as session:
        row = session.get(DeploymentRow, context.resource.id, options=(selectinload(DeploymentRow.revisions),))
    if row is None:
        raise Missing(f"The deployment {context.resource.name} is gone")
    return row


def _revision(context: StepContext, row: DeploymentRow) -> RevisionRow:
    number = context.arguments["revision"]
    found = next((revision for revision in row.revisions if revision.number == number), None)
    if found is None:
        raise Missing(f"{row.name} has no revision {number}")
    return found


def _change(context: StepContext, *, revision: Mapping[str, Any] | None = None, **values: Any) -> None:
    """Writes values of the deployment's row, and of the revision's that is being rolled out."""
    with context.service.database.session() as session:
        row = session.get(DeploymentRow, context.resource.id)
        if row is None:
            return
        for name, value in values.items():
            setattr(row, name, value)
        row.updated_at = now()
        for each in row.revisions if revision else ():
            if each.number == context.arguments["revision"]:
                for name, value in (revision or {}).items():
                    setattr(each, name, value)


def _begin(context: StepContext) -> Mapping[str, Any]:
    row = _row(context)
    revision = _revision(context, row)
    # Callers may reach the revision of a retried rollout already: they keep reaching it.
    state = RevisionState.ACTIVE if _reached(row, revision) else RevisionState.PENDING
    _change(
        context,
        state=DeploymentState.DEPLOYING.value,
        reason="",
        workflow_id=context.workflow_id,
        revision={"state": state.value, "error": "", "workflow_id": context.workflow_id},
    )
    active = gateway_link.active_revision(row)
    serving = active is not None and active.state == RevisionState.ACTIVE.value
    if state is RevisionState.PENDING:
        canary_steps.begin_again(context, row, revision)
    gateway_link.publish(context.service)
    return {
        # The state to roll back to. A retried workflow may have been requested long ago, with other changes since.
        "before": context.arguments["before"] if row.workflow_id == context.workflow_id else row.state,
        "old": row.revision if serving else None,
        "generation": revision.generation,
    }


def _fetch(context: StepContext) -> Mapping[str, Any]:
    return _placed(context)


def _placed(context: StepContext, without_nfs: str = "") -> Mapping[str, Any]:
    """Fetches the files; `without_nfs`: why not into the registry's NFS, which an earlier step used."""
    row = _row(context)
    placed, checked = fetching.fetch(context, row, _revision(context, row), without_nfs)
    return {
        "model": str(placed.folder),
        "files": placed.said,
        "shared": placed.shared,
        "manifest_sha256": placed.manifest_sha256,
        "signature": checked.signature,
        "trusted_keys": checked.trusted_keys,
        "signed_version": checked.version_id,
    }


def _model(context: StepContext, row: DeploymentRow, revision: RevisionRow) -> Path:
    """The folder of the archive; older workflows always used the same place."""
    fetched = model_files.folder_of(context.service, row.model_id, revision.version_id)
    return Path(context.state.get("model", fetched))


def _build(context: StepContext) -> Mapping[str, Any]:
    service, row = context.service, _row(context)
    revision = _revision(context, row)
    began = time.monotonic()
    _change(context, revision={"build": BuildState.BUILDING.value})
    try:
        model = _model(context, row, revision) / "files"
        shared = context.state.get("shared", False)
        placed: Mapping[str, Any] = {}
        try:
            wanted = shared_files.reading(lambda: model_requirements.read_wanted(model), shared=shared)
        except shared_files.NfsSilent as silent:
            placed = _placed(context, silent.detail)
            wanted = model_requirements.read_wanted(Path(placed["model"]) / "files")
        made = python_environments.ensure(service, wanted, context.log, context.check_cancelled)
    except ServiceError:
        _change(
            context,
            revision={"build": BuildState.FAILED.value, "build_seconds": round(time.monotonic() - began, 3)},
        )
        raise
    _change(
        context,
        revision={
            "build": BuildState.BUILT.value,
            "python_environment": made.key,
            "build_seconds": round(time.monotonic() - began, 3),
        },
    )
    return {**placed, "environment": made.key}


def _start(context: StepContext) -> Mapping[str, Any]:
    """Starts the missing replicas, and waits until all are ready; if their NFS is lost, from fetched files.

    Raises WrongState when one cannot serve.
    """
    try:
        _start_missing(context)
        return {}
    except WrongState as error:
        row, local = _row(context), context.service.backends.replicas
        registry = registries.load(context.service, row.registry_id)
        why = shared_files.why_away(context.service, registry) if context.state.get("shared", False) else ""
        if not why:
            raise
        context.log(error.detail, "warning")
        names = replica_names(row, _revision(context, row))
        local.remove([process.name for process in local.look(names) if not process.ready])
        placed = _placed(context, why)
    _start_missing(replace(context, state={**context.state, **placed}))
    return placed


def _start_missing(context: StepContext) -> None:
    service, row = context.service, _row(context)
    revision = _revision(context, row)
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
        resources = Resources(revision.cpu, revision.memory_bytes)
        context.log(f"in the Ray cluster at {cluster.address}")
        service.backends.clusters.start(cluster, missing, carried, resources)


def _spec(
    context: StepContext, row: DeploymentRow, revision: RevisionRow, local: Backend, name: ReplicaName
) -> ReplicaSpec:
    settings = context.service.settings
    return ReplicaSpec(
        name=name.program,
        deployment=row.name,
        model=str(_model(context, row, revision)),
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
    told = -1
    while True:
        processes = backends.replicas.look(names)
        ready = sum(process.ready for process in processes)
        if ready != told:
            told = ready
            context.log(f"{ready} of {counted(len(names), 'replica')} ready")
            context.progress(Progress(files_done=ready, files_total=len(names)))
        if ready == len(names):
            return
        for process in processes:
            if process.name in started or process.state == "FATAL":
                _require_hope(backends, process)
        if time.monotonic() > until:
            slow = next(process for process in processes if not process.ready)
            raise WrongState(
                f"The replica {slow.name.program} does not answer after "
                f"{counted(context.service.settings.replica_patience, 'second')}. {last_words(backends, slow.name)}",
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


def _check(context: StepContext) -> None:
    """Requests a prediction of one new replica on the model's own example, which may need more than loading did."""
    service, row = context.service, _row(context)
    revision = _revision(context, row)
    folder = _model(context, row, revision) / "files"
    try:
        example = shared_files.reading(lambda: input_example.read(folder), shared=context.state.get("shared", False))
    except shared_files.NfsSilent as silent:
        # The replicas have loaded the model.
        context.log(f"the model's input example is not tried: {silent.detail}", "warning")
        return
    if example is None:
        context.log("the model has no input example to try: its first calls decide whether it stays", "info")
        return
    backends, name = service.backends, replica_names(row, revision)[0]
    wrong = input_example.ask(backends, name, example, service.settings.prediction_seconds)
    if wrong is None:
        context.log("the model's own input example is answered")
    else:
        context.log(f"the model's own input example is answered with {wrong}", "warning")


def _switch(context: StepContext) -> None:
    """From here on callers reach the new revision: at once, or once it was tried on some of their requests."""
    row = _row(context)
    revision = _revision(context, row)
    canary_steps.watch(context, row, revision)
    with context.service.database.session() as session:
        present = session.get_one(DeploymentRow, row.id)
        for each in present.revisions:
            if each.number == revision.number:
                each.state = RevisionState.ACTIVE.value
            elif each.state == RevisionState.ACTIVE.value:
                # One whose calls failed has served, and must not be rolled back to.
                each.state = (RevisionState.FAILED if each.error else RevisionState.REPLACED).value
        present.revision, present.version, present.version_id = revision.number, revision.version, revision.version_id
        present.alias, present.follow_alias = revision.alias, revision.follow_alias
        present.updated_at = now()
        served.began(session, row.id, revision.number)
    gateway_link.publish(context.service)
    context.log(f"callers reach {row.model_name} v{revision.version}")


def _switch_back(context: StepContext) -> None:
    row = _row(context)
    revision, old = _revision(context, row), _old(context, row)
    if row.revision != revision.number or old is revision:
        canary_steps.withdraw(context, row, revision, SETTLE)
        return
    if old is not None and not gateway_link.has_replicas(context.service, row, old):
        context.log("replicas of before are gone already: callers stay with the new ones", "warning")
        return
    with context.service.database.session() as session:
        present = session.get_one(DeploymentRow, row.id)
        for each in present.revisions:
            if old is not None and each.number == old.number:
                each.state = RevisionState.ACTIVE.value
                present.version, present.version_id = each.version, each.version_id
                present.alias, present.follow_alias = each.alias, each.follow_alias
        present.revision = 0 if old is None else old.number
        served.went_back(session, row.id, revision.number, None if old is None else old.number)
    gateway_link.publish(context.service)


def _old(context: StepContext, row: DeploymentRow) -> RevisionRow | None:
    """The revision that served when this rollout began; if it failed before noting that, the one that serves now."""
    number = context.state.get("old", row.revision)
    return next((each for each in row.revisions if each.number == number), None)


def _retire(context: StepContext) -> None:
    """Removes replicas and files that no caller reaches any more. Errors are logged: the new replicas serve."""
    try:
        _take_old_away(context)
    except Exception as error:
        # Remains are removed later: replicas by `minder.py`, copies of archives after the next rollout.
        logger.exception("retiring old replicas of deployment %s", context.resource.name)
        context.log(f"not all of before could be taken away: {error}", "warning")


def _take_old_away(context: StepContext) -> None:
    """Ends the old replicas once they have answered the requests under way."""
    service, row = context.service, _row(context)
    local = service.backends.replicas
    kept = set(replica_names(row, _revision(context, row)))
    gone = [name for name in local.names(row.id) if name not in kept]
    if gone:
        time.sleep(SETTLE)
        local.remove(gone)
        context.log(f"removed {counted(len(gone), 'earlier replica')}")
    shared_files.drop_unused(service)


def _remove_new(context: StepContext) -> None:
    """Removes the replicas started for a revision that will not serve."""
    service = context.service
    with suppress(Missing):
        row = _row(context)
        revision, local = _revision(context, row), service.backends.replicas
        if _reached(row, revision):
            return
        old = _old(context, row)
        kept = set() if old is None else set(replica_names(row, old))
        local.remove([name for name in replica_names(row, revision) if name not in kept])


def _reached(row: DeploymentRow, revision: RevisionRow) -> bool:
    """Whether callers reach this revision: they were switched to it, and not back."""
    return row.revision == revision.number and revision.state == RevisionState.ACTIVE.value


def _succeed(context: StepContext) -> None:
    reason = context.arguments.get("reason", "")
    _change(context, state=DeploymentState.DEPLOYED.value, reason=reason, workflow_id=None)


def _fail(context: StepContext) -> None:
    _end(context, RevisionState.FAILED, context.error or "")


def _cancel(context: StepContext) -> None:
    why = ""
    with suppress(Missing):
        row = _row(context)
        why = canary_steps.why_it_ended(context, row, _revision(context, row))
    _end(context, RevisionState.CANCELLED, why or "cancelled")


def _end(context: StepContext, state: RevisionState, why: str) -> None:
    """Keeps the deployment as before, with the reason why it did not change."""
    with suppress(Missing):
        row = _row(context)
        revision = _revision(context, row)
        if _reached(row, revision):
            _succeed(context)
            return
        before = DeploymentState(context.state.get("before", context.arguments["before"]))
        old = _old(context, row)
        if old is not None and old is not revision and gateway_link.has_replicas(context.service, row, old):
            after = DeploymentState.DEPLOYED
            reason = f"revision {revision.number} (version {revision.version}) was rolled back: {why}"
        elif before is DeploymentState.STOPPED:
            after, reason = DeploymentState.STOPPED, f"it could not be started: {why}"
        else:
            after, reason = DeploymentState.FAILED, why
        canary_steps.close(context, row, revision, why)
        _change(
            context,
            state=after.value,
            reason=reason,
            workflow_id=None,
            revision={"state": state.value, "error": why},
        )
        with context.service.database.session() as session:
            served.came_to_nothing(session, row.id, revision.number, why)
        gateway_link.publish(context.service)


def _admit(context: StepContext) -> None:
    """A retried workflow may find less memory than at first."""
    row = _row(context)
    revision = _revision(context, row)
    with context.service.database.reading() as session:
        try:
            beside = machine.claimed_beside(row, revision.generation) if not context.arguments.get("reason") else 0
            machine.require_room(
                session, row, revision.replicas, revision.memory_bytes, revision.cpu, but=row.id, beside=beside
            )
        except InvalidInput as error:
            raise WrongState(error.detail, action=error.action) from error


DEPLOY = Definition(
    kind=WorkflowKind.DEPLOY,
    action="deployment.deploy",
    permit=permits.in_project(Action.DEPLOYMENT_CHANGE),
    steps=(
        Step("look for room", _admit),
        Step("fetch archive", _fetch),
        Step("build environment", _build),
        Step("start replicas", _start, undo=_remove_new),
        Step("try example", _check),
        Step("switch callers over", _switch, undo=_switch_back),
        Step("retire old replicas", _retire, cancellable=False),
    ),
    on_start=_begin,
    on_success=_succeed,
    on_failure=_fail,
    on_cancel=_cancel,
)
