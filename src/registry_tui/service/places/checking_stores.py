"""Trying stores: one before an environment uses it, and one that an environment has."""

from __future__ import annotations

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.places import Environment
from registry_tui.schemas.stores import S3Store, Store, StoreCheck, StoreProblem, StoreReport
from registry_tui.service.core import own_stores, permissions, store_checks
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.resolve import resolve_environment
from registry_tui.service.database.tables import EnvironmentStoreRow
from registry_tui.service.errors import InvalidInput, ServiceError, WrongState
from registry_tui.service.places.environments import get_environment
from registry_tui.service.stores.opening import open_store
from registry_tui.service.stores.s3 import open_users
from registry_tui.service.stores.s3_user_rights import try_rights


def check_store(principal: Principal, request: StoreCheck) -> StoreReport:
    """Puts, reads, copies and deletes an object of its own there; returns the problems. Raises NotPermitted."""
    permissions.require(principal, Action.ENVIRONMENT_CREATE)
    try:
        bucket = open_store(request.store)
    except InvalidInput as error:
        return StoreReport(uri="", problems=[_as_problem(error)])
    problems = list(bucket.probe())
    if not any(each.fatal for each in problems):
        problems += _rights(request.store)
    return StoreReport(uri=bucket.uri, problems=problems)


def check_environment_store(service: Service, principal: Principal, environment: str) -> Environment:
    """Tries an environment's own store with its credentials; returns the environment with the problems found.

    Raises Missing, NotPermitted, WrongState for an environment without a store of its own.
    """
    with service.database.reading() as session:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        row = resolve_environment(session, environment, seen)
    permissions.require(principal, Action.ENVIRONMENT_CREATE)
    with service.database.reading() as session:
        kept = session.get(EnvironmentStoreRow, row.id)
        if kept is None:
            raise WrongState(
                f"Environment {row.name} has no store of its own: its archives lie in the embedded one",
                action="Ask for the platform's status: it says how the embedded store is",
            )
        generation = kept.generation
    store_checks.note(service, row.id, generation, _found(service, row.id))
    return get_environment(service, principal, row.id)


def _found(service: Service, environment_id: str) -> list[StoreProblem]:
    """The problems found by trying an environment's store, its mark included."""
    try:
        bucket = own_stores.own_store(service, environment_id)
        if bucket is None:
            return []
        problems = list(bucket.probe())
        if any(each.fatal for each in problems):
            return problems
        own_stores.require_there(bucket, environment_id)
        with service.database.reading() as session:
            row = session.get(EnvironmentStoreRow, environment_id)
        if row is not None:
            problems += _rights(own_stores.store_of(row.store))
    except ServiceError as error:
        return [_as_problem(error)]
    return problems


def _rights(store: Store) -> list[StoreProblem]:
    """The missing rights for registries' own users, if a store has IAM."""
    return try_rights(open_users(store.address, store.credentials)) if isinstance(store, S3Store) else []


def _as_problem(error: ServiceError) -> StoreProblem:
    return StoreProblem(text=error.detail, action=error.action or "")
