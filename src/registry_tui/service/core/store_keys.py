"""How registries reach the stores that their environments brought along: each with a key of its own where it can.

A store with IAM gets a user for the registry, whose policy opens the folder of its archives alone. Where there is none,
an administrator gives a key; until then the environment's credentials are used, and the registry says so.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
from secrets import token_hex
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from pydantic import TypeAdapter
from sqlalchemy import select

from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.registries import StoreKey, StoreKeyWay
from registry_tui.schemas.stores import DirectoryStore, S3Credentials, S3Store, Store, credentials_of, uri_of
from registry_tui.service.core.context import Service
from registry_tui.service.core.own_stores import MARK, own_store, require_there, store_of
from registry_tui.service.database.tables import EnvironmentStoreRow, RegistryRow, RegistryStoreKeyRow, now
from registry_tui.service.errors import (
    InvalidInput,
    Missing,
    NotPermitted,
    PartUnavailable,
    ServiceError,
    StorageNotGranted,
    WrongState,
)
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.opening import open_store
from registry_tui.service.stores.s3 import open_s3, open_users
from registry_tui.service.stores.s3_policies import set_statements
from registry_tui.service.stores.s3_users import NoUsers, S3Users, archives_statements

logger = logging.getLogger(__name__)

_STORES: TypeAdapter[Store] = TypeAdapter(Store)
#: Seconds until a new key has to be accepted, and between two looks: AWS spreads it over its servers.
_PATIENCE, _EVERY = 30.0, 0.3


class _Opened:
    """Stores as registries reach them, by registry, with the generations of both rows; and the newest keys of users."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.known: dict[str, tuple[tuple[int, int], Bucket]] = {}
        self.keys: dict[str, AccessKey] = {}


def keyed_store(service: Service, environment_id: str) -> Bucket | None:
    """The environment's own store as its registry reaches it; None where the embedded one serves it.

    Raises StorageNotGranted where the registry has no access now, WrongState for a key that cannot be read,
    InvalidInput.
    """
    with service.database.reading() as session:
        store = session.get(EnvironmentStoreRow, environment_id)
        query = select(RegistryRow).where(RegistryRow.environment_id == environment_id)
        registry = None if store is None else session.scalars(query).one_or_none()
        key = None if registry is None else registry.store_key
    if store is None:
        return None
    if registry is None or key is None or key.way == StoreKeyWay.ENVIRONMENT:
        return own_store(service, environment_id)
    if not key.granted:
        raise StorageNotGranted(
            f"Model Registry {registry.name} has no access to {store_uri(service, environment_id)} now", registry.name
        )
    opened = service.kept.of(_Opened)
    generations = (store.generation, key.generation)
    with opened.guard:
        found = opened.known.get(registry.id)
        if found is None or found[0] != generations:
            found = opened.known[registry.id] = generations, _open(service, opened, registry.id, store, key)
        return found[1]


def claimed_with_key(service: Service, environment_id: str) -> Bucket | None:
    """As `keyed_store`, after a look at the place's mark with the registry's key.

    Raises PartUnavailable where the mark is missing, StorageNotGranted, WrongState, InvalidInput.
    """
    bucket = keyed_store(service, environment_id)
    if bucket is not None:
        require_there(bucket, environment_id)
    return bucket


def kept_store(service: Service, environment_id: str) -> Bucket | None:
    """The environment's own store for work that goes on without access: measuring, cleaning up, and deleting.

    As the registry reaches it, else with the environment's credentials. Raises PartUnavailable, WrongState.
    """
    try:
        bucket = keyed_store(service, environment_id)
    except StorageNotGranted:
        bucket = own_store(service, environment_id)
    if bucket is not None:
        require_there(bucket, environment_id)
    return bucket


def store_uri(service: Service, environment_id: str) -> str:
    """Where an environment's own store is, for messages."""
    bucket = own_store(service, environment_id)
    return "its store" if bucket is None else bucket.uri


def shown(row: RegistryRow) -> StoreKey | None:
    """How a registry reaches its environment's own store, as people see it."""
    if row.environment.store is None:
        return None
    key = row.store_key
    if key is None:
        return StoreKey()
    return StoreKey(
        way=StoreKeyWay(key.way),
        user="" if key.way == StoreKeyWay.ENVIRONMENT else key.user,
        held=key.held,
        granted=key.granted or key.way == StoreKeyWay.ENVIRONMENT,
        note=key.note,
        action=key.action,
    )


# -- granting and revoking -----------------------------------------------------------------------------


