"""Where the deployments of an environment run."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.deployments import DeploymentState
from registry_tui.schemas.places import BackendChange, BackendKind, Environment
from registry_tui.service.backends.base import Cluster
from registry_tui.service.core import events, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.resolve import resolve_environment
from registry_tui.service.database.tables import DeploymentRow, EnvironmentBackendRow, ProjectRow, WorkspaceRow
from registry_tui.service.errors import InUse, InvalidInput
from registry_tui.service.places.environments import get_environment

#: Deployments that are named in a refusal.
_NAMED = 5


def change_backend(service: Service, principal: Principal, environment: str, request: BackendChange) -> Environment:
    """Has an environment's deployments run on this machine, or in a cluster, which is tried first.

    Raises Missing, NotPermitted, InvalidInput for a cluster that cannot be used, PartUnavailable, InUse while
    deployments run elsewhere.
    """
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        row = resolve_environment(session, environment, seen)
    resource = Resource("environment", row.id, row.name)
    with events.recording(service, principal, "environment.change-backend", resource):
        permissions.require(principal, Action.ENVIRONMENT_CREATE)
        with service.database.reading() as session:
            present = session.get(EnvironmentBackendRow, row.id)
        wanted = None if request.kind is BackendKind.LOCAL else _cluster(row.id, request, present)
        version = "" if wanted is None else service.backends.clusters.check(wanted)
        with service.database.session() as session:
            present = session.get(EnvironmentBackendRow, row.id)
            if (None if present is None else present.address) != (None if wanted is None else wanted.address):
                _require_stopped(session, row.id, row.name)
            if wanted is None:
                if present is not None:
                    session.delete(present)
            else:
                if present is None:
                    present = EnvironmentBackendRow(environment_id=row.id)
                    session.add(present)
                present.kind, present.address, present.token = request.kind.value, wanted.address, wanted.token
                present.http_port, present.version = wanted.http_port, version
    return get_environment(service, principal, row.id)


def _cluster(environment: str, request: BackendChange, present: EnvironmentBackendRow | None) -> Cluster:
    address = request.address.rstrip("/")
    if not address:
        raise _wrong("address", "give the address of the cluster's dashboard, http://HOST:8265")
    # A token is sent to no other address than it was given for.
    kept = present.token if present is not None and present.address == address else ""
    token = request.token.strip() or kept
    if not token:
        raise _wrong("token", "give the cluster's token")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise _wrong("token", "a token is one line of letters, digits and signs")
    return Cluster(environment, address, token, request.http_port)


def _require_stopped(session: Session, environment: str, name: str) -> None:
    query = (
        select(DeploymentRow.name)
        .join(ProjectRow, ProjectRow.id == DeploymentRow.project_id)
        .join(WorkspaceRow, WorkspaceRow.id == ProjectRow.workspace_id)
        .where(WorkspaceRow.environment_id == environment, DeploymentRow.state != DeploymentState.STOPPED.value)
        .order_by(DeploymentRow.name)
        .limit(_NAMED + 1)
    )
    found = list(session.scalars(query))
    if found:
        more = " and others" if len(found) > _NAMED else ""
        raise InUse(
            f"Deployments of {name} run where they were started: {', '.join(found[:_NAMED])}{more}",
            action="Stop them first; they start in the new place: `registry-tui deployments stop`, then `restart`",
        )


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field}: {message}", errors=[FieldProblem(field=field, message=message)])
