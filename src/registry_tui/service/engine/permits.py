"""Permission to begin a workflow: by the person's current roles in the place of the work."""

from __future__ import annotations

from registry_tui.contracts.permissions import Action
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.resolve import resolve_registry
from registry_tui.service.database.tables import DeploymentRow
from registry_tui.service.engine.steps import Permit, Work
from registry_tui.service.errors import Missing


def in_environment(action: Action) -> Permit:
    """Permits people who may do `action` in the environment of the work's registry."""

    def permit(service: Service, principal: Principal, work: Work) -> None:
        if principal.administrator:
            return
        with service.database.reading() as session:
            seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
            registry = resolve_registry(session, work.resource.registry_id or "", seen)
            permissions.require_in(session, principal, action, registry.environment)

    return permit


def in_project(action: Action) -> Permit:
    """Permits people who may do `action` in the project of the work, or in that of its deployment."""

    def permit(service: Service, principal: Principal, work: Work) -> None:
        if principal.administrator:
            return
        with service.database.reading() as session:
            if work.resource.type == "deployment":
                deployment = session.get(DeploymentRow, work.resource.id)
                if deployment is None:
                    raise Missing(f"The deployment {work.resource.name} is gone")
                project = permissions.find_project(session, principal, deployment.project_id)
            else:
                project = permissions.find_project(session, principal, work.resource.id)
            permissions.check_project(session, principal, project, action)

    return permit
