"""Model Registries: create, list, details, synchronize, storage access, delete. The work itself is in `workflows/`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

import registry_tui
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.operations import Accepted, WorkflowKind
from registry_tui.schemas.places import Cloud
from registry_tui.schemas.registries import (
    NFS_PATTERN,
    ModelRegistry,
    RegistryCreate,
    RegistryDelete,
    RegistryStatus,
    StorageAccess,
    StorageAccessTried,
)
from registry_tui.service.core import events, identity, nfs, own_stores, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.idempotency import SHOWN
from registry_tui.service.core.probing import note_access_again
from registry_tui.service.core.resolve import resolve_environment, resolve_registry
from registry_tui.service.database.tables import (
    DeploymentRow,
    EnvironmentRow,
    ProjectRow,
    RegistryRow,
    WorkflowRow,
    new_id,
    now,
)
from registry_tui.service.errors import AlreadyThere, InUse, InvalidInput, NotPermitted, WrongState
from registry_tui.service.registries import storage_access
from registry_tui.service.registries.views import count_models, to_schema

ENTITLEMENT = "ML_MODEL_REGISTRY"
#: Where a registry is created from, when that is not a workspace.
CONTROL_PLANE = "control plane"
#: Prefix of registries' MLflow workspaces; no project's has it.
MLFLOW_PREFIX = "mr-"

_ORDER: Mapping[str, Callable[[ModelRegistry], Any]] = {
    "name": lambda registry: registry.name,
    "environment": lambda registry: registry.environment_name,
    "cloud": lambda registry: registry.cloud.value,
    "status": lambda registry: registry.status.label,
    "owner": lambda registry: registry.owner,
    "location": lambda registry: registry.location,
    "created_at": lambda registry: registry.created_at,
    "updated_at": lambda registry: registry.updated_at,
}


# -- reading -------------------------------------------------------------------------------------------


def list_registries(
    service: Service,
    principal: Principal,
    *,
    name: str | None = None,
    status: str | None = None,
    environment: str | None = None,
    order_by: str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[ModelRegistry]:
    """Model Registries, sorted by `order_by` (`field` or `-field`), by default by name.

    `name` and `environment` match a part, `status` a whole status or its label, all in any case. Raises InvalidInput
    for an unknown order or a wrong token.
    """
    paging.check_page_size(page_size)
    order = order_by or "name"
    key = _ORDER.get(order.removeprefix("-"))
    if key is None:
        message = f"must be one of {', '.join(_ORDER)}, with - before it for descending"
        raise InvalidInput("The order is not valid", errors=[FieldProblem(field="order_by", message=message)])
    scope = f"registries:{name}:{status}:{environment}:{order}"
    start = int(paging.decode_token(scope, page_token, int)[0]) if page_token else 0
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        rows = [row for row in session.scalars(_with_places()) if seen is None or row.environment_id in seen]
        found = [to_schema(service, session, row) for row in rows]
    wanted = [
        registry
        for registry in found
        if _contains(registry.name, name)
        and _contains(registry.environment_name, environment)
        and (not status or status.casefold() in (registry.status.value, registry.status.label.casefold()))
    ]
    wanted.sort(key=lambda registry: registry.name)
    wanted.sort(key=key, reverse=order.startswith("-"))
    more = start + page_size < len(wanted)
    return Page(
        items=wanted[start : start + page_size],
        next_page_token=paging.encode_token(scope, start + page_size) if more else None,
        total=len(wanted),
    )


def get_registry(service: Service, principal: Principal, registry: str) -> ModelRegistry:
    """One registry with every field. Raises Missing."""
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        found = to_schema(service, session, resolve_registry(session, registry, seen))
    return _counted(service, found)


def tried_storage_access(service: Service, principal: Principal, registry: str, max_age: float) -> StorageAccessTried:
    """Whether the machine user has access, and how its NFS is, tried again when the last try is older, in seconds.

    Each try writes an object to the store, so there is at most one a second. Raises Missing.
    """
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        row = resolve_registry(session, registry, seen)
    note_access_again(service, row.environment_id, max(max_age, 1.0))
    shared = nfs.try_again(service, row, max(max_age, 1.0))
    with service.database.reading() as session:
        found = to_schema(service, session, resolve_registry(session, row.id, seen))
    return StorageAccessTried(
        access=found.storage_access,
        tried_at=found.storage_access_tried_at,
        problem=found.storage_access_problem,
        nfs=shared,
    )


def deployed_versions(session: Session, registry_id: str) -> list[str]:
    """Names of deployments that serve a version of this registry and are not stopped."""
    query = (
        select(DeploymentRow)
        .where(DeploymentRow.registry_id == registry_id, DeploymentRow.state.not_in(("stopped", "failed")))
        .order_by(DeploymentRow.name)
    )
    return [f"{row.name} ({row.model_name} v{row.version})" for row in session.scalars(query)]


# -- changing ------------------------------------------------------------------------------------------


def create_registry(service: Service, principal: Principal, request: RegistryCreate) -> Accepted[ModelRegistry]:
    """Makes the environment's registry, as a workflow.

    Raises NotPermitted (also without the entitlement), Missing for the environment, InvalidInput, AlreadyThere.
    """
    named = request.name or f"registry-{request.environment}"
    with events.refusals(service, principal, "registry.create", Resource("registry", named, named)):
        with service.database.reading() as session:
            seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
            environment = resolve_environment(session, request.environment, seen)
            permissions.require_in(session, principal, Action.REGISTRY_CREATE, environment)
        if ENTITLEMENT not in service.settings.entitlements:
            raise NotPermitted(
                f"This account is not entitled to Model Registries: {ENTITLEMENT} is missing",
                action=f"Add {ENTITLEMENT} to `entitlements` in the table [service] of {service.home.config_file}",
            )
        with service.database.reading() as session:
            environment = resolve_environment(session, environment.id)
            _require_none(environment)
        _check_cloud(Cloud(environment.cloud), request)
        id_, user_id = new_id(), new_id()
        name = request.name or f"registry-{environment.name}"
        workload_name = f"srv_cml_env_machine_user_{secrets.token_hex(3)[:5]}"

        def insert(session: Session, workflow_id: str) -> None:
            resolve_environment(session, environment.id)  # it may have been deleted meanwhile
            session.add(
                RegistryRow(
                    id=id_,
                    name=name,
                    crn=identity.crn(session, "registry", id_),
                    status=RegistryStatus.PROVISION_STARTED.value,
                    environment_id=environment.id,
                    location=CONTROL_PLANE,
                    prefix=own_stores.archives_folder(session, environment.id),
                    owner=principal.name,
                    creator=principal.name,
                    mlflow_workspace=_mlflow_workspace(session, environment.name, id_),
                    existing_nfs=request.existing_nfs or None,
                    nfs_protocol_version=request.nfs_protocol_version,
                    version=registry_tui.__version__,
                    machine_user_workload_name=workload_name,
                    machine_user_crn=identity.crn(session, "machine-user", f"{workload_name}/{user_id}"),
                    grant_storage_access=request.grant_storage_access,
                    workflow_id=workflow_id,
                )
            )
            session.flush()

        try:
            return _begin(service, principal, WorkflowKind.PROVISION, Resource("registry", id_, name, id_), insert)
        except IntegrityError as error:
            with service.database.reading() as session:
                _require_none(resolve_environment(session, environment.id))
            raise AlreadyThere(f"There is a Model Registry {name!r} already", action="Choose another name") from error


def synchronize_registry(service: Service, principal: Principal, registry: str) -> Accepted[ModelRegistry]:
    """Configures the registry in every workspace of its environment, as a workflow.

    Raises NotPermitted, Missing, WrongState unless the registry is available.
    """
    row = _row(service, principal, registry)
    resource = resource_of(row)
    with events.refusals(service, principal, "registry.synchronize", resource):
        _require(service, principal, Action.REGISTRY_SYNCHRONIZE, row)
        require_live(row)
        noting = _noting_workflow(row, RegistryStatus.MODIFY_STARTED)
        return _begin(service, principal, WorkflowKind.SYNCHRONIZE, resource, noting)


def delete_registry(
    service: Service, principal: Principal, registry: str, request: RegistryDelete
) -> Accepted[ModelRegistry]:
    """Deletes a registry with its registered models, as a workflow; archives only with `delete_archives`.

    Raises NotPermitted, Missing, InUse while versions are deployed unless `force`, WrongState.
    """
    row = _row(service, principal, registry)
    resource = resource_of(row)
    with events.refusals(service, principal, "registry.delete", resource):
        _require(service, principal, Action.REGISTRY_DELETE, row)
        if not request.force:
            require_nothing_deployed(service, row)
        arguments = {"force": request.force, "delete_archives": request.delete_archives, "before": row.status}
        noting = _noting_workflow(row, RegistryStatus.DEPROVISION_STARTED)
        return _begin(service, principal, WorkflowKind.DEPROVISION, resource, noting, **arguments)


def grant_storage_access(service: Service, principal: Principal, registry: str) -> ModelRegistry:
    """Lets the machine user use the registry's prefix. Raises NotPermitted, Missing, WrongState, PartUnavailable."""
    return _set_storage_access(service, principal, registry, StorageAccess.GRANTED)


