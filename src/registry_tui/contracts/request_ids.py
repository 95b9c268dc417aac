"""IDs by which people find their request in logs and events: the client's own, or a new one."""

from __future__ import annotations

import re
import uuid

#: The header of requests and responses.
HEADER = "X-Request-ID"

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def request_id(sent: str) -> str:
    """The ID that a client sent, or a new one in place of an unusable or empty one."""
    return sent if _ID.fullmatch(sent) else str(uuid.uuid4())
