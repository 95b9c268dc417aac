"""CSV of plain numbers: the same bits as pandas reads, and anything else is left to it."""

from __future__ import annotations

import io

import numpy
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_tui.serving import csv_tables

NAMES = ["a", "b", "c"]


def by_pandas(text: str) -> pandas.DataFrame:
    return pandas.read_csv(io.StringIO(text), dtype=dict.fromkeys(NAMES, "float64"))


def numbers() -> st.SearchStrategy[str]:
    """At most 16 characters: digits with a sign and a point anywhere."""

    def word(drawn: tuple[str, str, int, bool]) -> str:
        sign, digits, point, pointed = drawn
        digits = digits[: 15 - len(sign)]
        at = min(point, len(digits))
        return sign + (f"{digits[:at]}.{digits[at:]}" if pointed else digits)

    digits = st.text("0123456789", min_size=1, max_size=15)
    return st.tuples(st.sampled_from(["", "-"]), digits, st.integers(0, 15), st.booleans()).map(word)


@given(st.lists(st.tuples(numbers(), numbers(), numbers()), min_size=1, max_size=40), st.booleans())
def test_the_numbers_have_the_same_bits(rows: list[tuple[str, str, str]], ended: bool) -> None:
    text = "a,b,c\n" + "\n".join(",".join(row) for row in rows) + ("\n" if ended else "")
    found = csv_tables.doubles(text, NAMES)
    assert found is not None
    expected = by_pandas(text).to_numpy()
    assert found.T.tobytes() == numpy.ascontiguousarray(expected).tobytes()


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n1,2,0.1234567890123456\n",
        "a,b,c\n1,2,12345678901234567\n",
        "a,b,c\n1,2,1e5\n",
        "a,b,c\n1,2,+3\n",
        "a,b,c\n1,2,\n",
        "a,b,c\n1,,3\n",
        "a,b,c\n,,\n",
        "a,b,c\n1,2,3\n\n4,5,6\n",
        "a,b,c\n1,2\n3,4,5,6\n",
        "a,b,c\n1,2\n",
        "a,b,c\n1,2,3,4\n5,6,7,8\n",
        "a,b,c\n1,2,3,4,5,6\n",
        "a,b,c\n1,2,nan\n",
        "a,b,c\n1,2,1-2\n",
        "a,b,c\n1,2,1.2.3\n",
        "a,b,c\n1,2,-\n",
        "a,b,c\n1,2,.\n",
        "a,b,c\n1,2,x\n",
        "a,b,c\n1, 2,3\n",
        'a,b,c\n1,"2",3\n',
        'a,b,"c"\n1,2,3\n',
        "a,b,c\r\n1,2,3\r\n",
        "a,b,c\n1,2,٣\n",
        "a,b\n1,2\n",
        "b,a,c\n1,2,3\n",
        "a,b,c,d\n1,2,3,4\n",
        "a,b,c\n",
        "a,b,c",
        "",
    ],
)
def test_anything_else_is_left_to_pandas(text: str) -> None:
    assert csv_tables.doubles(text, NAMES) is None


def test_columns_of_one_name_are_left_to_pandas() -> None:
    assert csv_tables.doubles("a,a\n1,2\n", ["a", "a"]) is None


@pytest.mark.parametrize("text", ["a\n1\n\n2\n", "a\n\n1\n", "a\n1\n\n", "a\n\n", "a\n1,\n", "a\n,1\n"])
def test_an_empty_line_of_a_single_column_is_left_to_pandas(text: str) -> None:
    assert csv_tables.doubles(text, ["a"]) is None
