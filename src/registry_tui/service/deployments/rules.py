"""Deployments: serving a version of a registered model from a project. How they are shown is in `views.py`, the
workflows of changes in `workflows/deploy.py`, `stop.py` and `undeploy.py`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.admission import Purpose
from registry_tui.schemas.canaries import Rollout
from registry_tui.schemas.deployments import (
    Deployment,
    DeploymentCreate,
    DeploymentState,
    DeploymentUpdate,
    RevisionState,
)
from registry_tui.schemas.models import ModelVersion
from registry_tui.schemas.operations import Accepted, Workflow, WorkflowKind
from registry_tui.service.admission import rules as admission
from registry_tui.service.core import events, permissions, served
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.idempotency import SHOWN
from registry_tui.service.core.no_change import require_change
from registry_tui.service.database.tables import DeploymentRow, ProjectRow, RevisionRow, new_id, now
from registry_tui.service.deployments import canaries, machine
from registry_tui.service.deployments import views as deployment_views
from registry_tui.service.deployments.finding import find_for, resource_of
from registry_tui.service.deployments.revisions import (
    Settings,
    changed_autoscaling,
    checked_environment,
    kept_rollout,
    require_followed,
    revision_row,
    room_for,
    same_replicas,
    settings_now,
    settings_of,
    version_to_serve,
    wrong_field,
)
from registry_tui.service.errors import AlreadyThere, Missing, WrongState
from registry_tui.service.models import registered as models
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.registries.place import enter_registry

# -- finding -----------------------------------------------------------------------------------------------


# -- making ------------------------------------------------------------------------------------------------


def create_deployment(service: Service, principal: Principal, request: DeploymentCreate) -> Accepted[Deployment]:
    """Begins to serve a version.

    Raises Missing, NotPermitted, InvalidInput, AlreadyThere, WrongState, PartUnavailable.
    """
    project = permissions.require_project(service, principal, request.project, Action.DEPLOYMENT_CHANGE)
    registry = _registry_for(service, project, request.registry)
    place = enter_registry(service, registry)
    if request.follow_alias and request.alias is None:
        raise wrong_field("follow_alias", "name the alias to follow")
    require_followed(request.follow_rollout, follows=request.follow_alias)
    version = version_to_serve(service, principal, registry, request.model, request.version, request.alias)
    _require_admitted(service, principal, version)
    settings = Settings(
        version=version,
        alias=request.alias,
        follow_alias=request.follow_alias,
        replicas=request.replicas if request.autoscaling is None else request.autoscaling.min_replicas,
        autoscaling=request.autoscaling,
        gpus=request.gpus,
        cpu=request.cpu,
        memory_bytes=request.memory_bytes or machine.suggested_memory(version.archive_bytes or 0),
        environment=checked_environment(request.environment, ()),
        batching=request.batching,
        strict_json=request.strict_json,
    )
    row = DeploymentRow(
        id=new_id(),
        name=request.name,
        description=request.description,
        project_id=project.id,
        registry_id=place.id,
        model_id=version.model_id,
        model_name=version.model_name,
        version=version.version,
        version_id=version.id,
        alias=request.alias,
        follow_alias=request.follow_alias,
        follow_rollout=kept_rollout(request.follow_rollout),
        state=DeploymentState.PENDING.value,
        authentication=request.authentication,
        access_key=secrets.token_hex(16),
        creator=principal.name,
    )

    def prepare(session: Session, workflow_id: str) -> None:
        machine.require_room(session, row, room_for(settings))
        taken = select(DeploymentRow).where(DeploymentRow.project_id == project.id, DeploymentRow.name == request.name)
        if session.scalars(taken).first() is not None:
            raise AlreadyThere(
                f"Project {project.name} has a deployment {request.name!r} already", action="Choose another name"
            )
        row.port = machine.free_port(session, service.settings) if request.own_port else None
        row.workflow_id = workflow_id
        session.add(row)
        session.flush()
        first = revision_row(row, settings, 1, 1, principal, workflow_id, request.comment)
        session.add(first)
        served.asked(session, row, first)

    try:
        workflow = service.workflows.start(
            principal,
            WorkflowKind.DEPLOY,
            resource=resource_of(row),
            arguments={"revision": 1, "before": DeploymentState.PENDING.value},
            prepare=prepare,
        )
    except IntegrityError as error:  # two requests took the same name or port at the same moment
        raise AlreadyThere(f"The name {request.name!r} was taken just now", action="Choose another name") from error
    return _accepted(service, row.id, workflow)


def _registry_for(service: Service, project: ProjectRow, registry: str | None) -> str:
    """The registry of the project's environment, which is the only one that it may deploy from."""
    own = project.workspace.environment.model_registry
    if own is None:
        raise WrongState(
            f"The environment {project.workspace.environment.name} has no Model Registry",
            action="Create one: `registry-tui registries create`",
        )
    if registry is not None and registry not in (own.id, own.name):
        raise wrong_field(
            "registry", f"project {project.name} deploys from {own.name}, the registry of its environment"
        )
    return own.id


