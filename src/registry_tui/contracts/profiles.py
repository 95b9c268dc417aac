"""Profiles of columns, and how far later values are from them: PSI and the Kolmogorov-Smirnov test.

Standard library only. The command line makes profiles where the data is, and the service compares with them, so that
training data stays there.
"""

from __future__ import annotations

import math
import random
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, Self

#: Bins of a numeric column, with the same number of reference values each where values are not repeated.
BINS = 10
#: Sorted values that stand for a numeric column's distribution; fewer values are all kept.
POINTS = 1_001
#: Categories that have a bin of their own, the most frequent ones; the others share one.
CATEGORIES = 50
#: Numbers of a column that are kept while its profile is made, and names of categories that are counted.
SAMPLE, NAMES = 100_000, 10_000
#: The share of an empty bin in computations; the logarithm of 0 would be infinite.
EPSILON = 1e-4
#: Share of numbers from which on a column of a file is numeric.
_MOSTLY = 0.95
#: The bin of categories without one of their own.
OTHERS = "(others)"


@dataclass(frozen=True)
class ColumnProfile:
    """The distribution of a column: of `count` values that are there, and `missing` ones.

    A numeric column has `points`, its sorted values or as many quantiles of them, and the inner `edges` of its bins;
    others have `categories`. `shares` are the bins' shares of the values.
    """

    name: str
    numeric: bool
    count: int
    missing: int
    shares: tuple[float, ...]
    edges: tuple[float, ...] = ()
    points: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError."""
        fields: dict[str, Any] = {
            name: tuple(each) if isinstance(each, list) else each for name, each in values.items()
        }
        return cls(**fields)

    def bin_of(self, value: Any) -> int:
        """The bin that a value falls into."""
        if self.numeric:
            return bisect_left(self.edges, value)
        text = category(value)
        return self.categories.index(text) if text in self.categories else len(self.categories)

    @property
    def labels(self) -> tuple[str, ...]:
        """The bins in words."""
        if not self.numeric:
            return (*self.categories, OTHERS)
        ends = [f"{each:.4g}" for each in self.edges]
        if not ends:
            return ("all",)
        between = [f"{low} … {high}" for low, high in pairwise(ends)]
        return (f"≤ {ends[0]}", *between, f"> {ends[-1]}")


@dataclass(frozen=True)
class Comparison:
    """How far values are from a profile. Only numeric columns have `ks` and `p_value`."""

    count: int
    missing: int
    shares: tuple[float, ...]
    psi: float
    ks: float | None = None
    p_value: float | None = None


def category(value: Any) -> str:
    """A value as a category: whole numbers without a fraction, so that 1 and 1.0 are the same."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)[:200]