def follow(service: Service, registry_id: str, *, granted: bool, mend: bool = False) -> None:
    """Gives a registry access to its environment's own store, or takes it, as policies and mappings have decided.

    A store without users, or one that does not let the environment's credentials make any, leaves the registry with
    these, and says why. `mend` replaces a key that the store refuses. Raises PartUnavailable, NotPermitted.
    """
    with service.locks.of(f"store-key:{registry_id}"):
        row, store = _rows(service, registry_id)
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
                _change(service, registry_id, granted=True)
        elif isinstance(store, S3Store):
            made = key is not None and key.way == StoreKeyWay.USER and key.granted
            if not made or (mend and not works(service, registry_id)):
                _make(service, row, store)


def give(service: Service, registry_id: str, given: Store, principal: str = "") -> None:
    """Has a registry use a key that an administrator gives, once it was tried; `principal` is let in by the bucket.

    A user that was made for the registry goes. Raises InvalidInput for a key that cannot be used, WrongState without
    such a store or with the address of another one, NotPermitted, PartUnavailable.
    """
    with service.locks.of(f"store-key:{registry_id}"):
        row, store = _rows(service, registry_id)
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
            _try(bucket, row.prefix)
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
        _change(
            service,
            registry_id,
            way=StoreKeyWay.GIVEN.value,
            user=principal,
            granted=True,
            credentials=_sealed(service, raw),
            held=credentials_of(given),
            note="it reaches more than the registry's folder" if _reaches_more(bucket) else "",
            action="",
        )


def forget(service: Service, registry_id: str) -> None:
    """Has a registry not use the key that was given; without one it does nothing. Raises WrongState as `give` does."""
    with service.locks.of(f"store-key:{registry_id}"):
        row, store = _rows(service, registry_id)
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
    """Takes what was made in a store for a registry that goes. Raises PartUnavailable, NotPermitted."""
    with service.locks.of(f"store-key:{registry_id}"):
        row, store = _rows(service, registry_id)
        if row is None or store is None or row.store_key is None:
            return
        _take(service, row, store, row.store_key)


def rotate(service: Service, registry_id: str) -> AccessKey | None:
    """Gives the registry's user another key, which is used from now on; returns the new one, None without a user."""
    with service.locks.of(f"store-key:{registry_id}"):
        row, store = _rows(service, registry_id)
        key = None if row is None else row.store_key
        if row is None or key is None or not isinstance(store, S3Store):
            return None
        if key.way != StoreKeyWay.USER or not key.granted:
            return None
        before = _key_of(service, key)
        made = _users(store).add_key(key.user, kept=before.access_key_id)
        _use(service, row, store, key.user, made)
        return made


def retire(service: Service, registry_id: str, kept: AccessKey) -> None:
    """Ends the keys that came before the one that `rotate` made."""
    row, store = _rows(service, registry_id)
    if row is not None and row.store_key is not None and isinstance(store, S3Store):
        _users(store).retire(row.store_key.user, kept.access_key_id)


# -- underneath ------------------------------------------------------------------------------------------


def _rows(service: Service, registry_id: str) -> tuple[RegistryRow | None, Store | None]:
    with service.database.reading() as session:
        row = session.get(RegistryRow, registry_id)
        store = None if row is None else session.get(EnvironmentStoreRow, row.environment_id)
        if row is not None:
            _ = row.store_key
        return row, None if store is None else store_of(store.store)


def _make(service: Service, row: RegistryRow, store: S3Store) -> None:
    """Makes the registry's user, its policy and a key, each step again where one was cut off."""
    key = row.store_key
    user = key.user if key is not None and key.user else f"registry-tui-{row.id[:8]}-{token_hex(8)}"
    users = _users(store)
    try:
        if key is None or key.user != user:
            # Kept before it is made, so that one whose making was cut off is known as the registry's.
            way = StoreKeyWay.ENVIRONMENT.value if key is None else key.way
            _change(service, row.id, way=way, user=user)
        try:
            users.create(user, row.id)
        except (NotPermitted, NoUsers):
            _change(service, row.id, user="")
            raise
        users.put_policy(user, _statements(row, store))
        _use(service, row, store, user, users.add_key(user))
    except ServiceError as error:
        if key is not None and key.way == StoreKeyWay.USER:
            raise
        _change(service, row.id, note=error.detail, action=error.action or "")
        logger.warning("registry %s uses its environment's credentials: %s", row.name, error.detail)


