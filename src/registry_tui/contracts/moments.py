"""Moments as people type them: a date and time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_SINCE = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_moment(given: str) -> datetime | timedelta:
    """A moment from `2026-11-22`, `2026-11-22 13:00` or `2026-11-22T13:00Z`, or how long ago from `2h`.

    A time without a zone is in this machine's. Raises ValueError with the reason.
    """
    if match := _SINCE.fullmatch(given.strip()):
        try:
            passed = timedelta(**{_UNITS[match[2]]: int(match[1])})
            datetime.now(UTC) - passed
        except OverflowError as error:
            raise ValueError(f"{given!r} is too long ago") from error
        return passed
    try:
        found = datetime.fromisoformat(given.strip())
        return found.astimezone() if found.tzinfo is None else found
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{given!r} is not a date and time such as 2026-11-22T13:00, or 2h, 3d, 1w") from error
