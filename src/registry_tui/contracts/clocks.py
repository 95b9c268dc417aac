"""The service's clock, from the `Date` of its responses: ages and durations use it, in case this machine's is wrong."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

from registry_tui.contracts.counts import counted

#: Clocks that differ by less count as the same.
SAME = timedelta(minutes=1)
#: The difference from which on it is shown.
TELLING = timedelta(minutes=5)
#: `Date` has whole seconds: it may be that much earlier than the actual moment.
_WHOLE = 1.0


class Clock:
    """A service's clock; this machine's until a response shows another time."""

    def __init__(self) -> None:
        #: Seconds by which the service's clock may be ahead of this machine's: at least, and at most.
        self._least, self._most = 0.0, 0.0
        #: Whether a response had the time.
        self.known = False

    def note(self, date: str, asked: float, answered: float) -> None:
        """Notes the `Date` of a response (RFC 9110, 6.6.1), received between two times of this machine (`time.time`).

        A response that was long on its way narrows the range little; several together are more exact.
        """
        # Ten modules that the first paint does not need; callers with a response have loaded them.
        from email.utils import parsedate_to_datetime

        try:
            there = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return
        least, most = there - answered, there + _WHOLE - asked
        both = max(least, self._least), min(most, self._most)
        # Disjoint: one of the clocks was set meanwhile.
        self._least, self._most = both if self.known and both[0] <= both[1] else (least, most)
        self.known = True

    @property
    def ahead(self) -> timedelta:
        """How far the service's clock is ahead of this machine's; negative where it is behind, none while the same."""
        if not self.known or self._least <= 0 <= self._most:
            return timedelta()
        difference = timedelta(seconds=(self._least + self._most) / 2)
        return difference if abs(difference) >= SAME else timedelta()

    def now(self) -> datetime:
        """The time by this clock."""
        return datetime.now(UTC) + self.ahead

    @property
    def difference(self) -> str:
        """The difference of this machine's clock, in words; empty if it is small."""
        if abs(self.ahead) < TELLING:
            return ""
        minutes = round(abs(self.ahead).total_seconds() / 60)
        return f"{counted(minutes, 'minute')} {'behind' if self.ahead > timedelta() else 'ahead of'} the service's"


def sentence(difference: str) -> str:
    """The sentence that reports a `difference` that is not empty."""
    return f"This machine's clock is {difference}: times and ages here are by the service's clock"


#: The clock of the service that the running code shows; None: this machine's.
_shown: ContextVar[Clock | None] = ContextVar("shown_clock", default=None)


def follow() -> Clock:
    """A new clock, by which the calling code counts from now on, and all tasks that begin in it."""
    clock = Clock()
    _shown.set(clock)
    return clock


def follow_none() -> None:
    """The calling code counts by this machine's clock again."""
    _shown.set(None)


def followed() -> Clock:
    """The clock by which the calling code counts; a new one where it follows none."""
    return _shown.get() or Clock()


def now() -> datetime:
    """The time by the clock that the calling code follows, else by this machine's."""
    clock = _shown.get()
    return datetime.now(UTC) if clock is None else clock.now()
