"""Spans of time as people type them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_tui.widgets.timespan import EXAMPLES, parse_span

NOW = datetime(2026, 11, 23, 12, 0).astimezone()


@pytest.mark.parametrize(
    ("typed", "since", "until"),
    [
        ("", None, None),
        ("2h", NOW - timedelta(hours=2), None),
        ("7 d", NOW - timedelta(days=7), None),
        ("today", datetime(2026, 11, 23).astimezone(), None),
        ("2026-11-22", datetime(2026, 11, 22).astimezone(), datetime(2026, 11, 23).astimezone()),
        ("..2h", None, NOW - timedelta(hours=2)),
        (
            "2026-11-20 08:00..2026-11-22",
            datetime(2026, 11, 20, 8).astimezone(),
            datetime(2026, 11, 23).astimezone(),
        ),
    ],
)
def test_spans(typed: str, since: datetime | None, until: datetime | None) -> None:
    assert parse_span(typed, NOW) == (since, until)


@pytest.mark.parametrize("typed", ["yesterday", "2026-13-01", "999999w", "2h..7d"])
def test_what_is_no_span_says_what_to_type(typed: str) -> None:
    with pytest.raises(ValueError, match=f"{EXAMPLES[:8]}|ends before"):
        parse_span(typed, NOW)


@given(st.text(max_size=40))
def test_nothing_typed_breaks_it(typed: str) -> None:
    try:
        parse_span(typed)
    except ValueError as error:
        assert str(error)
