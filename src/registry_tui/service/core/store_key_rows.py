"""The rows of registries' keys, with their content encrypted with a secret of the home."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from registry_tui.schemas.registries import StoreKeyWay
from registry_tui.schemas.stores import S3Credentials, Store
from registry_tui.service.core.context import Service
from registry_tui.service.core.own_stores import store_of
from registry_tui.service.database.tables import EnvironmentStoreRow, RegistryRow, RegistryStoreKeyRow, now
from registry_tui.service.errors import Missing, WrongState


def rows_of(service: Service, registry_id: str) -> tuple[RegistryRow | None, Store | None]:
    with service.database.reading() as session:
        row = session.get(RegistryRow, registry_id)
        store = None if row is None else session.get(EnvironmentStoreRow, row.environment_id)
        if row is not None:
            _ = row.store_key
        return row, None if store is None else store_of(store.store)


def change(service: Service, registry_id: str, **values: Any) -> None:
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


def key_of(service: Service, key: RegistryStoreKeyRow) -> S3Credentials:
    return S3Credentials.model_validate_json(unsealed(service, key))


def _fernet(service: Service) -> Fernet:
    seed = service.secrets.idempotency_seed.encode()
    return Fernet(base64.urlsafe_b64encode(hmac.new(seed, b"store-keys", hashlib.sha256).digest()))


def sealed(service: Service, credentials: str) -> str:
    return _fernet(service).encrypt(credentials.encode()).decode()


def unsealed(service: Service, key: RegistryStoreKeyRow) -> str:
    try:
        return _fernet(service).decrypt(key.credentials.encode()).decode()
    except InvalidToken as error:
        raise WrongState(
            "The registry's key of its environment's store cannot be read: it was encrypted with the secrets of "
            "another installation",
            action="Grant the access again, or give the key again",
        ) from error
