"""Typed spans of time: `2h`, `2026-11-22`, `2026-11-20 08:00..2026-11-22`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from registry_tui.wording import words

EXAMPLES = "type 2h, 7d, 2026-11-22, or 2026-11-20 08:00..2026-11-22"

_AGO = re.compile(r"(\d{1,6})\s*(s|m|min|h|d|w)")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def parse_span(text: str, now: datetime | None = None) -> tuple[datetime | None, datetime | None]:
    """Beginning and end, in local time; None where it is open. Raises ValueError with an example.

    Relative times count back from `now`, by default the service's time.
    """
    present = now or words.present().astimezone()
    first, two, last = text.strip().partition("..")
    if not first and not last:
        return None, None
    since = _moment(first, present) if first.strip() else None
    if not two:
        # A date alone is that whole day; a relative time lasts from then on.
        return since, since + timedelta(days=1) if since and _DAY.fullmatch(first.strip()) else None
    until = _moment(last, present) if last.strip() else None
    if until is not None and _DAY.fullmatch(last.strip()):
        until += timedelta(days=1)
    if since and until and since >= until:
        raise ValueError("the span ends before it begins")
    return since, until


def _moment(text: str, now: datetime) -> datetime:
    text = text.strip()
    try:
        if text == "today":
            return now.replace(hour=0, minute=0, second=0, microsecond=0)
        if ago := _AGO.fullmatch(text):
            return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(EXAMPLES) from error
