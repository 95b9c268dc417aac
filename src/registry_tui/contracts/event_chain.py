"""The hash chain over events: each event keeps a hash of itself and of the one before it.

The format, which `docs/evidence.md` describes for who verifies without us: an event's digest is the SHA-256 of its
fields as JSON in ASCII, with sorted keys and without spaces; its hash is the SHA-256 of the hash before it, a space,
the digest, and a newline, all in hexadecimal. The chain begins with `GENESIS`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

GENESIS = "0" * 64
#: The fields that a digest covers: all of an event.
FIELDS = (
    "id",
    "created_at",
    "actor",
    "actor_crn",
    "action",
    "resource_type",
    "resource_id",
    "resource_name",
    "registry_id",
    "outcome",
    "request_id",
    "workflow_id",
    "duration_ms",
    "detail",
)


def canonical(event: Mapping[str, Any]) -> str:
    """An event's fields as its digest reads them: one line of JSON in ASCII."""
    kept = {name: _plain(event[name]) for name in FIELDS}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(event: Mapping[str, Any]) -> str:
    """The SHA-256 of an event's fields."""
    return hashlib.sha256(canonical(event).encode()).hexdigest()


def chained(before: str, digest_: str) -> str:
    """The hash of an event, after the hash of the one before it."""
    return hashlib.sha256(f"{before} {digest_}\n".encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return utc.isoformat(timespec="microseconds")
    # PostgreSQL keeps the picture of NUL instead of it; the chain is the same on both databases.
    return value.replace("\0", "\u2400") if isinstance(value, str) else value