def revoke_storage_access(service: Service, principal: Principal, registry: str) -> ModelRegistry:
    """Revokes the access that the machine user has by its name: nothing can be registered until it is granted again.

    `storage_access` of the result shows whether a group or a role still gives it. Raises as granting does.
    """
    return _set_storage_access(service, principal, registry, StorageAccess.NOT_GRANTED)


def _set_storage_access(service: Service, principal: Principal, registry: str, access: StorageAccess) -> ModelRegistry:
    row = _row(service, principal, registry)
    verb = "grant" if access is StorageAccess.GRANTED else "revoke"
    with events.recording(service, principal, f"registry.{verb}-storage", resource_of(row)) as event:
        _require(service, principal, Action.REGISTRY_GRANT, row)
        require_live(row)
        granted = access is StorageAccess.GRANTED
        (storage_access.grant if granted else storage_access.revoke)(service, row, principal.name)
        change(service, row.id, grant_storage_access=granted)
        found = get_registry(service, principal, row.id)
        if not granted and found.storage_access is StorageAccess.GRANTED:
            event.detail = "A group or a role still gives it access"
    return found


# -- for the workflows -----------------------------------------------------------------------------------


def resource_of(row: RegistryRow) -> Resource:
    """A registry as events and workflows name it."""
    return Resource("registry", row.id, row.name, row.id)


