"""The gateway's counts of canaries: the answers of the old and the new version, and how often they disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from registry_tui.gateway.stats import latency_class, percentile


class SideStats:
    """One version's requests and latencies."""

    def __init__(self) -> None:
        self.requests = self.errors = 0
        self.latencies: Counter[int] = Counter()

    def count(self, seconds: float, *, error: bool) -> None:
        """One request."""
        self.requests += 1
        self.errors += error
        self.latencies[latency_class(seconds)] += 1

    def dump(self) -> dict[str, Any]:
        """Everything as JSON, for `add`."""
        latencies = [list(each) for each in self.latencies.items()]
        return {"requests": self.requests, "errors": self.errors, "latencies": latencies}

    def add(self, dumped: Mapping[str, Any], sign: int = 1) -> None:
        """Adds the counts of another one; with `sign` -1 subtracts them."""
        self.requests += sign * dumped["requests"]
        self.errors += sign * dumped["errors"]
        for class_, count in dumped["latencies"]:
            self.latencies[class_] += sign * count

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests > 0 else 0.0

    @property
    def p99(self) -> float | None:
        """In seconds, to 15 %; None without requests."""
        return percentile(+self.latencies, 0.99)


class CanaryStats:
    """Counts of one canary."""

    def __init__(self) -> None:
        self.old, self.new = SideStats(), SideStats()
        self.compared = self.disagreeing = self.dropped = 0

    def dump(self) -> dict[str, Any]:
        """Everything as JSON, for `add`."""
        return {
            "old": self.old.dump(),
            "new": self.new.dump(),
            "compared": self.compared,
            "disagreeing": self.disagreeing,
            "dropped": self.dropped,
        }

    def add(self, dumped: Mapping[str, Any], sign: int = 1) -> None:
        """Adds another process's counts of the same canary; with `sign` -1 subtracts them."""
        if not dumped:
            return
        self.old.add(dumped["old"], sign)
        self.new.add(dumped["new"], sign)
        self.compared += sign * dumped["compared"]
        self.disagreeing += sign * dumped["disagreeing"]
        self.dropped += sign * dumped["dropped"]

    @classmethod
    def of(cls, dumped: Mapping[str, Any], since: Mapping[str, Any] | None = None) -> CanaryStats:
        """The counts, minus those of `since`."""
        stats = cls()
        stats.add(dumped)
        stats.add(since or {}, -1)
        return stats

    @property
    def disagreement(self) -> float:
        return self.disagreeing / self.compared if self.compared > 0 else 0.0
