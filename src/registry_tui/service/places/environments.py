"""Environments: each has a cloud, a bucket, workspaces, and at most one Model Registry."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.places import Cloud, Environment, EnvironmentCreate
from registry_tui.schemas.stores import Store, StoreChange, StoreProblem, uri_of
from registry_tui.service.core import (
    clusters,
    events,
    idempotency,
    identity,
    own_stores,
    paging,
    permissions,
    store_checks,
)
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.resolve import resolve_environment
from registry_tui.service.database.tables import EnvironmentRow, EnvironmentStoreRow, WorkspaceRow, new_id
from registry_tui.service.errors import AlreadyThere, InUse, Missing, PartUnavailable, ServiceError, WrongState
from registry_tui.service.ranger import policies as ranger
from registry_tui.service.stores.base import Bucket

logger = logging.getLogger(__name__)

#: Creating and deleting touch two systems each; one at a time, so that an unfinished row is surely an abandoned one.
_LOCK = "environments"


def create_environment(service: Service, principal: Principal, request: EnvironmentCreate) -> Environment:
    """Makes an environment with its bucket, and optionally a store of its own for archives and artifacts.

    Raises NotPermitted, AlreadyThere, InUse when the store is another environment's, InvalidInput when it cannot be
    used, PartUnavailable.
    """
    id_ = new_id()
    resource = Resource("environment", id_, request.name)
    with events.recording(service, principal, "environment.create", resource):
        permissions.require(principal, Action.ENVIRONMENT_CREATE)
        # Before the lock: a store may respond slowly.
        tried = None if request.store is None else own_stores.require_usable(request.store)
        with service.locks.of(_LOCK):
            _create(service, principal, request, id_, tried)
    return get_environment(service, principal, id_)


def _create(
    service: Service,
    principal: Principal,
    request: EnvironmentCreate,
    id_: str,
    tried: tuple[Bucket, list[StoreProblem]] | None,
) -> None:
    _clean_up(service)
    try:
        with service.database.session() as session:
            row = EnvironmentRow(
                id=id_,
                name=request.name,
                crn=identity.crn(session, "environment", id_),
                cloud=request.cloud.value,
                raz_enabled=request.raz_enabled,
                bucket=f"{request.name}-{id_[:8]}",
                creator=principal.name,
            )
            if request.store is not None and tried is not None:
                _require_free(session, request.store)
                row.store = own_stores.new_row(id_, request.store, tried[1], artifacts=request.store_artifacts)
            session.add(row)
    except IntegrityError as error:
        raise AlreadyThere(f"There is an environment {request.name!r} already", action="Choose another name") from error
    if tried is not None:
        try:
            own_stores.claim(tried[0], id_, request.name)
        except ServiceError:
            with service.database.session() as session:
                session.delete(session.get_one(EnvironmentRow, id_))
            raise
    service.stores.objects.create_bucket(row.bucket)
    ranger.ensure(service, id_)
    with service.database.session() as session:
        session.get_one(EnvironmentRow, id_).state = "ready"
    if tried is not None:
        store_checks.note(service, id_, 1, tried[1])


def change_store(service: Service, principal: Principal, environment: str, request: StoreChange) -> Environment:
    """Reaches an environment's own store in another way: other credentials, another endpoint, another region.

    Raises Missing, NotPermitted, WrongState for another store, InvalidInput when it cannot be used so.
    """
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        row = resolve_environment(session, environment, seen)
    resource = Resource("environment", row.id, row.name)
    with events.recording(service, principal, "environment.change-store", resource):
        permissions.require(principal, Action.ENVIRONMENT_CREATE)
        with service.database.reading() as session:
            known = own_stores.shown(resolve_environment(session, row.id).store)
        if known is None:
            raise WrongState(
                f"Environment {row.name} has no store of its own: its archives lie in the embedded one",
                action="Make an environment with a store of its own, and register the models there",
            )
        if uri_of(request.store) != known.uri:
            raise WrongState(
                f"The archives of {row.name} lie in {known.uri}, not in {uri_of(request.store)}",
                action="Give the same store with other credentials; another store needs another environment",
            )
        own, notes = own_stores.require_usable(request.store)
        own_stores.require_claimed(own, row.id)
        with service.locks.of(_LOCK), service.database.session() as session:
            _require_free(session, request.store, but=row.id)
            kept = session.get(EnvironmentStoreRow, row.id)
            if kept is None:  # the trial takes its time
                raise Missing(f"Environment {row.name} was deleted meanwhile")
            new = own_stores.new_row(row.id, request.store, notes)
            generation = kept.generation + 1
            kept.place, kept.store, kept.notes, kept.generation = new.place, new.store, new.notes, generation
            if request.artifacts is not None:
                kept.artifacts = request.artifacts
        store_checks.note(service, row.id, generation, notes)
    return get_environment(service, principal, row.id)


def get_environment(service: Service, principal: Principal, environment: str) -> Environment:
    """One environment. Raises Missing."""
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        row = resolve_environment(session, environment, seen)
        return _schema(service, row, _workspace_counts(session, [row.id]))


def list_environments(
    service: Service, principal: Principal, *, page_size: int = DEFAULT_PAGE_SIZE, page_token: str | None = None
) -> Page[Environment]:
    """Environments by name. Raises InvalidInput for a wrong token."""
    query = (
        select(EnvironmentRow)
        .where(EnvironmentRow.state == "ready")
        .options(
            selectinload(EnvironmentRow.model_registry),
            selectinload(EnvironmentRow.store),
            selectinload(EnvironmentRow.backend),
        )
    )
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        if seen is not None:
            query = query.where(EnvironmentRow.id.in_(seen))
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(EnvironmentRow.name)],
            scope="environments",
            page_size=page_size,
            page_token=page_token,
        )
        counts = _workspace_counts(session, [row.id for row in found.rows])
        return found.to_page(lambda row: _schema(service, row, counts))


def delete_environment(service: Service, principal: Principal, environment: str) -> None:
    """Deletes an empty environment and its bucket. Raises Missing, NotPermitted, InUse, PartUnavailable."""
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        row = resolve_environment(session, environment, seen)
    resource = Resource("environment", row.id, row.name)
    with events.recording(service, principal, "environment.delete", resource), service.locks.of(_LOCK):
        with service.database.reading() as session:
            permissions.require_in(session, principal, Action.ENVIRONMENT_DELETE, row)
        idempotency.takes_elsewhere(service, row.id)
        with service.database.reading() as session:
            _require_empty(resolve_environment(session, row.id))
        if service.stores.objects.bucket_holds_objects(row.bucket):
            raise InUse(
                f"Environment {row.name} still stores objects in its bucket {row.bucket}: "
                "archives that were kept when its Model Registry was deleted",
                action="Remove them from the bucket first, if nobody needs them any more",
            )
        if own_stores.keeps_archives(service, row.id):
            raise InUse(
                f"Environment {row.name} still stores objects in its own store: "
                "archives that were kept when its Model Registry was deleted",
                action="Remove them from the store first, if nobody needs them any more",
            )
        with service.database.session() as session:
            row = resolve_environment(session, row.id)
            _require_empty(row)
            row.state = "deleting"
        try:
            _clean_up(service)
        except PartUnavailable as error:
            # The environment is gone for everybody; its bucket is removed when the object store responds again.
            logger.warning("the bucket of environment %s is removed later: %s", row.name, error.detail)


def clean_up(service: Service) -> None:
    """Removes environments whose creation or deletion was interrupted. Raises PartUnavailable."""
    with service.locks.of(_LOCK):
        _clean_up(service)


def _clean_up(service: Service) -> None:
    with service.database.reading() as session:
        unfinished = list(session.scalars(select(EnvironmentRow).where(EnvironmentRow.state != "ready")))
    for row in unfinished:
        try:
            own_stores.forget(service, row.id)
        except ServiceError as error:
            # It may be lost for good, and an environment must not wait for that.
            logger.warning("the store of environment %s keeps its mark: %s", row.name, error.detail)
        service.stores.objects.delete_bucket(row.bucket)
        with service.database.session() as session:
            session.delete(session.get_one(EnvironmentRow, row.id))
        # Afterwards: a check that ends in between finds the row deleted, or is forgotten here.
        store_checks.forget(service, row.id)


def _require_free(session: Session, store: Store, but: str = "") -> None:
    """Raises AlreadyThere for a place inside or around another environment's archives."""
    place = own_stores.place_of(store)
    if own_stores.is_among_archives(store):
        raise AlreadyThere(
            f"{place.rpartition(' ')[2]} lies in an environment's archives", action="Choose another place"
        )
    for row in session.scalars(select(EnvironmentStoreRow).where(EnvironmentStoreRow.environment_id != but)):
        if place.startswith(row.place) or row.place.startswith(place):
            other = session.get_one(EnvironmentRow, row.environment_id).name
            raise AlreadyThere(
                f"The archives of environment {other} lie in {row.place.rpartition(' ')[2]}",
                action="Choose a prefix of its own",
            )


