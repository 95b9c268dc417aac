"""MLflow servers elsewhere: each is shown by a workspace, whose one project has the server's experiments and runs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from registry_tui.contracts import attached_sources
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.attached import AttachedServer, AttachedServerChange, AttachedServerCreate
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.places import Role
from registry_tui.service.adapters import attached_mlflow
from registry_tui.service.adapters.attached_looks import Looks
from registry_tui.service.adapters.attached_mlflow import ServerAddress
from registry_tui.service.adapters.aws_identity import AwsIdentity
from registry_tui.service.adapters.mlflow_answers import NotMlflow
from registry_tui.service.core import events, idempotency, identity, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.resolve import resolve_environment, resolve_workspace
from registry_tui.service.database.tables import (
    AttachedServerRow,
    CollaboratorRow,
    DeploymentRow,
    EnvironmentRow,
    ProjectRow,
    WorkflowRow,
    WorkspaceRow,
    new_id,
)
from registry_tui.service.engine.rows import ACTIVE
from registry_tui.service.errors import AlreadyThere, InUse, InvalidInput, Missing, PartUnavailable
from registry_tui.service.places import projects
from registry_tui.service.publishing import mlflow as routing


def attach_server(service: Service, principal: Principal, request: AttachedServerCreate) -> AttachedServer:
    """Makes a workspace with one project that shows an MLflow server; the server is contacted first.

    The acting user becomes the project's first administrator; everybody in the project reads with the credentials
    given here. Raises NotPermitted, Missing for the environment, InvalidInput, AlreadyThere, and the server's refusals.
    """
    workspace_id, project_id = new_id(), new_id()
    with events.recording(
        service, principal, "attached-server.attach", Resource("workspace", workspace_id, request.name)
    ) as event:
        permissions.require(principal, Action.SERVER_ATTACH)
        address = ServerAddress(
            request.url.strip().rstrip("/"),
            request.user,
            request.secret,
            request.certificate,
            request.proxy,
            _aws(request.aws_profile, request.aws_region),
        )
        with service.database.reading() as session:
            environment = resolve_environment(session, request.environment)
            _require_free(session, environment, request.name)
        projects.check_name(request.name)
        attached_mlflow.check_address(address, plain=request.allow_http)
        address, version = _asked(address)
        event.detail = f"MLflow {version or 'of an unknown version'} at {address.url}"
        try:
            with service.database.session() as session:
                resolve_environment(session, environment.id)  # it may have been deleted meanwhile
                session.add_all(
                    _rows(session, principal, request.name, environment.id, workspace_id, project_id, address, version)
                )
        except IntegrityError as error:
            raise _taken(environment, request.name) from error
    return get_attached_server(service, principal, workspace_id, ask=False)


def change_server(service: Service, principal: Principal, server: str, request: AttachedServerChange) -> AttachedServer:
    """Reads an attached server at another address, or with other credentials; it is contacted there first.

    It has to be the same server: runs and versions are known by their IDs there. Raises Missing, NotPermitted,
    InvalidInput, and the server's refusals.
    """
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        workspace = resolve_workspace(session, server, seen)
    with events.recording(
        service, principal, "attached-server.change", Resource("workspace", workspace.id, workspace.name)
    ) as event:
        permissions.require(principal, Action.SERVER_ATTACH)
        with service.database.reading() as session:
            known = address_of(_find(session, principal, workspace.id))
        address = _changed(known, request)
        attached_mlflow.check_address(address, plain=request.allow_http)
        address, version = _asked(address)
        event.detail = f"MLflow {version or 'of an unknown version'} at {address.url}, before at {known.url}"
        with service.database.session() as session:
            row = _find(session, principal, workspace.id)
            row.first_url = row.first_url or (row.url if row.url != address.url else "")
            row.version = version
            for name, value in _columns(address).items():
                setattr(row, name, value)
    return get_attached_server(service, principal, workspace.id, ask=False)


def list_attached_servers(
    service: Service,
    principal: Principal,
    *,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[AttachedServer]:
    """The attached servers of the environments that the principal may see, the oldest first. Raises InvalidInput."""
    query = (
        select(AttachedServerRow)
        .join(AttachedServerRow.workspace)
        .options(
            selectinload(AttachedServerRow.workspace).selectinload(WorkspaceRow.environment),
            selectinload(AttachedServerRow.workspace).selectinload(WorkspaceRow.projects),
        )
    )
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        if seen is not None:
            query = query.where(WorkspaceRow.environment_id.in_(seen))
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(AttachedServerRow.created_at), paging.Key(AttachedServerRow.id)],
            scope=f"attached:{principal.name}",
            page_size=page_size,
            page_token=page_token,
        )
        return found.to_page(_schema)


def get_attached_server(service: Service, principal: Principal, server: str, *, ask: bool = True) -> AttachedServer:
    """One attached server; with `ask` also why it cannot be read now. Raises Missing, InvalidInput."""
    with service.database.reading() as session:
        row = _find(session, principal, server)
        found, address = _schema(row), address_of(row)
    if not ask:
        return found
    return found.model_copy(update={"problem": service.kept.of(Looks).problem_of(found.id, address)})


def get_made(service: Service, principal: Principal, server_id: str) -> AttachedServer:
    """The attached server of an ID, without contacting it. Raises Missing."""
    with service.database.reading() as session:
        row = session.get(AttachedServerRow, server_id)
    if row is None:
        raise Missing("The server was detached meanwhile")
    return get_attached_server(service, principal, row.workspace_id, ask=False)


def detach_server(service: Service, principal: Principal, server: str) -> None:
    """Forgets a server, its workspace and its project; nothing changes there, and registered models stay.

    Raises Missing, NotPermitted, InUse while something is deployed from its project, or workflows read from there.
    """
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        workspace = resolve_workspace(session, server, seen)
        _ = workspace.environment
    with (
        events.recording(
            service, principal, "attached-server.detach", Resource("workspace", workspace.id, workspace.name)
        ),
        service.database.session() as session,
    ):
        permissions.require_in(session, principal, Action.WORKSPACE_DELETE, workspace.environment)
        row = _find(session, principal, workspace.id)
        idempotency.takes(session, workspace.id)
        registers, mlflow_workspaces = row.registers, [project.mlflow_workspace for project in row.workspace.projects]
        ids = [project.id for project in row.workspace.projects]
        deployed = session.scalars(select(DeploymentRow.name).where(DeploymentRow.project_id.in_(ids))).all()
        if deployed:
            raise InUse(
                f"Models are deployed from {workspace.name}: {', '.join(sorted(deployed)[:5])}",
                action="Delete these deployments first",
            )
        _require_idle(session, workspace.name, ids)
        for project in row.workspace.projects:
            session.delete(project)
        session.flush()
        session.delete(row.workspace)
    if registers:
        # If MLflow does not answer, only an empty workspace stays behind, which nobody may enter.
        routing.publish(service)
        for each in mlflow_workspaces:
            service.mlflow.delete_workspace(each, cascade=True)


def address_of(row: AttachedServerRow) -> ServerAddress:
    """The address and credentials of a server."""
    return ServerAddress(
        row.url,
        row.user,
        row.secret,
        row.certificate,
        row.proxy,
        _aws(row.aws_profile, row.aws_region),
        row.api,
        row.first_url,
    )


# -- underneath -------------------------------------------------------------------------------------------


def _aws(profile: str | None, region: str | None) -> AwsIdentity | None:
    return None if profile is None else AwsIdentity(profile, region or "")


def _asked(address: ServerAddress) -> tuple[ServerAddress, str]:
    """As `check_server`; refusals name the field of the request that they are about."""
    try:
        return attached_mlflow.check_server(address)
    except attached_mlflow.CredentialsRefused as error:
        given = address.user or address.secret or address.aws
        words = "does not accept these credentials" if given else "lets nobody in without credentials"
        field = "aws_profile" if address.aws is not None else "secret"
        raise attached_mlflow.CredentialsRefused(
            f"MLflow at {address.url} {words}",
            action="Give a user with a password, a token or an AWS profile that it accepts",
            errors=[FieldProblem(field=field, message="not accepted there" if given else "needed there")],
        ) from error
    except (NotMlflow, PartUnavailable) as error:
        words = "no MLflow server is there" if isinstance(error, NotMlflow) else "it does not answer there"
        error.errors = (FieldProblem(field="url", message=words),)
        raise


def _columns(address: ServerAddress) -> dict[str, str | None]:
    """The columns of a server's row for its address and credentials."""
    return {
        "url": address.url,
        "user": address.user,
        "secret": address.secret,
        "certificate": address.certificate,
        "proxy": address.proxy,
        "aws_profile": None if address.aws is None else address.aws.profile,
        "aws_region": None if address.aws is None else address.aws.region,
        "api": address.api,
    }


