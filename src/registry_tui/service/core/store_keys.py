"""How registries reach their environments' own stores: each with a key of its own where possible.

A store with IAM gets a user for the registry, whose policy opens the folder of its archives alone. Without IAM an
administrator sets a key; until then the environment's credentials are used, and the registry reports that.
"""

from __future__ import annotations

import json
import threading
import time

from pydantic import TypeAdapter
from sqlalchemy import select

from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.registries import StoreKey, StoreKeyWay
from registry_tui.schemas.stores import AzureStore, S3Credentials, S3Store, Store
from registry_tui.service.core.context import Service
from registry_tui.service.core.own_stores import own_store, require_there, store_of
from registry_tui.service.core.store_key_rows import rows_of, unsealed
from registry_tui.service.database.tables import EnvironmentStoreRow, RegistryRow, RegistryStoreKeyRow
from registry_tui.service.errors import NotPermitted, StorageNotGranted, WrongState
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.opening import open_limited, open_store
from registry_tui.service.stores.s3 import open_s3

_STORES: TypeAdapter[Store] = TypeAdapter(Store)
#: Validity of a SAS that opens a container: longer than an upload of a day.
_SAS_SECONDS = 2 * 24 * 60 * 60


class _Opened:
    """Stores as registries reach them, by registry, with the generations of both rows; and the newest keys of users."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.known: dict[str, tuple[tuple[int, int, int], Bucket]] = {}
        self.keys: dict[str, AccessKey] = {}


def keyed_store(service: Service, environment_id: str) -> Bucket | None:
    """The environment's own store as its registry reaches it; None if it uses the embedded one.

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
    if key.way == StoreKeyWay.SAS and key.granted and not can_sign(store_of(store.store)):
        return own_store(service, environment_id)  # it is reached in another way since
    if not key.granted:
        raise StorageNotGranted(
            f"Model Registry {registry.name} has no access to {store_uri(service, environment_id)} now", registry.name
        )
    opened = service.kept.of(_Opened)
    # A SAS is renewed halfway to its end, so that requests under way finish with the previous one.
    turn = int(time.time() / (_SAS_SECONDS / 2)) if key.way == StoreKeyWay.SAS else 0
    generations = (store.generation, key.generation, turn)
    with opened.guard:
        found = opened.known.get(registry.id)
        if found is None or found[0] != generations:
            found = opened.known[registry.id] = generations, _open(service, opened, registry.id, store, key)
        return found[1]


def can_sign(store: Store) -> bool:
    """Whether the environment's credentials can sign a SAS for its registry."""
    return isinstance(store, AzureStore) and bool(store.credentials.account_key)


def claimed_with_key(service: Service, environment_id: str) -> Bucket | None:
    """As `keyed_store`, after a check of the place's mark with the registry's key.

    Raises PartUnavailable where the mark is missing, StorageNotGranted, WrongState, InvalidInput.
    """
    bucket = keyed_store(service, environment_id)
    if bucket is not None:
        require_there(bucket, environment_id)
    return bucket


def kept_store(service: Service, environment_id: str) -> Bucket | None:
    """The environment's own store for work that needs no granted access: measuring, cleaning up, and deleting.

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
    """The address of an environment's own store, for messages."""
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
    row, _ = rows_of(service, registry_id)
    key = None if row is None else row.store_key
    if row is None or key is None or key.way == StoreKeyWay.ENVIRONMENT:
        return
    bucket = claimed_with_key(service, row.environment_id)
    if bucket is None:
        return
    put_and_get(bucket, row.prefix)


def put_and_get(bucket: Bucket, prefix: str) -> None:
    """Puts, gets and deletes an object below a prefix. Raises ServiceError."""
    name, body = f"{prefix}/.probe-{time.time_ns()}", b"registry-tui"
    bucket.put(name, body)
    found = bucket.read(name)
    bucket.delete([name])
    if found != body:
        raise WrongState(f"An object of {bucket.uri}{prefix}/ came back changed")


def _open(
    service: Service, opened: _Opened, registry_id: str, store: EnvironmentStoreRow, key: RegistryStoreKeyRow
) -> Bucket:
    found = store_of(store.store)
    if isinstance(found, AzureStore) and key.way == StoreKeyWay.SAS:
        return open_limited(found, _SAS_SECONDS)
    raw = unsealed(service, key)
    if isinstance(found, S3Store) and key.way == StoreKeyWay.USER:
        credentials = S3Credentials.model_validate_json(raw)
        opened.keys[registry_id] = AccessKey(credentials.access_key_id, credentials.secret_access_key)
        # Requests under way continue with the next key when this one is rotated.
        return open_s3(found.address, credentials, lambda: opened.keys[registry_id])
    return open_store(_STORES.validate_python(found.model_dump() | {"credentials": json.loads(raw)}))
