"""Access of registries to their environments' own stores: granted, revoked, and kept in step with policies."""

from __future__ import annotations

import json
import logging
import time
from secrets import token_hex
from typing import Any

from pydantic import TypeAdapter

from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.registries import StoreKeyWay
from registry_tui.schemas.stores import (
    AzureStore,
    DirectoryStore,
    S3Credentials,
    S3Store,
    Store,
    credentials_of,
    uri_of,
)
from registry_tui.service.core.context import Service
from registry_tui.service.core.own_stores import MARK, require_there
from registry_tui.service.core.store_key_rows import change, key_of, rows_of, sealed
from registry_tui.service.core.store_keys import can_sign, put_and_get, works
from registry_tui.service.database.tables import RegistryRow, RegistryStoreKeyRow
from registry_tui.service.errors import InvalidInput, NotPermitted, PartUnavailable, ServiceError, WrongState
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.opening import open_limited, open_store
from registry_tui.service.stores.s3 import open_s3, open_users
from registry_tui.service.stores.s3_policies import set_statements
from registry_tui.service.stores.s3_users import NoUsers, S3Users, archives_statements

logger = logging.getLogger(__name__)

_STORES: TypeAdapter[Store] = TypeAdapter(Store)
#: Seconds until a new key has to be accepted, and between two tries: AWS propagates it to its servers.
_PATIENCE, _EVERY = 30.0, 0.3
_TRIAL_SECONDS = 300


def follow(service: Service, registry_id: str, *, granted: bool, mend: bool = False) -> None:
    """Gives a registry access to its environment's own store, or revokes it, as policies and mappings have decided.

    Where the store has no users, or the environment's credentials may not make any, the registry uses these
    credentials, and the reason is kept. `mend` replaces a key that the store refuses. Raises PartUnavailable,
    NotPermitted.
    """
    with service.locks.of(f"store-key:{registry_id}"):
        row, store = rows_of(service, registry_id)
        if row is None or store is None:
            return
        key = row.store_key
        if not granted:
            if key is not None and (key.user or key.way != StoreKeyWay.ENVIRONMENT):
                _take(service, row, store, key)
        elif key is not None and key.way == StoreKeyWay.GIVEN:
            if key.user and isinstance(store, S3Store) and (mend or not key.granted):
                _let_in(service, row, store, key.user)
            if not key.granted:
                change(service, registry_id, granted=True)
        elif can_sign(store):
            if key is None or key.way != StoreKeyWay.SAS or not key.granted:
                _sign(service, row, store)
        elif key is not None and key.way == StoreKeyWay.SAS:
            change(service, registry_id, way=StoreKeyWay.ENVIRONMENT.value, held="", granted=True)
        elif isinstance(store, S3Store):
            made = key is not None and key.way == StoreKeyWay.USER and key.granted
            if not made or (mend and not works(service, registry_id)):
                _make(service, row, store)