def load(service: Service, registry_id: str) -> RegistryRow | None:
    """A registry's row with its environment, or None if it does not exist."""
    with service.database.reading() as session:
        return session.scalars(_with_places().where(RegistryRow.id == registry_id)).one_or_none()


def change(service: Service, registry_id: str, **values: Any) -> None:
    """Sets columns of a registry's row, if it exists."""
    with service.database.session() as session:
        row = session.get(RegistryRow, registry_id)
        if row is not None:
            for name, value in values.items():
                setattr(row, name, value)
            row.updated_at = now()


def require_live(row: RegistryRow) -> None:
    """Raises WrongState unless a registry is available."""
    status = RegistryStatus(row.status)
    if not status.live:
        raise WrongState(
            f"Model Registry {row.name} is not available: {status.label}",
            action=f"`registry-tui registries show {row.name}` shows the workflow that it waits for",
        )


def require_nothing_deployed(service: Service, row: RegistryRow) -> None:
    """Raises InUse, naming the deployments, while versions of a registry are deployed."""
    with service.database.reading() as session:
        deployed = deployed_versions(session, row.id)
    if deployed:
        raise InUse(
            f"Versions of Model Registry {row.name} are deployed: {', '.join(deployed)}",
            action="Stop these deployments first, or delete with force",
        )


def _noting_workflow(seen: RegistryRow, status: RegistryStatus) -> Callable[[Session, str], None]:
    """Raises Missing, or WrongState when another workflow came and went since the row was `seen`."""

    def note(session: Session, workflow_id: str) -> None:
        row = resolve_registry(session, seen.id)
        if row.status != seen.status:
            raise WrongState(f"Model Registry {row.name} was changed meanwhile", action="Try again")
        row.workflow_id, row.status, row.updated_at = workflow_id, status.value, now()

    return note


