"""Projects: each is one MLflow workspace, made and deleted with it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.places import Project, ProjectCreate, Role
from registry_tui.schemas.stores import uri_of
from registry_tui.service.core import events, idempotency, own_stores, paging, permissions, served
from registry_tui.service.core.artifact_places import delete_in
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.resolve import (
    attached_to,
    resolve_environment,
    resolve_project,
    resolve_workspace,
)
from registry_tui.service.database.tables import (
    CollaboratorRow,
    DeploymentRow,
    EnvironmentRow,
    ProjectRow,
    RegistryRow,
    WorkspaceRow,
    new_id,
)
from registry_tui.service.errors import AlreadyThere, InUse, InvalidInput, PartUnavailable, ServiceError, WrongState
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.publishing import mlflow as routing
from registry_tui.service.stores.uploads import abort_outside

logger = logging.getLogger(__name__)

#: Registries' MLflow workspaces begin so.
RESERVED_PREFIX = "mr-"
#: MLflow's own workspace, which is always there: only the first project of an installation is given it.
MLFLOW_DEFAULT = "default"
#: The ID that MLflow's clients give the default experiment.
DEFAULT_EXPERIMENT = "0"

_ORDER: Mapping[str, InstrumentedAttribute[Any]] = {
    "name": ProjectRow.name,
    "creator": ProjectRow.creator,
    "created_at": ProjectRow.created_at,
}

#: Creating and deleting touch several systems; one at a time, so that an unfinished row is surely an abandoned one.
_LOCK = "projects"


def create_project(
    service: Service, principal: Principal, request: ProjectCreate, *, mlflow_workspace: str | None = None
) -> Project:
    """Makes a project with its MLflow workspace; its creator is its first administrator.

    The row is written first, in the state `creating`, in which it is hidden; rows left in that state by an error or a
    crash are removed. Raises InvalidInput, Missing for the workspace, AlreadyThere, PartUnavailable.
    """
    id_ = new_id()
    with (
        events.recording(service, principal, "project.create", Resource("project", id_, request.name)),
        service.locks.of(_LOCK),
    ):
        check_name(request.name)
        _clean_up(service, waiting=False)
        with service.database.session() as session:
            seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
            workspace = resolve_workspace(session, request.workspace, seen)
            permissions.require_in(session, principal, Action.PROJECT_CREATE, workspace.environment)
            _require_own(session, workspace)
            _require_free(session, workspace, request.name)
            name = mlflow_workspace or free_mlflow_workspace(session, request.name, id_)
            row = ProjectRow(
                id=id_,
                name=request.name,
                description=request.description,
                workspace_id=workspace.id,
                mlflow_workspace=name,
                artifacts_folder=own_stores.artifacts_folder(session, workspace.environment_id, name),
                creator=principal.name,
                collaborators=[CollaboratorRow(user=principal.name, role=Role.ADMIN.value)],
            )
            session.add(row)
        service.mlflow.create_workspace(row.mlflow_workspace, request.description[:500])
        routing.publish(service)
        routing.mirror_access(service, id_)
        # MLflow's server makes the project's own Default on this request.
        service.mlflow.call(
            "GET", "experiments/get", workspace=row.mlflow_workspace, params={"experiment_id": DEFAULT_EXPERIMENT}
        )
        with service.database.session() as session:
            session.get_one(ProjectRow, id_).state = "ready"
    return get_project(service, principal, id_)


def get_project(service: Service, principal: Principal, project: str) -> Project:
    """One project. Raises Missing, InvalidInput for an ambiguous name, NotPermitted."""
    with service.database.reading() as session:
        row = permissions.find_project(session, principal, project)
        permissions.check_project(session, principal, row, Action.PROJECT_READ)
        return to_schema(row)


def list_projects(
    service: Service,
    principal: Principal,
    *,
    name: str | None = None,
    workspace: str | None = None,
    environment: str | None = None,
    order_by: str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[Project]:
    """The projects that the principal may enter, sorted by `order_by` (`field` or `-field`), by default by name.

    `name` is a part of the name. Raises Missing, InvalidInput for an unknown order or a wrong token.
    """
    order = order_by or "name"
    column = _ORDER.get(order.removeprefix("-"))
    if column is None:
        message = f"must be one of {', '.join(_ORDER)}, with - before it for descending"
        raise InvalidInput("The order is not valid", errors=[FieldProblem(field="order_by", message=message)])
    query = (
        select(ProjectRow)
        .where(ProjectRow.state == "ready")
        .options(
            selectinload(ProjectRow.workspace)
            .selectinload(WorkspaceRow.environment)
            .selectinload(EnvironmentRow.store),
            selectinload(ProjectRow.workspace).selectinload(WorkspaceRow.sync),
            selectinload(ProjectRow.workspace).selectinload(WorkspaceRow.attached_server),
        )
    )
    if not principal.administrator:
        query = query.where(ProjectRow.id.in_(permissions.own_projects(principal)))
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        if workspace is not None:
            query = query.where(ProjectRow.workspace_id == resolve_workspace(session, workspace, seen).id)
        if environment is not None:
            of_environment = WorkspaceRow.environment_id == resolve_environment(session, environment, seen).id
            query = query.where(ProjectRow.workspace.has(of_environment))
        if name:
            query = query.where(ProjectRow.name.contains(name.lower(), autoescape=True))
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(column, order.startswith("-")), paging.Key(ProjectRow.id)],
            scope=f"projects:{principal.name}:{name}:{workspace}:{environment}",
            page_size=page_size,
            page_token=page_token,
        )
        return found.to_page(to_schema)


def delete_project(service: Service, principal: Principal, project: str, *, force: bool = False) -> None:
    """Deletes a project, its MLflow workspace and its run artifacts. Archives of registered versions stay.

    Raises Missing, NotPermitted, InUse when it holds experiments and `force` is off, PartUnavailable.
    """
    with service.database.reading() as session:
        row = permissions.find_project(session, principal, project)
    with (
        events.recording(service, principal, "project.delete", Resource("project", row.id, row.name)),
        service.locks.of(_LOCK),
    ):
        with service.database.reading() as session:
            row = resolve_project(session, row.id)
            permissions.check_project(session, principal, row, Action.PROJECT_DELETE)
            if attached_to(session, row.workspace_id) is not None:
                raise WrongState(
                    f"Project {row.name} shows an MLflow server elsewhere",
                    action=f"Detach it: `registry-tui detach {row.workspace.name}`",
                )
        idempotency.takes_elsewhere(service, row.id)
        if not force and (experiments := _experiments(service, row.mlflow_workspace)):
            more = f" and {len(experiments) - 5} more" if len(experiments) > 5 else ""
            raise InUse(
                f"Project {row.name} still has experiments: {', '.join(experiments[:5])}{more}",
                action="Delete them first, or delete the project with force",
            )
        if not force and (deployed := _deployed(service, row.id)):
            raise InUse(
                f"Project {row.name} still has deployments: {', '.join(deployed)}",
                action="Delete them first, or delete the project with force",
            )
        with service.database.session() as session:
            session.get_one(ProjectRow, row.id).state = "deleting"
        routing.publish(service)
        try:
            _clean_up(service)
        except PartUnavailable as error:
            # The project is gone for everybody; its remains are removed when the part responds again.
            logger.warning("files of project %s are removed later: %s", row.name, error.detail)


def clean_up(service: Service) -> None:
    """Removes projects whose creation or deletion was interrupted. Raises PartUnavailable."""
    with service.locks.of(_LOCK):
        _clean_up(service)


def to_schema(row: ProjectRow) -> Project:
    """The project as people see it."""
    workspace = row.workspace
    registry = routing.registry_of(row)
    server = workspace.attached_server
    return Project(
        id=row.id,
        name=row.name,
        description=row.description,
        workspace_id=workspace.id,
        workspace_name=workspace.name,
        environment_id=workspace.environment_id,
        environment_name=workspace.environment.name,
        mlflow_workspace=row.mlflow_workspace,
        creator=row.creator,
        created_at=row.created_at,
        registry_id=None if registry is None else registry.id,
        registry_name=None if registry is None else registry.name,
        attached_url=None if server is None else server.url,
        artifacts_uri="" if server is not None else _artifacts_uri(row),
    )


def _clean_up(service: Service, *, waiting: bool = True) -> None:
    """Without `waiting`, skips projects whose artifacts are in a store that might not respond."""
    with service.database.reading() as session:
        query = select(ProjectRow).where(ProjectRow.state != "ready")
        query = query.options(selectinload(ProjectRow.workspace).selectinload(WorkspaceRow.environment))
        unfinished = list(session.scalars(query))
    for row in unfinished:
        outside = row.state == "deleting" and bool(row.artifacts_folder)
        if outside and not waiting:
            continue
        _undeploy(service, row.id)
        service.access.remove_project(row.mlflow_workspace)
        if row.state == "deleting" or row.mlflow_workspace != MLFLOW_DEFAULT:
            service.mlflow.delete_workspace(row.mlflow_workspace, cascade=True)
        service.stores.objects.delete_prefix(row.workspace.environment.bucket, f"workspaces/{row.mlflow_workspace}/")
        if outside and not _artifacts_removed(service, row):
            continue
        with service.database.session() as session:
            session.delete(session.get_one(ProjectRow, row.id))


def _artifacts_removed(service: Service, row: ProjectRow) -> bool:
    """Removes a project's artifacts from the environment's own store; False while that does not respond."""
    try:
        store = own_stores.claimed_store(service, row.workspace.environment_id)
        if store is not None:
            abort_outside(store, f"{row.artifacts_folder}/")
            delete_in(store, f"{row.artifacts_folder}/")
    except ServiceError as error:
        # Other projects must not wait for it.
        logger.warning("the artifacts of project %s are removed later: %s", row.name, error.detail)
        return False
    return True


def _deployed(service: Service, project_id: str) -> list[str]:
    query = select(DeploymentRow.name).where(DeploymentRow.project_id == project_id).order_by(DeploymentRow.name)
    with service.database.reading() as session:
        return list(session.scalars(query))


def _undeploy(service: Service, project_id: str) -> None:
    """Ends a project's deployments, and deletes their rows. Raises PartUnavailable."""
    local = service.backends.replicas
    query = select(DeploymentRow).where(DeploymentRow.project_id == project_id)
    with service.database.reading() as session:
        ids = [row.id for row in session.scalars(query)]
    if not ids:
        return
    local.remove([name for id_ in ids for name in local.names(id_)])
    with service.database.session() as session:
        for row in session.scalars(query).all():
            session.delete(row)
            served.deleted(session, row.id, "")
    gateway_link.publish(service)


