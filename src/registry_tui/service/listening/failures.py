"""Rate limits of refused sign-ins: after too many from one address, or with one user's name, further ones must wait."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from registry_tui.contracts.callers import source_of

#: Refused sign-ins within `WINDOW` seconds, after which an address, or a name, has to wait.
MOST_BY_ADDRESS, MOST_BY_USER = 20, 20
#: Sign-ins within `WINDOW` seconds that may be begun from one address: the issuer makes a code for each.
MOST_BEGUN = 20
WINDOW = 60.0
#: Addresses, names and good sign-ins that are remembered; the oldest go.
REMEMBERED = 10_000


class Failures:
    """Counts refused sign-ins in memory, of an IPv6 address those of its network. Used from one event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        self._good: OrderedDict[bytes, None] = OrderedDict()
        #: Address to when a refusal of waiting was written down, and how many were not since.
        self._slowed: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait(self, address: str, user: str, credential: str) -> float:
        """Seconds until a sign-in is checked again; 0: now.

        A credential that was valid from this address stays accepted, so that guessing locks out nobody else.
        """
        if self._mark(address, credential) in self._good:
            return 0.0
        limits = [(("address", source_of(address)), MOST_BY_ADDRESS)]
        if user:
            limits.append((("user", user), MOST_BY_USER))
        return max(self._wait_of(key, most) for key, most in limits)

    def failed(self, address: str, user: str, credential: str) -> None:
        """A sign-in was refused."""
        self._good.pop(self._mark(address, credential), None)
        for key in (("address", source_of(address)), *((("user", user),) if user else ())):
            self._count(key)

    def succeeded(self, address: str, credential: str) -> None:
        """A sign-in was good."""
        mark = self._mark(address, credential)
        self._good[mark] = None
        self._good.move_to_end(mark)
        while len(self._good) > REMEMBERED:
            self._good.popitem(last=False)

    def unnamed(self, address: str) -> bool:
        """Counts a request without credentials; returns whether there are too many to record each."""
        key = ("unnamed", source_of(address))
        often = self._wait_of(key, MOST_BY_ADDRESS) > 0
        self._count(key)
        return often

    def begin(self, address: str) -> float:
        """Seconds until a sign-in may begin; 0: now, and it is counted."""
        key = ("begun", source_of(address))
        if not (wait := self._wait_of(key, MOST_BEGUN)):
            self._count(key)
        return wait

    def slowed(self, address: str) -> int | None:
        """Counts one of many refusals; returns the unrecorded ones since the last record, None to skip this too."""
        now, address = self._clock(), source_of(address)
        last, unwritten = self._slowed.pop(address, (now - WINDOW, 0))
        due = now - last >= WINDOW
        self._slowed[address] = (now, 0) if due else (last, unwritten + 1)
        while len(self._slowed) > REMEMBERED:
            self._slowed.popitem(last=False)
        return unwritten if due else None

    def _count(self, key: tuple[str, str]) -> None:
        moments = self._failed.setdefault(key, deque(maxlen=max(MOST_BY_ADDRESS, MOST_BY_USER, MOST_BEGUN)))
        moments.append(self._clock())
        self._failed.move_to_end(key)
        while len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)

    def _wait_of(self, key: tuple[str, str], most: int) -> float:
        moments = self._failed.get(key, deque())
        since = self._clock() - WINDOW
        recent = [moment for moment in moments if moment > since]
        return recent[-most] - since if len(recent) >= most else 0.0

    @staticmethod
    def _mark(address: str, credential: str) -> bytes:
        return hashlib.sha256(f"{source_of(address)}\n{credential}".encode(errors="surrogateescape")).digest()
