"""Groups of runs: their order, and the filters for their runs."""

from __future__ import annotations

import pytest

from registry_tui.schemas.tracking import RunGroup
from registry_tui.screens.tracking.run_groups import condition, ordered

GROUPS = [
    RunGroup(value="10", runs=9, lowest=0.4, mean=0.9, highest=1.0),
    RunGroup(value=None, runs=3),
    RunGroup(value="nan", runs=2, lowest=0.5, mean=0.5, highest=0.5),
    RunGroup(value="9", runs=2, lowest=-1.0, mean=0.6, highest=2.0),
    RunGroup(value="big", runs=1),
]


@pytest.mark.parametrize(
    ("order", "values"),
    [
        ("most runs", ["10", None, "nan", "9", "big"]),
        ("value", ["9", "10", "big", "nan", None]),
        ("lowest", ["9", "10", "nan", None, "big"]),
        ("mean", ["nan", "9", "10", None, "big"]),
        ("highest", ["9", "10", "nan", None, "big"]),
    ],
)
def test_order_of_groups(order: str, values: list[str | None]) -> None:
    assert [group.value for group in ordered(GROUPS, order)] == values


@pytest.mark.parametrize(
    ("param", "value", "filter_"),
    [
        ("alpha", "0.5", "params.alpha = '0.5'"),
        ("alpha", None, "params.alpha IS NULL"),
        ("a b", "it's", 'params.`a b` = "it\'s"'),
    ],
)
def test_what_finds_a_group(param: str, value: str | None, filter_: str) -> None:
    assert condition(param, value) == filter_