# -- changing ----------------------------------------------------------------------------------------------


def update_deployment(
    service: Service, principal: Principal, deployment: str, request: DeploymentUpdate
) -> Accepted[Deployment] | Deployment:
    """Changes a deployment: description and authentication at once, all else by a rollout that callers do not notice.

    Raises Missing, NotPermitted, InvalidInput, WrongState, PartUnavailable.
    """
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_CHANGE)
    require_change(request)
    now_ = settings_now(service, principal, row)
    at_once = {"description", "authentication", "follow_rollout", "comment", "rollout"}
    changed = request.model_dump(exclude_none=True, exclude=at_once)
    rollout = request.rollout if request.rollout is not None and request.rollout.tries else None
    if rollout is not None and not changed:
        raise wrong_field("rollout", "nothing is changed that would be rolled out")
    if not changed:
        require_followed(request.follow_rollout, follows=row.follow_alias)
        _change_face(service, principal, row, request)
        return deployment_views.get_deployment(service, principal, row.id)
    version, alias, follow = now_.version, now_.alias, now_.follow_alias
    if request.version is not None or request.alias is not None:
        version = version_to_serve(service, principal, row.registry_id, row.model_name, request.version, request.alias)
        alias, follow = request.alias, bool(request.alias and (request.follow_alias or follow))
    if request.follow_alias is not None:
        follow = request.follow_alias
    if follow and alias is None:
        raise wrong_field("follow_alias", "name the alias to follow")
    require_followed(request.follow_rollout, follows=follow)
    _require_admitted(service, principal, version, row)
    environment = now_.environment
    if request.environment is not None:
        environment = checked_environment(request.environment, environment)
    replicas, autoscaling = now_.replicas, now_.autoscaling
    if request.replicas is not None:
        replicas, autoscaling = request.replicas, None
    elif request.autoscaling is not None:
        autoscaling = changed_autoscaling(autoscaling, request.autoscaling)
        replicas = autoscaling.min_replicas
    wanted = Settings(
        version=version,
        alias=alias,
        follow_alias=follow,
        replicas=replicas,
        autoscaling=autoscaling,
        gpus=request.gpus if request.gpus is not None else now_.gpus,
        cpu=request.cpu if request.cpu is not None else now_.cpu,
        memory_bytes=request.memory_bytes if request.memory_bytes is not None else now_.memory_bytes,
        environment=environment,
        batching=request.batching if request.batching is not None else now_.batching,
        strict_json=request.strict_json if request.strict_json is not None else now_.strict_json,
    )
    _change_face(service, principal, row, request)
    return roll_out(service, principal, row, wanted, request.comment, rollout=rollout)


def restart_deployment(service: Service, principal: Principal, deployment: str) -> Accepted[Deployment]:
    """Replaces all replicas by new ones, without an interruption for callers; starts a stopped deployment.

    Raises Missing, NotPermitted, WrongState, PartUnavailable.
    """
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_CHANGE)
    settings = settings_now(service, principal, row)
    _require_admitted(service, principal, settings.version, row)
    return roll_out(service, principal, row, settings, "restart", fresh=True)