def _require_empty(row: EnvironmentRow) -> None:
    inside = []
    if row.model_registry is not None:
        inside.append(f"the Model Registry {row.model_registry.name}")
    if row.workspaces:
        inside.append(f"workspaces: {', '.join(sorted(workspace.name for workspace in row.workspaces))}")
    if inside:
        raise InUse(f"Environment {row.name} still has {'; '.join(inside)}", action="Delete these first")


def _workspace_counts(session: Session, ids: list[str]) -> Mapping[str, int]:
    query = (
        select(WorkspaceRow.environment_id, func.count())
        .where(WorkspaceRow.environment_id.in_(ids))
        .group_by(WorkspaceRow.environment_id)
    )
    return dict(session.execute(query).all())


def _schema(service: Service, row: EnvironmentRow, workspaces: Mapping[str, int]) -> Environment:
    registry = row.model_registry
    return Environment(
        id=row.id,
        name=row.name,
        crn=row.crn,
        cloud=Cloud(row.cloud),
        raz_enabled=row.raz_enabled,
        bucket=row.bucket,
        endpoint=service.ports.s3_endpoint,
        creator=row.creator,
        created_at=row.created_at,
        registry_id=None if registry is None else registry.id,
        registry_name=None if registry is None else registry.name,
        workspace_count=workspaces.get(row.id, 0),
        store=store_checks.shown(service, row.store),
        backend=clusters.shown(row.backend),
    )