def _use(service: Service, row: RegistryRow, store: S3Store, user: str, made: AccessKey) -> None:
    """Keeps a user's key once the store accepts it. Raises PartUnavailable where it does not."""
    credentials = S3Credentials(access_key_id=made.access_key_id, secret_access_key=made.secret_access_key)
    _wait_for(open_s3(store.address, credentials), f"the key of {user}")
    _change(
        service,
        row.id,
        way=StoreKeyWay.USER.value,
        user=user,
        granted=True,
        credentials=_sealed(service, credentials.model_dump_json()),
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
    """Takes the access away here first, so that nothing is stored while the store is asked to do the same."""
    if key.way == StoreKeyWay.GIVEN:
        _change(service, row.id, granted=False)
        if key.user and isinstance(store, S3Store):
            _let_in(service, row, store, "")
        return
    _change(service, row.id, granted=False, credentials="", held="")
    if key.user and isinstance(store, S3Store):
        try:
            _users(store).delete(key.user, row.id)
        except ServiceError as error:
            if key.way == StoreKeyWay.USER:
                raise
            # One whose making was cut off has neither policy nor key that anybody knows.
            logger.warning("the user %s stays in the store of registry %s: %s", key.user, row.name, error.detail)
        _change(service, row.id, user="")


def works(service: Service, registry_id: str) -> bool:
    """Whether the registry stores and reads with its key now. Raises PartUnavailable."""
    try:
        try_key(service, registry_id)
    except (NotPermitted, WrongState):
        return False
    return True


def try_key(service: Service, registry_id: str) -> None:
    """Puts, gets and deletes an object among the registry's archives in its environment's own store.

    Does nothing where the environment's credentials are used. Raises NotPermitted, WrongState, PartUnavailable.
    """
    row, _ = _rows(service, registry_id)
    key = None if row is None else row.store_key
    if row is None or key is None or key.way == StoreKeyWay.ENVIRONMENT:
        return
    bucket = claimed_with_key(service, row.environment_id)
    if bucket is None:
        return
    _try(bucket, row.prefix)


def _try(bucket: Bucket, prefix: str) -> None:
    name, body = f"{prefix}/.probe-{time.time_ns()}", b"registry-tui"
    bucket.put(name, body)
    found = bucket.read(name)
    bucket.delete([name])
    if found != body:
        raise WrongState(f"An object of {bucket.uri}{prefix}/ came back changed")


def _reaches_more(bucket: Bucket) -> bool:
    """Whether a key may list what lies beside the registry's folder."""
    try:
        next(iter(bucket.list()), None)
    except ServiceError:
        return False
    return True


def _let_in(service: Service, row: RegistryRow, store: S3Store, principal: str) -> None:
    """Has the bucket's policy let a principal into the registry's folder alone; with an empty one, nobody for it."""
    client = open_s3(store.address, store.credentials).client
    statements = _statements(row, store, kms=False) if principal else []
    # The letters and digits that AWS takes in a Sid.
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


def _change(service: Service, registry_id: str, **values: Any) -> None:
    with service.database.session() as session:
        row = session.get(RegistryRow, registry_id)
        if row is None:
            raise Missing("The Model Registry was deleted meanwhile")
        key = row.store_key
        if key is None:
            key = row.store_key = RegistryStoreKeyRow(registry_id=registry_id, way=StoreKeyWay.ENVIRONMENT.value)
            session.add(key)
            session.flush()
        for name, value in values.items():
            setattr(key, name, value)
        key.generation += 1
        row.updated_at = now()


def _open(
    service: Service, opened: _Opened, registry_id: str, store: EnvironmentStoreRow, key: RegistryStoreKeyRow
) -> Bucket:
    found = store_of(store.store)
    raw = _unsealed(service, key)
    if isinstance(found, S3Store) and key.way == StoreKeyWay.USER:
        credentials = S3Credentials.model_validate_json(raw)
        opened.keys[registry_id] = AccessKey(credentials.access_key_id, credentials.secret_access_key)
        # What is under way goes on with the next key when this one is rotated.
        return open_s3(found.address, credentials, lambda: opened.keys[registry_id])
    return open_store(_STORES.validate_python(found.model_dump() | {"credentials": json.loads(raw)}))


def _key_of(service: Service, key: RegistryStoreKeyRow) -> S3Credentials:
    return S3Credentials.model_validate_json(_unsealed(service, key))


def _fernet(service: Service) -> Fernet:
    seed = service.secrets.idempotency_seed.encode()
    return Fernet(base64.urlsafe_b64encode(hmac.new(seed, b"store-keys", hashlib.sha256).digest()))


def _sealed(service: Service, credentials: str) -> str:
    return _fernet(service).encrypt(credentials.encode()).decode()


def _unsealed(service: Service, key: RegistryStoreKeyRow) -> str:
    try:
        return _fernet(service).decrypt(key.credentials.encode()).decode()
    except InvalidToken as error:
        raise WrongState(
            "The registry's key of its environment's store cannot be read: it was encrypted with the secrets of "
            "another installation",
            action="Grant the access again, or give the key again",
        ) from error