def roll_back(
    service: Service, principal: Principal, deployment: str, revision: int | None = None
) -> Accepted[Deployment]:
    """Rolls back to an earlier revision's settings, or to those that served before; stops following an alias.

    Raises Missing, NotPermitted, WrongState without an earlier one, PartUnavailable.
    """
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_CHANGE)
    have_served = [each for each in row.revisions if each.state == RevisionState.REPLACED.value]
    if revision is None:
        now_ = gateway_link.active_revision(row) or row.revisions[-1]
        # A restart or another number of replicas is not a step back.
        before = [each for each in have_served if each.number < row.revision and not serves_the_same(each, now_)]
        if not before:
            raise WrongState(f"{row.name} has served nothing else before", action="See its history")
        target = before[-1]
    else:
        known = {each.number: each for each in row.revisions}
        if revision not in known:
            raise Missing(f"{row.name} has no revision {revision}", action="See its history")
        target = known[revision]
    settings = settings_of(service, principal, row, target)
    _require_admitted(service, principal, settings.version, row)
    wanted = replace(settings, alias=None, follow_alias=False)
    if revision is None:
        present = settings_now(service, principal, row)
        wanted = replace(wanted, replicas=present.replicas, autoscaling=present.autoscaling)
    return roll_out(service, principal, row, wanted, f"rolled back to revision {target.number}")


def serves_the_same(one: RevisionRow, other: RevisionRow) -> bool:
    """Whether two revisions differ in nothing that callers or replicas notice."""
    fields = ("version_id", "environment", "cpu", "gpus", "batching", "strict_json")
    return all(getattr(one, field) == getattr(other, field) for field in fields)


def roll_out(
    service: Service,
    principal: Principal,
    row: DeploymentRow,
    settings: Settings,
    comment: str,
    *,
    fresh: bool = False,
    instead_of: int | None = None,
    reason: str = "",
    rollout: Rollout | None = None,
) -> Accepted[Deployment]:
    """Begins a rollout of these settings as a new revision; `fresh`: with new replicas in any case.

    `instead_of`: the failing revision that it replaces; `reason` is then kept as that one's error. `rollout`: how the
    revision is tried before all callers reach it.
    """
    number = 1 + max((each.number for each in row.revisions), default=0)

    def prepare(session: Session, workflow_id: str) -> None:
        present = session.get_one(DeploymentRow, row.id)
        if present.revision != row.revision or len(present.revisions) != len(row.revisions):
            raise WrongState(f"{row.name} was changed meanwhile", action="Look at it again")
        active = gateway_link.active_revision(present)
        serves = active is not None and present.state == DeploymentState.DEPLOYED.value
        same = active is not None and serves and not fresh and same_replicas(active, settings)
        generation = active.generation if active is not None and same else number
        # A rollback from a failing version must be possible however full the machine is.
        beside = machine.claimed_beside(present, generation) if instead_of is None else 0
        machine.require_room(session, row, room_for(settings), but=row.id, beside=beside)
        present.workflow_id, present.updated_at = workflow_id, now()
        new = revision_row(present, settings, number, generation, principal, workflow_id, comment)
        for each in present.revisions:
            if each.number == instead_of:
                each.error = reason
        # A generation of replicas is on trial only once; a revision of an automatic rollback is not.
        new.proven = instead_of is not None or (active is not None and same and active.proven)
        session.add(new)
        if rollout is not None:
            canaries.begin(service, session, present, new, rollout)
        served.asked(session, present, new)

    workflow = service.workflows.start(
        principal,
        WorkflowKind.DEPLOY,
        resource=resource_of(row),
        arguments={"revision": number, "before": row.state, "reason": reason},
        prepare=prepare,
    )
    return _accepted(service, row.id, workflow)


