"""Server-sent events (HTML standard, 9.2) as MLflow's clients and OpenAI's read them. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MEDIA_TYPE = "text/event-stream"
#: The end of a complete stream.
DONE = b"data: [DONE]\n\n"
#: The end of an error's event. Data comes before it: MLflow's client refuses a name, after it gave the data on.
_ERROR_END = b"\nevent: error\n\n"


def event(text: str) -> bytes:
    """An event with one line of data."""
    return f"data: {text}\n\n".encode()


def error(data: Mapping[str, Any]) -> bytes:
    """The last event of a response that failed in the middle."""
    return b"data: " + json.dumps(data).encode() + _ERROR_END


def ends_with_error(end: bytes) -> bool:
    """Whether the last bytes of a stream are an error's."""
    return end.endswith(_ERROR_END)


def is_whole(end: bytes) -> bool:
    """Whether the last bytes of a stream are those of a whole one."""
    return end.endswith(DONE)


#: Bytes of a stream's end that the two need.
ENDING = max(len(DONE), len(_ERROR_END))
