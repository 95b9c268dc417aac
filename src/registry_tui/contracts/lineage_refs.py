"""References to things in a lineage: a kind and names or IDs, `version:REGISTRY/MODEL/3`."""

from __future__ import annotations

from urllib.parse import quote, unquote

#: The kinds of things, each with what its reference names, in order.
PARTS = {
    "environment": ("environment",),
    "registry": ("registry",),
    "project": ("project",),
    "experiment": ("project", "experiment"),
    "run": ("project", "run"),
    "dataset": ("project", "name", "digest"),
    "model": ("registry", "model"),
    "version": ("registry", "model", "version"),
    "alias": ("registry", "model", "alias"),
    "deployment": ("deployment",),
    "key": ("key",),
}


def reference(kind: str, *parts: str) -> str:
    """A reference; its parts are percent-encoded, so that names may hold anything."""
    return f"{kind}:{'/'.join(quote(part, safe='') for part in parts)}"


def parts_of(ref: str) -> tuple[str, dict[str, str]]:
    """The kind of a reference, and its parts by name. Raises ValueError with what a reference looks like."""
    kind, _, rest = ref.partition(":")
    names = PARTS.get(kind)
    if names is None:
        raise ValueError(f"begins with none of: {', '.join(PARTS)}")
    given = [unquote(part) for part in rest.split("/")]
    if len(given) != len(names) or not all(given[:2]):
        raise ValueError(f"must be {kind}:{'/'.join(name.upper() for name in names)}")
    return kind, dict(zip(names, given, strict=True))
