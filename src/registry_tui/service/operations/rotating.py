"""Rotating the platform's own secrets while it works: new ones are accepted first, then used, then old ones end.

Each step may run again. A rotation interrupted by a kill resumes at the service's next start (`resume`), from the file
with the new secrets (`platform/rotation.py`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import select

from registry_tui.contracts.permissions import Action
from registry_tui.platform import object_store, rotation
from registry_tui.platform.errors import Damaged, PlatformError
from registry_tui.platform.rotation import Rotation, Stage
from registry_tui.platform.s3 import s3_client
from registry_tui.platform.secrets import AccessKey, Secrets, SecretsFile, save_secrets
from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.secrets import SecretKind, SecretsRotate, SecretsRotated
from registry_tui.service.adapters.mlflow import NotLetIn
from registry_tui.service.core import events, identity, permissions, store_key_changes
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.machine_keys import machine_key
from registry_tui.service.database.tables import RegistryRow, RegistryStoreKeyRow, UserRow
from registry_tui.service.errors import Missing, PartUnavailable, ServiceError, UserSuspended

logger = logging.getLogger(__name__)

#: The fields of `Secrets` that each kind replaces. Machine users' keys are in the service's database.
FIELDS: Mapping[SecretKind, tuple[str, ...]] = {
    SecretKind.OBJECT_STORE: ("object_store_admin", "object_store_mlflow"),
    SecretKind.MACHINE_USERS: (),
    SecretKind.MLFLOW: ("mlflow_admin_password", "mlflow_flask_secret"),
    SecretKind.PEOPLE: ("user_password_seed",),
}
_RESOURCE = Resource("secrets", "secrets", "secrets")
#: One rotation at a time.
_LOCK = "rotate secrets"
#: Seconds that the object store gets to accept new keys, and between two checks.
_PATIENCE, _EVERY = 20.0, 0.05
#: Seconds for requests under way that were signed with the old keys, and for other processes of the service to load the
#: new ones.
_GRACE = 1.0


def rotate(service: Service, principal: Principal, request: SecretsRotate) -> SecretsRotated:
    """Replaces the secrets of the requested kinds, and of an unfinished rotation.

    Raises NotPermitted, PartUnavailable: then the rotation resumes with the next one, or at the service's next start.
    """
    kinds = list(dict.fromkeys(request.kinds or SecretKind))
    with events.recording(service, principal, "secrets.rotate", _RESOURCE) as event:
        permissions.require(principal, Action.SECRETS_ROTATE)
        event.detail = ", ".join(kinds)
        with service.locks.of(_LOCK):
            _finish_earlier(service)
            names = tuple(name for kind in kinds for name in FIELDS[kind])
            _carry_out(service, rotation.begin(service.home, tuple(kinds), service.secrets, names))
    return SecretsRotated(kinds=kinds, rotated_at=datetime.now(UTC))


def resume(service: Service) -> None:
    """Resumes an interrupted rotation. Raises PartUnavailable: call it again later.

    One that cannot be resumed is left, with a line in the log: old and new secrets both work. A damaged one is set
    aside.
    """
    try:
        with service.locks.of(_LOCK):
            _finish_earlier(service)
    except PartUnavailable:
        raise
    except ServiceError as error:
        logger.error("the rotation of secrets cannot go on: %s", error.detail)


class _File:
    """The file of secrets as loaded by this process; one thread at a time loads or replaces it."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.read: SecretsFile | None = None


def follow(service: Service) -> None:
    """Loads the secrets that another process of the service has rotated. Raises OSError, Damaged."""
    file = service.kept.of(_File)
    with file.guard:
        file.read = file.read or SecretsFile(service.home)
        found = file.read.current()
        if found != service.secrets:
            service.secrets.become(found)
            service.access.forget_changes()


def _finish_earlier(service: Service) -> None:
    try:
        if service.database.shared:
            follow(service)
    except (OSError, PlatformError) as error:
        raise PartUnavailable(f"The secrets cannot be rotated: {error}") from error
    try:
        earlier = rotation.under_way(service.home)
        if earlier is not None and not set(earlier.kinds) <= set(SecretKind):
            raise Damaged(f"{service.home.rotation_file} names unknown kinds")
    except Damaged as error:
        _set_aside(service, error)
    except OSError as error:
        raise PartUnavailable(f"The secrets cannot be rotated: {error}") from error
    else:
        if earlier is not None:
            _carry_out(service, earlier)


def _set_aside(service: Service, error: Damaged) -> None:
    """Sets aside a rotation that cannot be resumed, and reports it; the next one replaces its remains."""
    home = service.home
    try:
        rotation.set_aside(home)
    except OSError as failed:
        raise PartUnavailable(f"{error.message}, and cannot be set aside: {failed.strerror}") from failed
    detail = (
        f"{error.message}, so the rotation that it was about does not go on; it was set aside as "
        f"{home.damaged_rotation_file}. The secrets in {home.secrets_file} count; replaced ones may still work. Where "
        "MLflow refuses the service now, `registry-tui restart mlflow` mends it; then `registry-tui secrets rotate`"
    )
    logger.error("%s", detail)
    owner, failed_ = identity.owner_principal(service), EventOutcome.FAILED
    events.record(service, owner, action="secrets.rotate", resource=_RESOURCE, outcome=failed_, detail=detail)


