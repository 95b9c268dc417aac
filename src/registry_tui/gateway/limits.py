"""How many requests each API key may still send: a rate with a burst, and quotas of a day and a month (UTC).

All processes of the gateway count in one file, so that a limit holds for them together, and quotas outlive a restart.
The rate is a token bucket. The headers are those of the IETF's draft "RateLimit header fields for HTTP" (draft 10).
"""

from __future__ import annotations

import fcntl
import logging
import math
import mmap
import os
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from registry_tui.contracts.counts import counted
from registry_tui.contracts.gateway_routes import Key
from registry_tui.gateway.access import Refusal

logger = logging.getLogger(__name__)

#: One key's place in the file: its ID, tokens, when they were counted (monotonic, s), day and requests in it, month
#: and requests in it.
_PLACE = struct.Struct("<12s4xddqqqq")
#: Bytes by which the file grows: 256 keys.
_GROWS = 256 * _PLACE.size
#: Attempts to get a place locked by the other process, each a microsecond; then it is counted without.
_TRIES = 200
_DAY = 86_400


@dataclass(frozen=True)
class Use:
    """Requests of a key in this day and this month."""

    today: int = 0
    this_month: int = 0


@dataclass
class _Counts:
    tokens: float = math.inf
    at: float = 0.0
    day: int = 0
    in_day: int = 0
    month: int = 0
    in_month: int = 0


@dataclass
class _Told:
    """A response's headers about limits: for each its name, amount, window (s), the rest, and until when (s)."""

    policies: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, name: str, amount: int, window: int, left: float, seconds: float) -> None:
        self.policies.append(f'"{name}";q={amount};w={window}')
        self.left.append(f'"{name}";r={max(0, math.floor(left))};t={max(0, math.ceil(seconds))}')

    @property
    def headers(self) -> dict[str, str]:
        return {"RateLimit-Policy": ", ".join(self.policies), "RateLimit": ", ".join(self.left)}


class OverLimit(Refusal):
    """A request that is one too many; `limit` is `rate`, `day` or `month`."""

    def __init__(self, limit: str, detail: str, action: str, headers: Mapping[str, str]) -> None:
        super().__init__(429, "rate-limited" if limit == "rate" else "quota-used", detail, action, headers=headers)
        self.limit = limit


class KeyLimits:
    """The counts of all keys with limits, in a file that the gateway's processes share."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._map: mmap.mmap | None = None
        self._places: dict[str, int] = {}
        #: Counts of keys for which the file has no room, as on a full disk.
        self._alone: dict[str, _Counts] = {}

    def take(self, key: Key, now: float | None = None, clock: float | None = None) -> dict[str, str]:
        """Counts one request of a key; returns the response's headers, none for a key without limits. Raises OverLimit.

        `now` is seconds since 1970, `clock` monotonic seconds since the machine started.
        """
        if not key.limited:
            return {}
        moment = time.time() if now is None else now
        tick = time.monotonic() if clock is None else clock
        place = self._place(key.id)
        if place is None or self._map is None:
            return _take(key, self._alone.setdefault(key.id, _Counts(day=-1)), moment, tick)
        held = self._hold(place)
        try:
            id_, *values = _PLACE.unpack_from(self._map, place)
            found = _Counts(*values)
            try:
                return _take(key, found, moment, tick)
            finally:
                _PLACE.pack_into(
                    self._map,
                    place,
                    id_,
                    found.tokens,
                    found.at,
                    found.day,
                    found.in_day,
                    found.month,
                    found.in_month,
                )
        finally:
            if held:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _PLACE.size, place)

    def close(self) -> None:
        """Closes the file."""
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._places.clear()

    def _place(self, id_: str) -> int | None:
        place = self._places.get(id_)
        if place is not None:
            return place
        try:
            return self._find(id_)
        except OSError as error:
            # Calls are answered also on a full disk.
            logger.warning("cannot count in %s: %s", self._path, error.strerror)
            return None

    def _find(self, id_: str) -> int:
        """The place of a key's counts in the file, created if missing. Raises OSError."""
        if self._file < 0:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A lock on a byte behind every place: processes hold it while they look for a place, or make one.
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, 1 << 40)
        try:
            size = os.fstat(self._file).st_size
            if size:
                self._open(size)
            wanted, free = id_.encode()[:12].ljust(12, b"\0"), None
            for place in range(0, size, _PLACE.size):
                name = self._bytes(place)
                if name == wanted:
                    break
                if name == bytes(12):
                    free = place
                    break
            else:
                # With the disk's blocks: a hole in a mapped file would end the process on a full disk.
                os.posix_fallocate(self._file, size, _GROWS)
                self._open(size + _GROWS)
                free = size
            place = place if free is None else free
            if free is not None and self._map is not None:
                _PLACE.pack_into(self._map, free, wanted, math.inf, 0.0, 0, 0, 0, 0)
            self._places[id_] = place
            return place
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, 1 << 40)

    def _bytes(self, place: int) -> bytes:
        return b"" if self._map is None else self._map[place : place + 12]

    def _open(self, size: int) -> None:
        if self._map is None or len(self._map) != size:
            if self._map is not None:
                self._map.close()
            self._map = mmap.mmap(self._file, size)

    def _hold(self, place: int) -> bool:
        for _ in range(_TRIES):
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, _PLACE.size, place)
                return True
        # A process that was stopped while it counted must not block the other one.
        return False