def _changed(known: ServerAddress, request: AttachedServerChange) -> ServerAddress:
    """The changed address of a server; fields that the request does not name stay unchanged. Raises InvalidInput."""
    named = {
        "credentials": request.user or request.secret or request.aws_profile or request.aws_region,
        "certificate": request.certificate,
        "proxy": request.proxy,
    }
    if both := next((each for each in request.without if named[each] is not None), None):
        raise InvalidInput(f"The {both} cannot be given and taken away at once", action="Choose one of the two")
    user, secret, aws = known.user, known.secret, known.aws
    if named["credentials"] is not None or "credentials" in request.without:
        user, secret, aws = request.user, request.secret, _aws(request.aws_profile, request.aws_region)
    return ServerAddress(
        request.url.strip().rstrip("/"),
        user,
        secret,
        request.certificate or (None if "certificate" in request.without else known.certificate),
        request.proxy or (None if "proxy" in request.without else known.proxy),
        aws,
        first_url=known.first_url,
    )


def _require_idle(session: Session, name: str, projects_: Sequence[str]) -> None:
    """Raises InUse while workflows work on these projects, or store archives of models that come from there."""
    for row in session.scalars(select(WorkflowRow).where(WorkflowRow.status.in_(ACTIVE))):
        source = attached_sources.parse(str(row.arguments.get("source") or ""))
        if (row.resource_type == "project" and row.resource_id in projects_) or (
            source is not None and source.project_id in projects_
        ):
            raise InUse(
                f"A workflow still reads from {name}, for {row.resource_name}",
                action=f"Wait for it: `registry-tui workflows wait {row.id}`; or cancel it",
            )