def _carry_out(service: Service, under_way: Rotation) -> None:
    """Raises PartUnavailable when a part does not respond."""
    kinds = {SecretKind(kind) for kind in under_way.kinds}
    after = under_way.after(service.secrets)
    try:
        if SecretKind.OBJECT_STORE in kinds:
            _set_identities(service, accepted=_keys(under_way.new))
        if under_way.stage is Stage.BEGUN:
            if SecretKind.PEOPLE in kinds:
                _change_passwords(service, after)
            if SecretKind.MLFLOW in kinds:
                _change_own_password(service, *under_way.both("mlflow_admin_password"))
        # From here on everything uses the new secrets, also the other processes, which read the file again (`follow`).
        with service.kept.of(_File).guard:
            save_secrets(service.home, after)
            service.secrets.become(after)
            service.access.forget_changes()
        added = _add_machine_keys(service) if SecretKind.MACHINE_USERS in kinds else []
        outside = _add_keys_outside(service) if SecretKind.MACHINE_USERS in kinds else []
        rotation.keep(service.home, replace(under_way, stage=Stage.RETIRING))
        if service.database.shared or kinds & {SecretKind.OBJECT_STORE, SecretKind.MACHINE_USERS}:
            time.sleep(_GRACE)
        for user, old, new in added:
            service.stores.users.retire_access_keys(user, old, new)
        for registry_id, new in outside:
            with _left_out(service):
                store_key_changes.retire(service, registry_id, new)
        if SecretKind.OBJECT_STORE in kinds:
            _set_identities(service, refused=_keys(under_way.old))
        rotation.finish(service.home)
    except (PlatformError, OSError) as error:
        raise PartUnavailable(f"The secrets cannot be rotated: {error}") from error


# -- the object store -------------------------------------------------------------------------------------


def _set_identities(service: Service, *, accepted: Iterable[AccessKey] = (), refused: Iterable[AccessKey] = ()) -> None:
    """Has the object store load the current keys, and waits until it did."""
    object_store.write_identities(service.home, service.secrets)
    object_store.read_identities_again(service.home)
    keys, asked = _Keys(service.ports.s3_endpoint), time.monotonic()
    until = asked + _PATIENCE
    wanted = [*((key, True) for key in accepted), *((key, False) for key in refused)]
    while any(keys.accepted(key) is not works for key, works in wanted):
        if time.monotonic() > until:
            raise PartUnavailable(
                "The object store does not take up its new keys", action="See `registry-tui logs object-store`"
            )
        if time.monotonic() - asked > 1.0:
            # It may have been starting meanwhile, with the identities that it had read before.
            object_store.write_identities(service.home, service.secrets)
            object_store.read_identities_again(service.home)
            asked = time.monotonic()
        time.sleep(_EVERY)


class _Keys:
    """Tries keys at the object store, each with a client of its own."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._clients: dict[AccessKey, Any] = {}

    def accepted(self, key: AccessKey) -> bool | None:
        """Whether the store knows a key; None while it does not respond."""
        if key not in self._clients:
            self._clients[key] = s3_client("s3", self._endpoint, key, attempts=1, read_timeout=5, connections=1)
        try:
            self._clients[key].list_buckets()
        except ClientError as error:
            return False if error.response.get("Error", {}).get("Code") == "InvalidAccessKeyId" else None
        except BotoCoreError:
            return None
        return True


def _keys(fields: Mapping[str, Any]) -> list[AccessKey]:
    return [AccessKey(**fields[name]) for name in FIELDS[SecretKind.OBJECT_STORE]]


def _add_machine_keys(service: Service) -> list[tuple[str, AccessKey | None, AccessKey]]:
    """Gives every machine user another key, which the service uses from now on; the user, the old and the new key."""
    with service.database.reading() as session:
        rows = [row for row in session.scalars(select(RegistryRow)) if machine_key(row) is not None]
    changed = []
    for row in rows:
        user = str(row.machine_user_workload_name)
        with suppress(Missing):  # its registry is being deleted
            new = service.stores.users.add_access_key(user)
            with service.database.session() as session:
                found = session.get(RegistryRow, row.id)
                if found is not None and machine_key(found) is not None:
                    old = machine_key(found)
                    found.machine_user_access_key_id = new.access_key_id
                    found.machine_user_secret_access_key = new.secret_access_key
                    changed.append((user, old, new))
    return changed


def _add_keys_outside(service: Service) -> list[tuple[str, AccessKey]]:
    """Gives every registry that is a user of its environment's own store another key there."""
    with service.database.reading() as session:
        ids = list(session.scalars(select(RegistryStoreKeyRow.registry_id)))
    made = []
    for registry_id in ids:
        with _left_out(service):
            new = store_key_changes.rotate(service, registry_id)
            if new is not None:
                made.append((registry_id, new))
    return made


@contextmanager
def _left_out(service: Service) -> Iterator[None]:
    """An unavailable store of somebody else does not block a rotation here: its key stays valid, and is reported."""
    try:
        yield
    except ServiceError as error:
        detail = f"The key of a registry in its environment's own store stays as it was: {error.detail}"
        logger.error("%s", detail)
        owner, failed = identity.owner_principal(service), EventOutcome.FAILED
        events.record(service, owner, action="secrets.rotate", resource=_RESOURCE, outcome=failed, detail=detail)


# -- MLflow's server --------------------------------------------------------------------------------------


def _change_own_password(service: Service, old: str, new: str) -> None:
    """Changes the service's own password, unless that was done before."""
    user = service.secrets.mlflow_admin_user
    try:
        service.mlflow.call("GET", "users/current", auth=(user, new))
    except NotLetIn:
        body = {"username": user, "password": new, "current_password": old}
        service.mlflow.call("PATCH", "users/update-password", json=body, auth=(user, old))


def _change_passwords(service: Service, after: Secrets) -> None:
    """Gives every person the password of the new seed; suspended people keep one that nobody knows."""
    with service.database.reading() as session:
        suspended = identity.suspended(session)
        people = [name for name in session.scalars(select(UserRow.name)) if name not in suspended]
    for name in people:
        with suppress(Missing, UserSuspended):  # MLflow does not know everybody
            service.access.change_password(name, after)
