"""References to things in a lineage: a kind and names or IDs, `version:REGISTRY/MODEL/3`."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

#: The kinds of things, each with the parts of its reference, in order.
PARTS = {
    "environment": ("environment",),
    "registry": ("registry",),
    "project": ("project",),
    "experiment": ("project", "experiment"),
    "run": ("project", "run"),
    "dataset": ("project", "name", "digest"),
    "commit": ("project", "commit"),
    "logged-model": ("project", "logged_model"),
    "model": ("registry", "model"),
    "version": ("registry", "model", "version"),
    "alias": ("registry", "model", "alias"),
    "deployment": ("deployment",),
    "key": ("key",),
}
#: Things without lineage that others may depend on, as in `PARTS`. `collaborator`, `member` and `roles` are access that
#: a person loses; `server` is an MLflow server elsewhere, by its workspace; `mappings` are those of IDBroker;
#: `ranger-source` is an outside Ranger that an environment obeys; `secrets` are the platform's of one kind;
#: `deleted-runs` are runs deleted at least so many days ago.
DEPENDED_ON = {
    "user": ("user",),
    "group": ("group",),
    "member": ("group", "user"),
    "roles": ("environment", "holder", "name"),
    "token": ("user", "token"),
    "collaborator": ("project", "user"),
    "workspace": ("workspace",),
    "server": ("workspace",),
    "webhook": ("webhook",),
    "signing-key": ("environment", "key"),
    "policy": ("policy",),
    "ranger-role": ("role",),
    "mappings": ("environment",),
    "storage-access": ("registry",),
    "ranger-source": ("environment",),
    "exception": ("registry", "model", "version", "rule"),
    "webhook-secret": ("webhook",),
    "secrets": ("kind",),
    "workflow": ("workflow",),
    "deleted-runs": ("project", "days"),
}


def reference(kind: str, *parts: str) -> str:
    """A reference; its parts are percent-encoded, so that names may hold anything."""
    return f"{kind}:{'/'.join(quote(part, safe='') for part in parts)}"


def parts_of(ref: str, kinds: Mapping[str, tuple[str, ...]] = PARTS) -> tuple[str, dict[str, str]]:
    """The kind of a reference, and its parts by name. Raises ValueError with the expected form."""
    kind, _, rest = ref.partition(":")
    names = kinds.get(kind)
    if names is None:
        raise ValueError(f"begins with none of: {', '.join(kinds)}")
    given = [unquote(part) for part in rest.split("/")] if "%" in rest else rest.split("/")
    if len(given) != len(names) or not all(given[:2]):
        raise ValueError(f"must be {kind}:{'/'.join(name.upper() for name in names)}")
    return kind, dict(zip(names, given, strict=True))
