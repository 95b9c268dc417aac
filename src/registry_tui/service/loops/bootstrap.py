"""Makes the first places of a new installation: an environment, a workspace, a project, and its Model Registry."""

from __future__ import annotations

import logging

from sqlalchemy import select

from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Cloud, EnvironmentCreate, ProjectCreate, WorkspaceCreate
from registry_tui.schemas.registries import RegistryCreate
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import EnvironmentRow, InstallationRow, ProjectRow, WorkflowRow, WorkspaceRow
from registry_tui.service.errors import PartUnavailable, WrongState
from registry_tui.service.places import environments, projects, workspaces
from registry_tui.service.registries import lifecycle as registries

logger = logging.getLogger(__name__)

ENVIRONMENT, WORKSPACE, PROJECT = "local", "default", "default"
_MARK = "bootstrap"


def run(service: Service) -> None:
    """Makes the missing first resources, once in an installation's life; resumes an interrupted earlier call.

    Raises ServiceError, PartUnavailable among them: call it again later.
    """
    if _marked(service, _MARK):
        return
    principal = identity.owner_principal(service)
    environment, workspace, project = _found(service)
    if environment is None:
        request = EnvironmentCreate(name=ENVIRONMENT, cloud=Cloud.AWS, raz_enabled=True)
        environment = environments.create_environment(service, principal, request).id
    if workspace is None:
        workspace = workspaces.create_workspace(
            service, principal, WorkspaceCreate(name=WORKSPACE, environment=environment)
        ).id
    if not service.mlflow.answers():
        raise PartUnavailable("MLflow's server does not answer yet")
    if project is None:
        request_project = ProjectCreate(
            name=PROJECT, workspace=workspace, description="The first project of this installation."
        )
        projects.create_project(service, principal, request_project, mlflow_workspace=projects.MLFLOW_DEFAULT)
    _ensure_registry(service, principal, environment)
    with service.database.session() as session:
        session.add(InstallationRow(key=_MARK, value="done"))
    logger.info("the first environment, workspace, project and Model Registry are there")


def _found(service: Service) -> tuple[str | None, str | None, str | None]:
    with service.database.reading() as session:
        environment = session.scalars(
            select(EnvironmentRow.id).where(EnvironmentRow.name == ENVIRONMENT, EnvironmentRow.state == "ready")
        ).first()
        workspace = session.scalars(
            select(WorkspaceRow.id).where(WorkspaceRow.name == WORKSPACE, WorkspaceRow.environment_id == environment)
        ).first()
        project = session.scalars(
            select(ProjectRow.id).where(
                ProjectRow.name == PROJECT, ProjectRow.workspace_id == workspace, ProjectRow.state == "ready"
            )
        ).first()
    return environment, workspace, project


def _ensure_registry(service: Service, principal: Principal, environment_id: str) -> None:
    with service.database.reading() as session:
        environment = session.get_one(EnvironmentRow, environment_id)
        registry = environment.model_registry
        synchronized = registry is not None and any(sync.synchronized_at for sync in registry.workspace_syncs)
        last = None
        if registry is not None:
            query = (
                select(WorkflowRow)
                .where(WorkflowRow.resource_type == "registry", WorkflowRow.resource_id == registry.id)
                .order_by(WorkflowRow.created_at.desc())
            )
            last = session.scalars(query).first()
    if registry is None:
        accepted = registries.create_registry(
            service, principal, RegistryCreate(environment=environment_id, grant_storage_access=True)
        )
        _wait(service, accepted.workflow.id)
        registry_id = accepted.resource.id
    else:
        registry_id = registry.id
        if last is not None:
            if WorkflowStatus(last.status) in (WorkflowStatus.FAILED, WorkflowStatus.CANCELLED):
                _wait(service, service.workflows.retry(principal, last.id).id)
            else:
                _wait(service, last.id)
    if not synchronized:
        _wait(service, registries.synchronize_registry(service, principal, registry_id).workflow.id)


def _wait(service: Service, workflow_id: str) -> None:
    workflow = service.workflows.wait(workflow_id)
    if workflow.status is not WorkflowStatus.SUCCEEDED:
        raise WrongState(
            f"{workflow.kind.value} of {workflow.resource_name}: {workflow.error or workflow.status.value}"
        )


def _marked(service: Service, key: str) -> bool:
    with service.database.reading() as session:
        return session.get(InstallationRow, key) is not None