def _require_free(session: Session, environment: EnvironmentRow, name: str) -> None:
    query = select(WorkspaceRow).where(WorkspaceRow.environment_id == environment.id, WorkspaceRow.name == name)
    if session.scalars(query).first() is not None:
        raise _taken(environment, name)


def _taken(environment: EnvironmentRow, name: str) -> AlreadyThere:
    return AlreadyThere(
        f"Environment {environment.name} has a workspace {name!r} already", action="Choose another name"
    )


def _rows(
    session: Session,
    principal: Principal,
    name: str,
    environment_id: str,
    workspace_id: str,
    project_id: str,
    address: ServerAddress,
    version: str,
) -> list[WorkspaceRow | ProjectRow | AttachedServerRow]:
    by = {"creator": principal.name}
    return [
        WorkspaceRow(
            id=workspace_id,
            name=name,
            crn=identity.crn(session, "workspace", workspace_id),
            environment_id=environment_id,
            **by,
        ),
        AttachedServerRow(
            workspace_id=workspace_id,
            **_columns(address),
            version=version,
            **by,
        ),
        ProjectRow(
            id=project_id,
            name=name,
            workspace_id=workspace_id,
            # Reserved for models that are registered from there; MLflow's server here creates the workspace then.
            mlflow_workspace=projects.free_mlflow_workspace(session, name, project_id),
            state="ready",
            collaborators=[CollaboratorRow(user=principal.name, role=Role.ADMIN.value)],
            **by,
        ),
    ]


def _find(session: Session, principal: Principal, server: str) -> AttachedServerRow:
    seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
    row = resolve_workspace(session, server, seen)
    if row.attached_server is None:
        raise Missing(
            f"Workspace {row.name} shows no MLflow server elsewhere", action="See `registry-tui attached list`"
        )
    _ = row.environment, row.projects
    return row.attached_server


def _schema(row: AttachedServerRow) -> AttachedServer:
    workspace = row.workspace
    project = workspace.projects[0]
    return AttachedServer(
        id=row.id,
        name=workspace.name,
        url=row.url,
        user=row.user,
        has_token=row.user is None and row.secret is not None,
        has_certificate=row.certificate is not None,
        version=row.version,
        limits=list(attached_mlflow.abilities_of(row.version).limits),
        proxy=row.proxy,
        aws_profile=row.aws_profile,
        aws_region=row.aws_region,
        workspace_id=workspace.id,
        project_id=project.id,
        environment_id=workspace.environment_id,
        environment_name=workspace.environment.name,
        creator=row.creator,
        created_at=row.created_at,
    )
