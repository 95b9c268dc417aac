"""Whether machine users really have the access that they need: asked of the object store, with their own keys."""

from __future__ import annotations

import logging

from registry_tui.schemas.registries import StorageAccess
from registry_tui.service.core.context import Service
from registry_tui.service.core.machine_keys import machine_key
from registry_tui.service.database.tables import EnvironmentRow, RegistryRow, now
from registry_tui.service.errors import NotPermitted, ServiceError

logger = logging.getLogger(__name__)


def note_access(service: Service, environment_id: str) -> None:
    """Notes with an environment's registry whether its machine user can store archives now."""
    with service.database.reading() as session:
        environment = session.get_one(EnvironmentRow, environment_id)
        bucket, registry = environment.bucket, environment.model_registry
    key = None if registry is None else machine_key(registry)
    if registry is None or key is None:
        return
    try:
        service.stores.users.probe_prefix(key, bucket, registry.prefix, registry.name)
        found = StorageAccess.GRANTED
    except NotPermitted:
        found = StorageAccess.NOT_GRANTED
    except ServiceError as error:
        # A store that is full or away says nothing about who may use it.
        logger.warning("the access of %s could not be tried: %s", registry.machine_user_workload_name, error.detail)
        return
    if found.value != registry.storage_access:
        with service.database.session() as session:
            row = session.get(RegistryRow, registry.id)
            if row is not None:
                row.storage_access, row.updated_at = found.value, now()