# -- underneath ------------------------------------------------------------------------------------------


def _begin(
    service: Service,
    principal: Principal,
    kind: WorkflowKind,
    resource: Resource,
    prepare: Callable[[Session, str], None],
    **arguments: Any,
) -> Accepted[ModelRegistry]:
    """Begins a workflow; returns the registry as it is then, before the workflow changes or removes it."""
    shown: list[ModelRegistry] = []

    def prepare_and_show(session: Session, workflow_id: str) -> None:
        prepare(session, workflow_id)
        session.flush()
        shown.append(to_schema(service, session, resolve_registry(session, resource.id)))
        row = session.get_one(WorkflowRow, workflow_id)
        row.arguments = {**row.arguments, SHOWN: shown[0].model_dump(mode="json")}

    workflow = service.workflows.start(
        principal, kind, resource=resource, arguments=arguments, prepare=prepare_and_show
    )
    return Accepted(resource=_counted(service, shown[0]), workflow=workflow)


def _counted(service: Service, registry: ModelRegistry) -> ModelRegistry:
    """With the number of its models while it is available."""
    if not registry.status.live:
        return registry
    return registry.model_copy(update={"model_count": count_models(service, registry.mlflow_workspace)})


def _row(service: Service, principal: Principal, registry: str) -> RegistryRow:
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        row = resolve_registry(session, registry, seen)
        _ = row.environment.name
        return row


def _require(service: Service, principal: Principal, action: Action, row: RegistryRow) -> None:
    with service.database.reading() as session:
        permissions.require_in(session, principal, action, row.environment)


def _with_places() -> Any:
    return select(RegistryRow).options(selectinload(RegistryRow.environment), selectinload(RegistryRow.workspace_syncs))


def _contains(value: str, part: str | None) -> bool:
    return not part or part.casefold() in value.casefold()


def _require_none(environment: EnvironmentRow) -> None:
    existing = environment.model_registry
    if existing is not None:
        status = RegistryStatus(existing.status)
        action = "Use that one"
        if status.value.endswith("failed"):
            action = f"Retry its workflow, or delete it: `registry-tui registries delete {existing.name}`"
        raise AlreadyThere(
            f"Environment {environment.name} has a Model Registry already: {existing.name} ({status.label})",
            action=action,
        )


def _check_cloud(cloud: Cloud, request: RegistryCreate) -> None:
    """NFS belongs to Azure, and Azure needs it. Raises InvalidInput that names the fields."""
    problems = []
    given: Sequence[tuple[str, str | None]] = (
        ("existing_nfs", request.existing_nfs),
        ("nfs_protocol_version", request.nfs_protocol_version),
    )
    if cloud is Cloud.AWS:
        problems = [FieldProblem(field=field, message="only for Azure environments") for field, value in given if value]
    else:
        problems = [
            FieldProblem(field=field, message="an Azure environment needs it") for field, value in given if not value
        ]
        if request.existing_nfs and not re.fullmatch(NFS_PATTERN, request.existing_nfs):
            message = "must be host:/path, for example nfs.example.net:/exports/registry"
            problems.append(FieldProblem(field="existing_nfs", message=message))
    if problems:
        raise InvalidInput(
            "; ".join(f"{problem.field}: {problem.message}" for problem in problems),
            action="Give both for an Azure environment, none for an AWS one",
            errors=problems,
        )


def _mlflow_workspace(session: Session, environment: str, id_: str) -> str:
    """`mr-<environment>`, or with a suffix where an older registry or project has that."""
    wanted = f"{MLFLOW_PREFIX}{environment}"
    taken = session.scalars(select(RegistryRow.mlflow_workspace).where(RegistryRow.mlflow_workspace == wanted)).first()
    if taken is None:
        taken = session.scalars(select(ProjectRow.id).where(ProjectRow.mlflow_workspace == wanted)).first()
    return wanted if taken is None else f"{wanted}-{id_[:6]}"
