"""Profiles of columns, PSI and the Kolmogorov-Smirnov test beside numpy and scipy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from registry_tui.contracts import profiles
from registry_tui.contracts.profiles import ColumnProfile, compare, profile


def normal(seed: int, count: int, mean: float = 0.0) -> list[float]:
    found: list[float] = numpy.random.default_rng(seed).normal(mean, 1.0, count).tolist()
    return found


def made(values: Sequence[object], **options: bool) -> ColumnProfile:
    found = profile("x", values, **options)
    assert found is not None
    return ColumnProfile.from_json(found.to_json())


def test_psi_of_known_shares() -> None:
    # By hand: (0.4 - 0.5) ln(0.4 / 0.5) + (0.6 - 0.5) ln(0.6 / 0.5).
    wanted = -0.1 * math.log(0.8) + 0.1 * math.log(1.2)
    assert profiles.population_stability_index([0.5, 0.5], [0.4, 0.6]) == pytest.approx(wanted, rel=1e-12)
    assert profiles.population_stability_index([0.2, 0.8], [0.2, 0.8]) == 0
    empty = (1 - 1e-4) * math.log(1e4)
    assert profiles.population_stability_index([1.0, 0.0], [0.0, 1.0]) == pytest.approx(2 * empty, rel=1e-9)


@pytest.mark.parametrize("mean", [0.0, 0.3, 2.0])
def test_a_numeric_column_beside_numpy_and_scipy(mean: float) -> None:
    reference, later = normal(1, 900), normal(2, 700, mean)
    found, compared = made([*reference]), compare(made([*reference]), later)
    edges = numpy.quantile(reference, numpy.arange(1, 10) / 10)
    assert found.edges == pytest.approx(edges.tolist(), rel=1e-12)
    bins = [-math.inf, *edges, math.inf]
    expected, actual = (numpy.histogram(each, bins)[0] / len(each) for each in (reference, later))
    expected, actual = (numpy.maximum(each, profiles.EPSILON) for each in (expected, actual))
    assert compared.psi == pytest.approx(float(((actual - expected) * numpy.log(actual / expected)).sum()), rel=1e-9)
    oracle = stats.ks_2samp(reference, later, method="asymp")
    assert compared.ks == pytest.approx(oracle.statistic, abs=1e-12)
    root = math.sqrt(900 * 700 / 1600)
    limit = special.kolmogorov((root + 0.12 + 0.11 / root) * oracle.statistic)
    assert compared.p_value == pytest.approx(limit, rel=1e-6, abs=1e-12)
    assert compared.p_value == pytest.approx(oracle.pvalue, abs=0.02)


def test_quantiles_stand_for_many_values() -> None:
    reference, later = normal(3, 50_000), normal(4, 2_000, 0.2)
    found = made([*reference])
    assert len(found.points) == profiles.POINTS and found.count == 50_000
    compared = compare(found, later)
    assert compared.ks == pytest.approx(stats.ks_2samp(reference, later).statistic, abs=2e-3)


def test_columns_of_categories() -> None:
    found = made(["a"] * 6 + ["b"] * 4 + [None, ""])
    assert (found.numeric, found.count, found.missing, found.categories) == (False, 10, 2, ("a", "b"))
    assert found.shares == (0.6, 0.4, 0.0)
    compared = compare(found, ["a", "a", "c", None])
    assert (compared.count, compared.missing, compared.ks) == (3, 1, None)
    assert compared.shares == pytest.approx((2 / 3, 0, 1 / 3))
    assert compared.psi == pytest.approx(profiles.population_stability_index((0.6, 0.4, 0), (2 / 3, 0, 1 / 3)))
    assert found.labels == ("a", "b", "(others)")
    truth = made([True, False, True])
    assert truth.categories == ("false", "true")
    assert compare(truth, [True, True, False]).psi == 0
    assert made([1, 2.0, 1], numeric=False).categories == ("1", "2")
    many = made([f"c{number}" for number in range(200)])
    assert len(many.categories) == profiles.CATEGORIES and many.shares[-1] == pytest.approx(0.75)


def test_repeated_and_single_values() -> None:
    found = made([0] * 90 + [1] * 10)
    assert compare(found, [0] * 90 + [1] * 10).psi == 0
    assert compare(found, [1] * 100).psi > 1
    constant = made([5, 5, 5])
    assert compare(constant, [5, 5]).psi == 0
    assert compare(constant, [6, 6]).psi > 1 and compare(constant, [4]).psi > 1
    assert compare(constant, []).psi == 0 and compare(constant, [None]).missing == 1
    assert profile("x", [None, ""]) is None
    assert profile("x", [[1], [2]]) is None
    assert made([*range(99), "none"]).missing == 1


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_the_distance_is_scipys(one: list[float], other: list[float]) -> None:
    found, compared = made([*one]), compare(made([*one]), other)
    assert compared.ks == pytest.approx(stats.ks_2samp(one, other, method="asymp").statistic, abs=1e-9)
    assert compared.psi >= 0
    assert len(found.labels) == len(found.shares) == len(compared.shares)
    assert sum(found.shares) == pytest.approx(1)
    assert compare(found, one).psi == pytest.approx(0, abs=1e-12)
