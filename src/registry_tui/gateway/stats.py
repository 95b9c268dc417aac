"""The gateway's counts: requests, failures and latencies of each deployment. Plain data."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Seconds that are kept one by one.
KEPT = 300
#: Seconds over which rates and percentiles are computed.
WINDOW = 60
#: Latency classes: the first ends at 0.1 ms, each further one is 15 % wider; the last is over 40 minutes.
_FIRST, _GROWTH, _CLASSES = 1e-4, 1.15, 128


def latency_class(seconds: float) -> int:
    """The class that a latency falls into."""
    if seconds <= _FIRST:
        return 0
    return min(_CLASSES - 1, math.ceil(math.log(seconds / _FIRST, _GROWTH)))


def class_end(number: int) -> float:
    """The longest latency of a class in seconds."""
    return float(_FIRST * _GROWTH**number)


@dataclass
class _Second:
    at: int
    requests: int = 0
    failures: int = 0
    latencies: Counter[int] = field(default_factory=Counter)


class DeploymentStats:
    """Counts of one deployment since it was made, and its last seconds one by one."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[int, str]] = Counter()
        self.latencies: Counter[int] = Counter()
        self.seconds_sum = 0.0
        self.retries = 0
        self._recent: deque[_Second] = deque(maxlen=KEPT)

    def count(self, status: int, replica: str, seconds: float, now: float | None = None, *, retries: int = 0) -> None:
        """One answered request."""
        self.requests[status, replica] += 1
        self.retries += retries
        class_ = latency_class(seconds)
        self.latencies[class_] += 1
        self.seconds_sum += seconds
        at = int(time.time() if now is None else now)
        if not self._recent or self._recent[-1].at != at:
            self._recent.append(_Second(at))
        second = self._recent[-1]
        second.requests += 1
        second.failures += status >= 500
        second.latencies[class_] += 1

    def dump(self) -> dict[str, Any]:
        """Everything as JSON, for `add`."""
        return {
            "requests": [[status, replica, count] for (status, replica), count in self.requests.items()],
            "latencies": list(self.latencies.items()),
            "seconds_sum": self.seconds_sum,
            "retries": self.retries,
            "recent": [[each.at, each.requests, each.failures, list(each.latencies.items())] for each in self._recent],
        }

    def add(self, dumped: Mapping[str, Any]) -> None:
        """Adds another process's counts of the same deployment."""
        for status, replica, count in dumped["requests"]:
            self.requests[status, replica] += count
        self.latencies.update(dict(dumped["latencies"]))
        self.seconds_sum += dumped["seconds_sum"]
        self.retries += dumped["retries"]
        seconds = {each.at: each for each in self._recent}
        for at, requests, failures, latencies in dumped["recent"]:
            second = seconds.setdefault(at, _Second(at))
            second.requests += requests
            second.failures += failures
            second.latencies.update(dict(latencies))
        self._recent = deque(sorted(seconds.values(), key=lambda each: each.at), maxlen=KEPT)

    def to_dict(self, now: float | None = None) -> dict[str, Any]:
        """As JSON: totals, the last minute's rate, error rate and percentiles, and each of the last seconds."""
        at = int(time.time() if now is None else now)
        window = [second for second in self._recent if second.at >= at - WINDOW]
        latencies: Counter[int] = sum((second.latencies for second in window), Counter())
        requests = sum(second.requests for second in window)
        failures = sum(second.failures for second in window)
        span = max(1, min(WINDOW, at - window[0].at + 1)) if window else 1
        return {
            "requests": sum(self.requests.values()),
            "failures": sum(count for (status, _), count in self.requests.items() if status >= 500),
            "retries": self.retries,
            "by_status": _totals((str(status), count) for (status, _), count in self.requests.items()),
            "by_replica": _totals((replica, count) for (_, replica), count in self.requests.items() if replica),
            "per_second": requests / span,
            "error_rate": failures / requests if requests else 0.0,
            "p50": percentile(latencies, 0.5),
            "p95": percentile(latencies, 0.95),
            "p99": percentile(latencies, 0.99),
            "seconds": [
                [second.at, second.requests, second.failures, percentile(second.latencies, 0.95)]
                for second in self._recent
                if second.at >= at - KEPT
            ],
            "histogram": [[class_end(class_), count] for class_, count in sorted(self.latencies.items())],
            "seconds_sum": self.seconds_sum,
        }


def _totals(pairs: Any) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for name, count in pairs:
        totals[name] += count
    return dict(totals)


def percentile(latencies: Counter[int], share: float) -> float | None:
    """The latency in seconds below which this share of the requests stayed, to 15 %; None without requests."""
    left = math.ceil(sum(latencies.values()) * share)
    for class_ in sorted(latencies):
        left -= latencies[class_]
        if left <= 0:
            return class_end(class_)
    return None