def is_missing(value: Any) -> bool:
    """Whether a value is not there: null, an empty text, not a number."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class Gathering:
    """Values of a column that come one part after another, in bounded memory.

    Counts are exact. Up to `SAMPLE` numbers are all kept, then a sample of as many, each with the same chance; and the
    `NAMES` most frequent categories so far.
    """

    def __init__(self, *, numeric: bool | None = None) -> None:
        """By default it is numeric if nearly all values, of the first `SAMPLE` at least, are numbers."""
        self._numeric = numeric
        self.present = self.missing = self.numbers = 0
        self._other_kind = False
        self._sample = array("d")
        #: The same data gives the same profile.
        self._random = random.Random(0)
        #: Of how many numbers `_next` is the next one to keep: Li's algorithm L skips the others.
        self._weight, self._next = 1.0, 0
        self._names: Counter[str] = Counter()

    def add(self, values: Iterable[Any]) -> None:
        """More values."""
        for value in values:
            if is_missing(value):
                self.missing += 1
                continue
            self.present += 1
            if isinstance(value, list | dict):
                self._other_kind = True
                continue
            if isinstance(value, Decimal):
                value = float(value)
            if is_number(value):
                self._add_number(float(value))
            if self._numeric is not True:
                self._names[category(value)] += 1
                if len(self._names) > 2 * NAMES:
                    self._names = Counter(dict(self._names.most_common(NAMES)))
        if self._numeric is None and self.present >= SAMPLE:
            self._numeric = self.numbers >= _MOSTLY * self.present

    def _add_number(self, value: float) -> None:
        at, self.numbers = self.numbers, self.numbers + 1
        if at < SAMPLE:
            self._sample.append(value)
            if len(self._sample) == SAMPLE:
                self._skip(at)
        elif at == self._next:
            self._sample[self._random.randrange(SAMPLE)] = value
            self._skip(at)

    def _skip(self, at: int) -> None:
        """Kim-Hung Li, "Reservoir-sampling algorithms of time complexity O(n(1+log(N/n)))", TOMS 20 (1994)."""
        self._weight *= math.exp(math.log(1.0 - self._random.random()) / SAMPLE)
        self._next = at + 1 + math.floor(math.log(1.0 - self._random.random()) / math.log1p(-self._weight))

    def profile(self, name: str) -> ColumnProfile | None:
        """The profile; None without a value, or with values of another kind (lists, objects)."""
        if not self.present or self._other_kind:
            return None
        numeric = self._numeric if self._numeric is not None else self.numbers >= _MOSTLY * self.present
        if numeric and self.numbers:
            numbers = sorted(self._sample)
            edges = _edges(numbers)
            points = (
                numbers if len(numbers) <= POINTS else [quantile(numbers, at / (POINTS - 1)) for at in range(POINTS)]
            )
            shares = _shares(Counter(bisect_left(edges, each) for each in numbers), len(edges) + 1)
            # Texts among numbers are as good as missing.
            missing = self.missing + self.present - self.numbers
            return ColumnProfile(name, True, self.numbers, missing, shares, tuple(edges), tuple(points))
        kept = tuple(sorted(each for each, _ in self._names.most_common(CATEGORIES)))
        counts = [self._names[each] for each in kept]
        others = self.present - sum(counts)
        shares = tuple(count / self.present for count in (*counts, others))
        return ColumnProfile(name, False, self.present, self.missing, shares, categories=kept)


def profile(name: str, values: Iterable[Any], *, numeric: bool | None = None) -> ColumnProfile | None:
    """The profile of a column; None where it has no value, or values of another kind (lists, objects).

    By default it is numeric if nearly all values are numbers.
    """
    gathered = Gathering(numeric=numeric)
    gathered.add(values)
    return gathered.profile(name)


def compare(reference: ColumnProfile, values: Iterable[Any]) -> Comparison:
    """How far values are from a profile. Without any value the distance is 0: nothing is known."""
    present, missing, shares = _binned(reference, values)
    if not present:
        return Comparison(0, missing, shares, 0.0)
    psi = population_stability_index(reference.shares, shares)
    if not reference.numeric:
        return Comparison(len(present), missing, shares, psi)
    distance = ks_statistic(reference.points, present)
    return Comparison(len(present), missing, shares, psi, distance, ks_p_value(distance, reference.count, len(present)))


def psi_of(reference: ColumnProfile, values: Iterable[Any]) -> float | None:
    """The PSI of values alone, as `compare` has it; None without any value."""
    present, _, shares = _binned(reference, values)
    return population_stability_index(reference.shares, shares) if present else None


def _binned(reference: ColumnProfile, values: Iterable[Any]) -> tuple[list[Any], int, tuple[float, ...]]:
    """The values that can be compared (sorted, where they are numbers), how many cannot, and the shares of the bins."""
    present, missing = _split(values)
    if reference.numeric:
        numbers = sorted(float(each) for each in present if is_number(each))
        missing += len(present) - len(numbers)
        present = numbers
    return present, missing, _shares(Counter(map(reference.bin_of, present)), len(reference.shares))


def population_stability_index(expected: Sequence[float], actual: Sequence[float]) -> float:
    """The sum of (a - e) · ln(a / e) over all bins, with `EPSILON` for empty ones.

    Siddiqi, Credit Risk Scorecards (2006), who calls it large from 0.25 on; Yurdakul and Naranjo, "Statistical
    properties of the population stability index", Journal of Risk Model Validation 14(4), 2020.
    """
    total = 0.0
    for one, other in zip(expected, actual, strict=True):
        low, high = max(one, EPSILON), max(other, EPSILON)
        total += (high - low) * math.log(high / low)
    return total


def ks_statistic(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest difference of two empirical distribution functions, of sorted values (two-sample Kolmogorov-Smirnov).

    Hollander and Wolfe, Nonparametric Statistical Methods, 5.4. Exact where `one` holds all values; of `POINTS`
    quantiles it is at most 1/1000 off.
    """
    largest = 0.0
    for value in (*one, *other):
        largest = max(largest, abs(bisect_right(one, value) / len(one) - bisect_right(other, value) / len(other)))
    return largest


def ks_p_value(distance: float, one: int, other: int) -> float:
    """How likely a distance as large is by chance, of so many values on both sides: Kolmogorov's limit.

    2 · Σ (-1)^(j-1) · exp(-2 j² λ²) with λ = (√n + 0.12 + 0.11/√n) · D, n = one · other / (one + other): Stephens,
    "Use of the Kolmogorov-Smirnov…", J. R. Stat. Soc. B 32 (1970), as in Numerical Recipes, 14.3.
    """
    root = math.sqrt(one * other / (one + other))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return 1.0
    terms = ((-1.0) ** (number - 1) * math.exp(-2.0 * (number * scaled) ** 2) for number in range(1, 101))
    return min(1.0, max(0.0, 2.0 * sum(terms)))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which a share of sorted values lies, between the two nearest (numpy's `linear`)."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _edges(ordered: Sequence[float]) -> list[float]:
    """The inner ends of bins: deciles, each once; a value that is repeated has a bin to itself that way."""
    edges = sorted({quantile(ordered, number / BINS) for number in range(1, BINS)})
    # A bin above the largest value would be empty. With a single value, smaller ones get a bin of their own.
    return [each for each in edges if each < ordered[-1]] or [math.nextafter(edges[0], -math.inf), edges[0]]


def _shares(counts: Mapping[int, int], bins: int) -> tuple[float, ...]:
    total = sum(counts.values())
    return tuple(counts.get(number, 0) / total if total else 0.0 for number in range(bins))


def _split(values: Iterable[Any]) -> tuple[list[Any], int]:
    present, missing = [], 0
    for each in values:
        if is_missing(each):
            missing += 1
        else:
            present.append(each)
    return present, missing