def _artifacts_uri(row: ProjectRow) -> str:
    environment = row.workspace.environment
    if row.artifacts_folder and environment.store is not None:
        return f"{uri_of(own_stores.store_of(environment.store.store))}{row.artifacts_folder}/"
    return f"s3://{environment.bucket}/workspaces/{row.mlflow_workspace}/"


def check_name(name: str) -> None:
    """Raises InvalidInput for a name that projects cannot have."""
    if name.startswith(RESERVED_PREFIX):
        message = f"names that begin with {RESERVED_PREFIX} belong to Model Registries"
        raise InvalidInput("The name is not valid", errors=[FieldProblem(field="name", message=message)])


def _require_own(session: Session, workspace: WorkspaceRow) -> None:
    """Raises WrongState for a workspace that shows an MLflow server elsewhere."""
    if (server := attached_to(session, workspace.id)) is not None:
        raise WrongState(
            f"Workspace {workspace.name} shows MLflow at {server.url}, so it has no other projects",
            action="Create the project in another workspace",
        )


def _require_free(session: Session, workspace: WorkspaceRow, name: str) -> None:
    query = select(ProjectRow).where(ProjectRow.workspace_id == workspace.id, ProjectRow.name == name)
    taken = session.scalars(query).first()
    if taken is not None:
        raise AlreadyThere(f"Workspace {workspace.name} has a project {name!r} already", action="Choose another name")


def free_mlflow_workspace(session: Session, name: str, id_: str) -> str:
    """The project's own name when no other project or registry has it, else with a suffix."""
    taken = {
        MLFLOW_DEFAULT,
        *session.scalars(select(ProjectRow.mlflow_workspace)),
        *session.scalars(select(RegistryRow.mlflow_workspace)),
    }
    return name if name not in taken else f"{name}-{id_[:6]}"


def _experiments(service: Service, mlflow_workspace: str) -> Sequence[str]:
    """Names of the experiments that hold anything: MLflow's own empty `Default` does not count."""
    found = service.mlflow.call(
        "POST", "experiments/search", workspace=mlflow_workspace, json={"max_results": 1000}
    ).get("experiments", [])
    return [
        experiment["name"]
        for experiment in found
        if experiment["name"] != "Default" or _has_runs(service, mlflow_workspace, experiment["experiment_id"])
    ]


def _has_runs(service: Service, mlflow_workspace: str, experiment_id: str) -> bool:
    body = {"experiment_ids": [experiment_id], "max_results": 1}
    return bool(service.mlflow.call("POST", "runs/search", workspace=mlflow_workspace, json=body).get("runs"))
