"""Whether two versions of a model agree in their responses: numbers within a tolerance, everything in its order."""

from __future__ import annotations

import json
import math
from typing import Any

#: The results in a response; names, IDs and versions differ without any meaning.
_ANSWERS = ("predictions", "outputs")


def agree(one: bytes, other: bytes, tolerance: float) -> bool:
    """Whether two bodies agree. Bodies that are not JSON must be identical."""
    if one == other:
        return True
    try:
        first, second = json.loads(one), json.loads(other)
    except (ValueError, RecursionError):
        return False
    if isinstance(first, dict) and isinstance(second, dict):
        for name in _ANSWERS:
            if name in first and name in second:
                first, second = first[name], second[name]
                break
    try:
        return _same(first, second, tolerance)
    except RecursionError:
        return False


def _same(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return _close(one, other, tolerance)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name], tolerance) for name in one)
    return bool(one == other)


def _close(one: float, other: float, tolerance: float) -> bool:
    if one == other:
        return True
    try:
        if math.isnan(one) and math.isnan(other):
            return True
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # whole numbers that no float can hold
        return False
