"""Sentences about a machine user's access to its storage."""

from __future__ import annotations

from registry_tui.schemas.registries import ModelRegistry, StorageAccess, StoreKeyWay
from registry_tui.wording.access import access_said

#: For a registry that uses its environment's own store like the service does.
AS_THE_STORE = "as its environment's store"


def access_word(found: ModelRegistry) -> str:
    """Whether a registry may use its storage, in a word or two for lists."""
    return found.storage_access.value if found.grant_counts else AS_THE_STORE


def registry_access_said(found: ModelRegistry, next_step: str) -> str:
    """Whether a registry may use its storage, and how to grant that; a grant may be for the embedded store alone."""
    words = access_said(found.storage_access, found.storage_access_tried_at, found.storage_access_problem, next_step)
    return words if found.grant_counts else f"{AS_THE_STORE}; run artifacts in the embedded store: {words}"


def still_granted(found: ModelRegistry) -> str | None:
    """Why a registry still has access just after it was revoked by name; None if it does not."""
    if not found.grant_counts:
        return (
            f"The environment's credentials still reach the archives of {found.name}: revoking counts there once the "
            "registry has a key of its own"
        )
    if found.storage_access is not StorageAccess.GRANTED:
        return None
    return (
        f"{found.machine_user_workload_name} is named no longer, but a group or a role still gives it access. Take it "
        "out there: `registry-tui groups list`, and `registry-tui ranger roles list` with RAZ"
    )


def grant_lines(registry: ModelRegistry, *, granted: bool) -> tuple[str, ...]:
    """The effect of granting, or of revoking where the access is `granted`."""
    who = f"Machine user {registry.machine_user_workload_name}"
    key, store = registry.store_key, registry.store
    if store is None or key is None or key.way is not StoreKeyWay.ENVIRONMENT:
        may = "may no longer use" if granted else "will be able to use"
        after = "Nothing can be registered until it is granted again." if granted else "and read run artifacts."
        return who, f"{may} {registry.archives}", after
    may = "may no longer read" if granted else "will be able to read"
    return (
        who,
        f"{may} run artifacts in the embedded store.",
        "Its archives stay within reach: the environment's credentials count there."
        if granted or store.kind != "s3"
        else "The store is asked to make a user of its own for it.",
    )
