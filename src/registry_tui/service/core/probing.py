"""Whether machine users really have the access that they need: tried at the object store, with their own keys."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.registries import StorageAccess
from registry_tui.service.core import store_key_changes, store_keys
from registry_tui.service.core.context import Service
from registry_tui.service.core.machine_keys import machine_key
from registry_tui.service.core.own_stores import own_address
from registry_tui.service.database.tables import EnvironmentRow, RegistryRow, now
from registry_tui.service.errors import NotPermitted, ServiceError

logger = logging.getLogger(__name__)

#: Seconds that a request waits for others that probe the same environment.
LONGEST_WAIT = 10.0


@dataclass(frozen=True)
class Tried:
    """When the access of an environment's machine user was tried last, and why that was not possible."""

    at: datetime
    problem: str | None = None


class Tries:
    """The last try of each environment since this service started."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._tries: dict[str, Tried] = {}
        self._turns: dict[str, threading.Lock] = {}

    def last(self, environment_id: str) -> Tried | None:
        """The last one; None without any."""
        with self._guard:
            return self._tries.get(environment_id)

    def keep(self, environment_id: str, tried: Tried) -> None:
        """Stores a try as the last one."""
        with self._guard:
            self._tries[environment_id] = tried

    @contextmanager
    def turn(self, environment_id: str, seconds: float = LONGEST_WAIT) -> Iterator[bool]:
        """Locks the probing of an environment; yields whether the lock was acquired within so many seconds.

        A store that accepts connections and does not respond must not block a thread of the service for each request.
        """
        with self._guard:
            turn = self._turns.setdefault(environment_id, threading.Lock())
        came = turn.acquire(timeout=seconds)
        try:
            yield came
        finally:
            if came:
                turn.release()


def note_access(service: Service, environment_id: str) -> None:
    """Notes with an environment's registry whether its machine user can store archives now, after a change of that.

    Its access to the environment's own store is updated too.
    """
    with service.locks.of(_lock_of(environment_id)):
        _follow(service, environment_id, mend=False)
        _try(service, environment_id)


def settle_access(service: Service, environment_id: str) -> None:
    """Has the access to an environment's own store follow policies and mappings, on request.

    Does nothing where the embedded store has the archives. Raises PartUnavailable, NotPermitted, WrongState.
    """
    if own_address(service, environment_id) is None:
        return
    with service.locks.of(_lock_of(environment_id)):
        problem = _follow(service, environment_id, mend=True)
        _try(service, environment_id)
    if problem is not None:
        raise problem


def note_access_again(service: Service, environment_id: str, max_age: float) -> None:
    """Notes it again if the last try began more than `max_age` seconds ago; one try at a time for an environment.

    Callers that waited for a try that began meanwhile use its result. After a timeout the last known result stays.
    """
    asked = now()
    tries = service.kept.of(Tries)
    with tries.turn(environment_id) as came:
        if not came:
            return
        with service.locks.of(_lock_of(environment_id)):
            tried = tries.last(environment_id)
            if tried is None or (tried.at < asked and asked - tried.at > timedelta(seconds=max_age)):
                _try(service, environment_id)


# -- underneath -------------------------------------------------------------------------------------------


def _lock_of(environment_id: str) -> str:
    """The lock of tries: one begun before a change of policies must not overwrite the result noted after the change."""
    return f"probe:{environment_id}"


def _follow(service: Service, environment_id: str, *, mend: bool) -> ServiceError | None:
    """Grants or revokes the access to the environment's own store; returns the reason of a failure."""
    found = _registry(service, environment_id)
    if found is None or own_address(service, environment_id) is None:
        return None
    environment, registry, key = found
    try:
        granted = _decided(service, environment, registry, key)
        store_key_changes.follow(service, registry.id, granted=granted, mend=mend)
    except ServiceError as error:
        logger.warning("the access of %s to its own store did not follow: %s", registry.name, error.detail)
        return error
    return None


def _try(service: Service, environment_id: str) -> None:
    known = _registry(service, environment_id)
    if known is None:
        return
    environment, registry, key = known
    begun = now()
    try:
        granted = _decided(service, environment, registry, key) and store_keys.works(service, registry.id)
    except ServiceError as error:
        # A full or unreachable store gives no information about permissions.
        logger.warning("the access of %s could not be tried: %s", registry.machine_user_workload_name, error.detail)
        service.kept.of(Tries).keep(environment_id, Tried(begun, error.detail))
        return
    service.kept.of(Tries).keep(environment_id, Tried(begun))
    found = StorageAccess.GRANTED if granted else StorageAccess.NOT_GRANTED
    if found.value != registry.storage_access:
        with service.database.session() as session:
            row = session.get(RegistryRow, registry.id)
            if row is not None:
                row.storage_access, row.updated_at = found.value, now()


def _registry(service: Service, environment_id: str) -> tuple[EnvironmentRow, RegistryRow, AccessKey] | None:
    """An environment with its registry and the key of its machine user, once it has one."""
    with service.database.reading() as session:
        environment = session.get(EnvironmentRow, environment_id)
        registry = None if environment is None else environment.model_registry
    key = None if registry is None else machine_key(registry)
    return None if environment is None or registry is None or key is None else (environment, registry, key)


def _decided(service: Service, environment: EnvironmentRow, registry: RegistryRow, key: AccessKey) -> bool:
    """Whether policies and mappings let the machine user in, as the embedded store enforces it. Raises ServiceError."""
    try:
        service.stores.users.probe_prefix(key, environment.bucket, registry.prefix, registry.name)
    except NotPermitted:
        return False
    return True
