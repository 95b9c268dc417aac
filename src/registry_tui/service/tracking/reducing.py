"""A metric's history reduced to the resolution of a chart, for servers that do not reduce it themselves.

The rule is that of `mlflow_plugin/curves.py`: smallest and largest value of each bucket of x, with both ends.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

#: Steps and times that are kept: MLflow has any 64-bit number.
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1

Row = tuple[int, int, float]


@dataclass(frozen=True)
class Reduced:
    """The remaining points of a history, and counts over the whole range; `began` is its first timestamp."""

    count: int
    not_finite: int
    not_positive: int
    one_step: bool
    began: int | None
    points: list[Row]


@dataclass(frozen=True)
class History:
    """A metric's points, compact: 24 bytes each."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    timestamps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, points: Iterable[Row]) -> None:
        """Adds points: step, milliseconds since 1970, value."""
        for step, timestamp, value in points:
            self.steps.append(min(_MOST, max(_LEAST, step)))
            self.timestamps.append(min(_MOST, max(_LEAST, timestamp)))
            self.values.append(value)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Row]:
        return zip(self.steps, self.timestamps, self.values, strict=True)


def reduce_history(
    history: History,
    *,
    buckets: int,
    x: Literal["step", "time"] = "step",
    low: float | None = None,
    high: float | None = None,
) -> Reduced:
    """Smallest and largest value of each bucket of x, in order, from `low` to `high`."""
    place = 0 if x == "step" else 1

    def at(row: Row) -> int:
        return row[0] if x == "step" else row[1]

    inside = [row for row in history if (low is None or at(row) >= low) and (high is None or at(row) <= high)]
    finite = [row for row in inside if math.isfinite(row[2])]
    if len(finite) <= 2 * buckets:
        kept = set(finite)
    else:
        first = min(map(at, inside))
        width = max(map(at, inside)) - first + 1
        lowest: dict[int, Row] = {}
        highest: dict[int, Row] = {}
        for row in finite:
            bucket = (at(row) - first) * buckets // width
            if bucket not in lowest or row[2] < lowest[bucket][2]:
                lowest[bucket] = row
            if bucket not in highest or row[2] > highest[bucket][2]:
                highest[bucket] = row
        kept = {*lowest.values(), *highest.values(), min(finite, key=at), max(finite, key=at)}
    return Reduced(
        count=len(inside),
        not_finite=len(inside) - len(finite),
        not_positive=sum(row[2] <= 0 for row in finite),
        one_step=bool(inside) and min(row[0] for row in inside) == max(row[0] for row in inside),
        began=min((row[1] for row in inside), default=None),
        points=sorted(kept, key=lambda row: (row[place], row[1 - place], row[2])),
    )