def stop_deployment(service: Service, principal: Principal, deployment: str) -> Accepted[Deployment]:
    """Ends all replicas once they have answered the requests under way. Raises Missing, NotPermitted, WrongState."""
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_CHANGE)
    if row.state == DeploymentState.STOPPED.value:
        raise WrongState(f"{row.name} is stopped already")
    workflow = service.workflows.start(
        principal, WorkflowKind.STOP, resource=resource_of(row), arguments={"before": row.state}, prepare=_noting(row)
    )
    return _accepted(service, row.id, workflow)


def delete_deployment(
    service: Service, principal: Principal, deployment: str, *, force: bool = False
) -> Accepted[Deployment]:
    """Deletes a stopped deployment with its history; its logs stay. `force`: stops it first.

    Raises Missing, NotPermitted, WrongState while it serves.
    """
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_CHANGE)
    if row.state in machine.CLAIMING and not force:
        raise WrongState(
            f"{row.name} is {row.state}",
            action=f"Stop it first: `registry-tui deployments stop {row.name}`, or delete it with force",
        )
    shown = deployment_views.get_deployment(service, principal, row.id)
    workflow = service.workflows.start(
        principal,
        WorkflowKind.UNDEPLOY,
        resource=resource_of(row),
        arguments={SHOWN: shown.model_dump(mode="json")},
        prepare=_noting(row),
    )
    return Accepted(resource=shown, workflow=workflow)


def alias_moved(service: Service, principal: Principal, row: DeploymentRow, number: int) -> Accepted[Deployment]:
    """Rolls a deployment to the version that the alias it follows names now. Raises ServiceError."""
    settings = settings_now(service, principal, row)
    version = version_to_serve(service, principal, row.registry_id, row.model_id, number, None)
    _require_admitted(service, principal, version, row)
    wanted = Settings(**{**vars(settings), "version": version})
    rollout = None if row.follow_rollout is None else Rollout.model_validate(row.follow_rollout)
    if not gateway_link.serves(row):
        rollout = None  # no serving version to try it next to
    return roll_out(service, principal, row, wanted, f"alias {row.alias} moved to version {number}", rollout=rollout)


def _require_admitted(
    service: Service, principal: Principal, version: ModelVersion, row: DeploymentRow | None = None
) -> None:
    """Raises NotAdmitted, PartUnavailable unless the environment's rules let a version be deployed.

    A version that is being served is not checked against newer rules; one that was stopped is checked again.
    """
    if row is not None and row.state == DeploymentState.DEPLOYED.value and row.version_id == version.id:
        return
    place = enter_registry(service, version.registry_id)
    # A rollout continues when its deployer cannot see the model any more.
    anybody = replace(principal, administrator=True)
    model = models.find_model(service, anybody, place, version.model_id)
    admission.require(service, principal, place, model, version, Purpose.DEPLOY)


def _noting(row: DeploymentRow) -> Callable[[Session, str], None]:
    def note(session: Session, workflow_id: str) -> None:
        present = session.get(DeploymentRow, row.id)
        if present is None:
            raise Missing(f"There is no deployment {row.name!r} any more")
        present.workflow_id, present.updated_at = workflow_id, now()

    return note


def _change_face(service: Service, principal: Principal, row: DeploymentRow, request: DeploymentUpdate) -> None:
    """Changes description, authentication, and how its alias is followed, which need no rollout."""
    if request.description is None and request.authentication is None and request.follow_rollout is None:
        return
    with (
        events.recording(service, principal, "deployment.update", resource_of(row)),
        service.database.session() as session,
    ):
        present = session.get_one(DeploymentRow, row.id)
        if request.description is not None:
            present.description = request.description
        if request.authentication is not None:
            present.authentication = request.authentication
        if request.follow_rollout is not None:
            present.follow_rollout = kept_rollout(request.follow_rollout)
        present.updated_at = now()
    gateway_link.publish(service)


def _accepted(service: Service, id_: str, workflow: Workflow) -> Accepted[Deployment]:
    return Accepted(resource=deployment_views.show(service, id_), workflow=workflow)
