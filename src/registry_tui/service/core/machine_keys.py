"""Machine users' keys on the object store, as the service keeps them."""

from __future__ import annotations

from registry_tui.platform.secrets import AccessKey
from registry_tui.service.database.tables import RegistryRow


def machine_key(row: RegistryRow) -> AccessKey | None:
    """The key of a registry's machine user, once it has one."""
    if not (row.machine_user_access_key_id and row.machine_user_secret_access_key):
        return None
    return AccessKey(row.machine_user_access_key_id, row.machine_user_secret_access_key)
