"""Machine users: their keys, which no answer of the service holds, and the object store as they reach it."""

from __future__ import annotations

from typing import Any

from registry_tui.platform.s3 import s3_client
from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.registries import ModelRegistry
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import RegistryRow
from support.platforms import Platform


def machine_key(platform: Platform, registry: ModelRegistry) -> AccessKey:
    """The key of a registry's machine user as the service keeps it."""
    database = Database.at(platform.home.service_database)
    try:
        with database.reading() as session:
            row = session.get_one(RegistryRow, registry.id)
            assert row.machine_user_access_key_id and row.machine_user_secret_access_key
            return AccessKey(row.machine_user_access_key_id, row.machine_user_secret_access_key)
    finally:
        database.close()


def machine_store(platform: Platform, registry: ModelRegistry) -> Any:
    """The object store, with the key of a registry's machine user."""
    return s3_client("s3", platform.ports.s3_endpoint, machine_key(platform, registry), attempts=1)