def give(service: Service, registry_id: str, given: Store, principal: str = "") -> None:
    """Has a registry use an administrator's key, after a try; `principal` is the one that the bucket's policy lets in.

    A user made for the registry is removed. Raises InvalidInput for a key that cannot be used, WrongState without such
    a store or with the address of another one, NotPermitted, PartUnavailable.
    """
    with service.locks.of(f"store-key:{registry_id}"):
        row, store = rows_of(service, registry_id)
        if row is None or store is None:
            raise _no_store()
        if uri_of(given) != uri_of(store):
            raise WrongState(
                f"The archives lie in {uri_of(store)}, not in {uri_of(given)}",
                action="Give the key with the address of the environment's own store",
            )
        if isinstance(store, DirectoryStore):
            raise InvalidInput("A directory has no keys: the service's account reads and writes it")
        if principal and not isinstance(store, S3Store):
            raise InvalidInput("Only S3 has policies of buckets that let a principal in", action="Leave it out")
        before = row.store_key
        raw = given.credentials.model_dump_json() if not isinstance(given, DirectoryStore) else ""
        bucket = open_store(_STORES.validate_python(store.model_dump() | {"credentials": json.loads(raw)}))
        if isinstance(store, S3Store) and (principal or (before is not None and before.way == StoreKeyWay.GIVEN)):
            _let_in(service, row, store, principal)
        try:
            if principal:
                _wait_for(bucket, "the key")
            require_there(bucket, row.environment_id)
            put_and_get(bucket, row.prefix)
        except ServiceError as error:
            if principal and isinstance(store, S3Store):
                kept = before is not None and before.way == StoreKeyWay.GIVEN and before.granted
                _let_in(service, row, store, before.user if before is not None and kept else "")
            raise InvalidInput(
                f"The key cannot be used for the registry: {error.detail}",
                action=f"Let it list, get, put and delete objects below {bucket.uri}{row.prefix}/, and get {MARK}",
            ) from error
        if before is not None and before.way != StoreKeyWay.GIVEN and before.user and isinstance(store, S3Store):
            _users(store).delete(before.user, row.id)
        change(
            service,
            registry_id,
            way=StoreKeyWay.GIVEN.value,
            user=principal,
            granted=True,
            credentials=sealed(service, raw),
            held=credentials_of(given),
            note="it reaches more than the registry's folder" if _reaches_more(bucket) else "",
            action="",
        )


def forget(service: Service, registry_id: str) -> None:
    """Has a registry stop using the given key; does nothing without one. Raises WrongState as `give` does."""
    with service.locks.of(f"store-key:{registry_id}"):
        row, store = rows_of(service, registry_id)
        if row is None or store is None:
            raise _no_store()
        if row.store_key is None or row.store_key.way != StoreKeyWay.GIVEN:
            return
        _take(service, row, store, row.store_key)
        with service.database.session() as session:
            key = session.get(RegistryStoreKeyRow, registry_id)
            if key is not None:
                session.delete(key)


def remove(service: Service, registry_id: str) -> None:
    """Removes a registry's user and access from the store when it is deleted. Raises PartUnavailable, NotPermitted."""
    with service.locks.of(f"store-key:{registry_id}"):
        row, store = rows_of(service, registry_id)
        if row is None or store is None or row.store_key is None:
            return
        _take(service, row, store, row.store_key)


def rotate(service: Service, registry_id: str) -> AccessKey | None:
    """Gives the registry's user a new key, which is used from now on; returns it, None without a user."""
    with service.locks.of(f"store-key:{registry_id}"):
        row, store = rows_of(service, registry_id)
        key = None if row is None else row.store_key
        if row is None or key is None or not isinstance(store, S3Store):
            return None
        if key.way != StoreKeyWay.USER or not key.granted:
            return None
        before = key_of(service, key)
        made = _users(store).add_key(key.user, kept=before.access_key_id)
        _use(service, row, store, key.user, made)
        return made


def retire(service: Service, registry_id: str, kept: AccessKey) -> None:
    """Ends the keys that came before the one that `rotate` made."""
    row, store = rows_of(service, registry_id)
    if row is not None and row.store_key is not None and isinstance(store, S3Store):
        _users(store).retire(row.store_key.user, kept.access_key_id)


# -- underneath ------------------------------------------------------------------------------------------


def _make(service: Service, row: RegistryRow, store: S3Store) -> None:
    """Makes the registry's user, its policy and a key; repeats an interrupted step."""
    key = row.store_key
    user = key.user if key is not None and key.user else f"registry-tui-{row.id[:8]}-{token_hex(8)}"
    users = _users(store)
    try:
        if key is None or key.user != user:
            # Noted before it is made, so that one whose making was interrupted is known as the registry's.
            way = StoreKeyWay.ENVIRONMENT.value if key is None else key.way
            change(service, row.id, way=way, user=user)
        try:
            users.create(user, row.id)
        except (NotPermitted, NoUsers):
            change(service, row.id, user="")
            raise
        users.put_policy(user, _statements(row, store))
        _use(service, row, store, user, users.add_key(user))
    except ServiceError as error:
        if key is not None and key.way == StoreKeyWay.USER:
            raise
        change(service, row.id, note=error.detail, action=error.action or "")
        logger.warning("registry %s uses its environment's credentials: %s", row.name, error.detail)