def read(path: Path, now: float | None = None) -> dict[str, Use]:
    """The requests of each key with a quota in this day and month; empty when nothing was counted yet."""
    try:
        content = path.read_bytes()
    except OSError:
        return {}
    day, month = _calendar(time.time() if now is None else now)
    found = {}
    for name, _, _, its_day, in_day, its_month, in_month in _PLACE.iter_unpack(
        content[: len(content) // _PLACE.size * _PLACE.size]
    ):
        if name != bytes(12):
            id_ = name.rstrip(b"\0").decode(errors="replace")
            found[id_] = Use(in_day if its_day == day else 0, in_month if its_month == month else 0)
    return found


def _calendar(now: float) -> tuple[int, int]:
    """The number of a day and of a month."""
    moment = datetime.fromtimestamp(now, UTC)
    return int(now // _DAY), moment.year * 12 + moment.month - 1


def _ends(now: float, month: int) -> tuple[float, float]:
    """Seconds until the day and the month end."""
    following = datetime((month + 1) // 12, (month + 1) % 12 + 1, 1, tzinfo=UTC)
    return (now // _DAY + 1) * _DAY - now, following.timestamp() - now


def _take(key: Key, found: _Counts, now: float, clock: float) -> dict[str, str]:
    day, month = _calendar(now)
    if found.day != day:
        found.day, found.in_day = day, 0
    if found.month != month:
        found.month, found.in_month = month, 0
    day_left, month_left = _ends(now, month)
    limits = _Told()
    over: tuple[float, str, str] | None = None
    if key.per_second:
        # A machine that restarted begins its clock at zero: then the bucket is full.
        passed = math.inf if clock < found.at else clock - found.at
        found.tokens = min(float(key.burst), found.tokens + passed * key.per_second)
        found.at = clock
        if found.tokens < 1:
            many = f"{counted(key.per_second, 'request')} a second, {key.burst} at once"
            over = ((1 - found.tokens) / key.per_second, "rate", f"may send {many}")
    for limit, amount, used, left in (
        ("day", key.per_day, found.in_day, day_left),
        ("month", key.per_month, found.in_month, month_left),
    ):
        if amount and used >= amount:
            over = (left, limit, f"has sent the {counted(amount, 'request')} that it may send in a {limit} (UTC)")
    taken = 0 if over else 1
    found.tokens -= taken
    found.in_day += taken
    found.in_month += taken
    if key.per_second:
        full = (key.burst - found.tokens) / key.per_second
        limits.add("rate", key.burst, max(1, math.ceil(key.burst / key.per_second)), found.tokens, full)
    if key.per_day:
        limits.add("day", key.per_day, _DAY, key.per_day - found.in_day, day_left)
    if key.per_month:
        window = round(month_left + now - datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp())
        limits.add("month", key.per_month, window, key.per_month - found.in_month, month_left)
    if over is None:
        return limits.headers
    seconds = max(1, math.ceil(over[0]))
    raise OverLimit(
        over[1],
        f"The API key {key.id} {over[2]}",
        f"Send it again in {counted(seconds, 'second')}; `registry-tui keys list` shows each key's limits",
        {**limits.headers, "Retry-After": str(seconds)},
    )
