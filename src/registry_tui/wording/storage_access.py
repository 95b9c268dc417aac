"""Sentences about a machine user's access to its storage."""

from __future__ import annotations

from registry_tui.schemas.registries import ModelRegistry, StorageAccess


def still_granted(found: ModelRegistry) -> str | None:
    """Why a registry whose access was just revoked by name has it still; None when it has not."""
    if found.storage_access is not StorageAccess.GRANTED:
        return None
    return (
        f"{found.machine_user_workload_name} is named no longer, but a group or a role still gives it access. Take it "
        "out there: `registry-tui groups list`, and `registry-tui ranger roles list` with RAZ"
    )