def _sign(service: Service, row: RegistryRow, store: Store) -> None:
    """Has the registry use a SAS of the container from now on, once one was tried."""
    assert isinstance(store, AzureStore)
    held = f"a SAS of the container {store.address.container}, made from the account key"
    try:
        bucket = open_limited(store, _TRIAL_SECONDS)
        require_there(bucket, row.environment_id)
        put_and_get(bucket, row.prefix)
    except ServiceError as error:
        if row.store_key is not None and row.store_key.way == StoreKeyWay.SAS:
            raise
        change(service, row.id, note=error.detail, action=error.action or "")
        logger.warning("registry %s uses its environment's credentials: %s", row.name, error.detail)
        return
    change(service, row.id, way=StoreKeyWay.SAS.value, user="", granted=True, held=held, note="", action="")


def _use(service: Service, row: RegistryRow, store: S3Store, user: str, made: AccessKey) -> None:
    """Keeps a user's key once the store accepts it. Raises PartUnavailable where it does not."""
    credentials = S3Credentials(access_key_id=made.access_key_id, secret_access_key=made.secret_access_key)
    _wait_for(open_s3(store.address, credentials), f"the key of {user}")
    change(
        service,
        row.id,
        way=StoreKeyWay.USER.value,
        user=user,
        granted=True,
        credentials=sealed(service, credentials.model_dump_json()),
        held=f"the access key {made.access_key_id}",
        note="",
        action="",
    )


def _wait_for(bucket: Bucket, what: str) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            bucket.read(MARK)
        except NotPermitted as error:
            if time.monotonic() > until:
                raise PartUnavailable(
                    f"The store does not accept {what} yet: {error.detail}", action="Grant the access again"
                ) from error
            time.sleep(_EVERY)
        else:
            return


def _take(service: Service, row: RegistryRow, store: Store, key: RegistryStoreKeyRow) -> None:
    """Revokes the access here first, so that nothing is stored while it is revoked in the store."""
    if key.way == StoreKeyWay.GIVEN:
        change(service, row.id, granted=False)
        if key.user and isinstance(store, S3Store):
            _let_in(service, row, store, "")
        return
    change(service, row.id, granted=False, credentials="", held="")
    if key.user and isinstance(store, S3Store):
        try:
            _users(store).delete(key.user, row.id)
        except ServiceError as error:
            if key.way == StoreKeyWay.USER:
                raise
            # One whose making was interrupted has neither a policy nor a known key.
            logger.warning("the user %s stays in the store of registry %s: %s", key.user, row.name, error.detail)
        change(service, row.id, user="")


def _reaches_more(bucket: Bucket) -> bool:
    """Whether a key may list objects outside the registry's folder."""
    try:
        next(iter(bucket.list()), None)
    except ServiceError:
        return False
    return True


def _let_in(service: Service, row: RegistryRow, store: S3Store, principal: str) -> None:
    """Has the bucket's policy let a principal into the registry's folder only; an empty principal removes that."""
    client = open_s3(store.address, store.credentials).client
    statements = _statements(row, store, kms=False) if principal else []
    # The letters and digits that AWS accepts in a Sid.
    sid = f"RegistryTui{row.id.replace('-', '')}n"
    with service.locks.of(f"bucket-policy:{store.address.endpoint} {store.address.bucket}"):
        set_statements(client, store.address.bucket, sid, principal, statements)


def _no_store() -> WrongState:
    return WrongState(
        "The registry's environment has no store of its own: its archives lie in the embedded one",
        action="Grant or revoke the access of its machine user instead",
    )


def _users(store: S3Store) -> S3Users:
    return open_users(store.address, store.credentials)


def _statements(row: RegistryRow, store: S3Store, *, kms: bool = True) -> list[dict[str, Any]]:
    base = store.address.prefix.strip("/")
    below = f"{base}/" if base else ""
    return archives_statements(
        store.address.bucket, f"{below}{row.prefix}/", f"{below}{MARK}", store.address.kms_key if kms else ""
    )
