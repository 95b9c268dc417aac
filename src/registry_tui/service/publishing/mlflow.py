"""Publishes to MLflow's server the places of each project's artifacts and registrations, and people's access."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from registry_tui.contracts.mlflow_routes import ProjectRoute, RegistryRoute, Routes
from registry_tui.platform import listening
from registry_tui.platform.secrets import write_private
from registry_tui.schemas.places import Role
from registry_tui.schemas.promotion import PromotionRules
from registry_tui.schemas.registries import RegistryStatus
from registry_tui.schemas.stages import to_mlflow
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import (
    AdmissionRulesRow,
    EnvironmentRow,
    EnvironmentStoreRow,
    ProjectRow,
    PromotionRulesRow,
    RegistryRow,
    WorkspaceRow,
)
from registry_tui.service.errors import PartUnavailable

#: One writer at a time, of the file and of each project's roles, so that the last write has the newest rows.
_LOCK = "publish to MLflow"


def registry_of(project: ProjectRow) -> RegistryRow | None:
    """The Model Registry that a project registers into, when its workspace is synchronized with a live one."""
    sync = project.workspace.sync
    if sync is None or sync.synchronized_at is None:
        return None
    registry = sync.model_registry
    return registry if RegistryStatus(registry.status).live else None


def publish(service: Service) -> None:
    """Writes `routes.json` from the database. Call it after each change of projects, collaborators or registries.

    Raises PartUnavailable when the file cannot be written.
    """
    with service.locks.of(_LOCK), service.database.reading() as session:
        projects = session.scalars(
            select(ProjectRow)
            .where(ProjectRow.state != "deleting")
            .options(
                selectinload(ProjectRow.workspace).selectinload(WorkspaceRow.environment),
                selectinload(ProjectRow.workspace).selectinload(WorkspaceRow.sync),
                selectinload(ProjectRow.collaborators),
            )
        ).all()
        registries = session.scalars(select(RegistryRow)).all()
        outside = set(session.scalars(select(EnvironmentStoreRow.environment_id)))
        ruled = _with_alias_rules(session)
        rules = {row.registry_id: row.rules for row in session.scalars(select(PromotionRulesRow))}
        suspended = identity.suspended(session)
        routes = Routes(
            projects={project.mlflow_workspace: _project_route(project, suspended) for project in projects},
            registries={
                registry.mlflow_workspace: RegistryRoute(
                    registry.id,
                    registry.environment.bucket,
                    registry.prefix,
                    registry.environment_id in outside,
                    registry.environment_id in ruled,
                    *_guarded(rules.get(registry.id)),
                )
                for registry in registries
                if RegistryStatus(registry.status).live
            },
            administrators=(identity.owner_name(service),),
            hosts=listening.known_names(service.home, service.settings.listen_names),
        )
        try:
            write_private(service.home.routes_file, routes.to_json())
        except OSError as error:
            raise PartUnavailable(
                f"Cannot write {service.home.routes_file}: {error.strerror}",
                action="Free space on the disk, or make the folder writable",
            ) from error


def _guarded(rules: dict[str, Any] | None) -> tuple[list[str], list[str]]:
    """The aliases, and MLflow's stages, that a registry's rules are about."""
    if rules is None:
        return [], []
    found = PromotionRules.model_validate(rules)
    return [each.alias for each in found.protected_aliases], [to_mlflow(each) for each in found.approved_stages]


def mirror_access(service: Service, project_id: str) -> None:
    """Makes MLflow let exactly a project's collaborators, and the installation's owner, into it and its registry.

    Does nothing if it is deleted, or shows a server elsewhere. Raises PartUnavailable.
    """
    with service.locks.of(f"{_LOCK} {project_id}"):
        with service.database.reading() as session:
            project = session.get(ProjectRow, project_id)
            if project is None or project.state == "deleting" or project.workspace.attached_server is not None:
                return
            suspended = identity.suspended(session)
            roles = {each.user: Role(each.role) for each in project.collaborators if each.user not in suspended}
            roles[identity.owner_name(service)] = Role.ADMIN
            registry = registry_of(project)
        service.access.mirror_project(
            project.mlflow_workspace, roles, None if registry is None else registry.mlflow_workspace
        )


def mirror_all(service: Service) -> None:
    """`mirror_access` for every project. Raises PartUnavailable."""
    with service.database.reading() as session:
        ids = list(session.scalars(select(ProjectRow.id).where(ProjectRow.state == "ready")))
    for project_id in ids:
        mirror_access(service, project_id)


def mirror_environment(service: Service, environment_id: str) -> None:
    """`mirror_access` for every project of an environment. Raises PartUnavailable."""
    with service.database.reading() as session:
        ids = _project_ids(session, environment_id)
    for project_id in ids:
        mirror_access(service, project_id)


def _project_ids(session: Session, environment_id: str) -> list[str]:
    query = (
        select(ProjectRow.id)
        .join(WorkspaceRow)
        .where(WorkspaceRow.environment_id == environment_id, ProjectRow.state == "ready")
    )
    return list(session.scalars(query))


def _with_alias_rules(session: Session) -> frozenset[str]:
    """The environments that have rules about aliases now."""
    newest = (
        select(AdmissionRulesRow.environment_id, func.max(AdmissionRulesRow.number).label("number"))
        .group_by(AdmissionRulesRow.environment_id)
        .subquery()
    )
    query = select(AdmissionRulesRow.environment_id, AdmissionRulesRow.rules).join(
        newest,
        (newest.c.environment_id == AdmissionRulesRow.environment_id) & (newest.c.number == AdmissionRulesRow.number),
    )
    return frozenset(id_ for id_, rules in session.execute(query) if any("alias" in each["for"] for each in rules))


def _project_route(project: ProjectRow, suspended: frozenset[str]) -> ProjectRoute:
    workspace = project.workspace
    environment = workspace.environment
    registry = registry_of(project)
    return ProjectRoute(
        project_id=project.id,
        project_name=project.name,
        workspace_name=workspace.name,
        environment_name=environment.name,
        bucket=environment.bucket,
        registry=None if registry is None else registry.mlflow_workspace,
        refusal="" if registry is not None else _refusal(project, workspace, environment),
        collaborators={each.user: each.role for each in project.collaborators if each.user not in suspended},
        folder=project.artifacts_folder,
    )


def _refusal(project: ProjectRow, workspace: WorkspaceRow, environment: EnvironmentRow) -> str:
    cannot = f"Project '{project.name}' cannot register models"
    registry = environment.model_registry
    if registry is None:
        return (
            f"{cannot}: its environment '{environment.name}' has no Model Registry. "
            f"Create one: `registry-tui registries create {environment.name}`."
        )
    status = RegistryStatus(registry.status)
    if not status.live:
        return f"{cannot}: the Model Registry '{registry.name}' is not available ({status.label})."
    return (
        f"{cannot}: its workspace '{workspace.name}' is not synchronized with the Model Registry '{registry.name}'. "
        f"Synchronize it: `registry-tui registries synchronize {registry.name}`."
    )
