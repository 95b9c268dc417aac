"""Tables made for requests: the columns that one request's model names or changes are not those of another request."""

from __future__ import annotations

import pandas
import pytest

from registry_tui.serving.shortcuts import frame_of

NUMBERS = {"a": "double", "b": "double"}
MIXED = {"a": "double", "b": "string"}


@pytest.mark.parametrize(
    ("types", "values"), [(NUMBERS, {"a": [1.0], "b": [2.0]}), (MIXED, {"a": [1.0], "b": ["x"]})], ids=str
)
def test_each_request_has_columns_of_its_own(types: dict[str, str], values: dict[str, list[object]]) -> None:
    plain = pandas.DataFrame(values)
    first = frame_of(values, types)
    first.columns.name = "features"
    first.columns = ["renamed", "too"]
    second = frame_of(values, types)
    pandas.testing.assert_frame_equal(second, plain)
    assert second.columns.name is None
    assert second.columns.dtype == plain.columns.dtype
    with pytest.raises(ValueError, match="read-only"):
        second.columns.values[0] = "changed"
    assert list(frame_of(values, types).columns) == ["a", "b"]


def test_columns_in_another_order_keep_theirs() -> None:
    assert list(frame_of({"b": [2.0], "a": [1.0]}, NUMBERS).columns) == ["b", "a"]
    assert list(frame_of({"a": [1.0], "b": [2.0]}, NUMBERS).columns) == ["a", "b"]
