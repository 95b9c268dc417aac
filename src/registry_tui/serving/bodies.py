"""JSON bodies, read by orjson where the replica's environment has it, with the same results as the standard library."""

from __future__ import annotations

import json
from typing import Any

try:
    import orjson
except ImportError:  # an environment made by somebody else
    orjson = None  # type: ignore[assignment]

#: Digits to zeros, a point as it is, all else to a blank: whole numbers are then runs of zeros after a blank.
_NUMBERS = bytes(48 if 48 <= byte <= 57 else 46 if byte == 46 else 32 for byte in range(256))
#: orjson reads whole numbers that may be longer than 64 bits as floating-point numbers.
_LONG = b" " + b"0" * 19


def decode(body: bytes) -> Any:
    """A body decoded as by `json.loads`. Raises its errors: ValueError, RecursionError."""
    if orjson is not None and _LONG not in body.translate(_NUMBERS):
        try:
            return orjson.loads(body)
        except ValueError:
            # NaN, infinities, lone surrogates and other encodings are read below, or refused with the standard
            # library's error.
            pass
    return json.loads(body)


def encode(value: Any) -> bytes | None:
    """The JSON of numbers, texts, lists and dictionaries with texts for keys; None without orjson.

    Raises TypeError, ValueError. The caller has seen to it that no number is infinite or not a number.
    """
    return None if orjson is None else orjson.dumps(value)
