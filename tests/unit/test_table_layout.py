"""Which columns a table shows in how many cells."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from registry_tui.widgets.table_drawing import Pen, row_line
from registry_tui.widgets.table_layout import FIRST_FLOOR, FLOOR, GAP, MORE, Column, Layout, lay_out


def _column(number: int, priority: int, *, right: bool = False) -> Column[None]:
    return Column(str(number), f"T{number}", lambda row: "", priority, right=right)


_COLUMNS = st.lists(st.tuples(st.integers(0, 6), st.integers(4, 60), st.booleans()), min_size=1, max_size=14).map(
    lambda drawn: [
        (_column(number, priority, right=right), width) for number, (priority, width, right) in enumerate(drawn)
    ]
)


def _cells(layout: Layout) -> int:
    return sum(width for _, width in layout.columns) + layout.gap * (len(layout.columns) - 1)


def _floor(column: Column[None], width: int, *, first: bool) -> int:
    return width if column.right else min(width, FIRST_FLOOR if first else FLOOR)


@given(_COLUMNS, st.integers(20, 250))
def test_no_column_is_hidden_while_there_is_room_for_it(drawn: list[tuple[Column[None], int]], available: int) -> None:
    columns, natural = [column for column, _ in drawn], {column.key: width for column, width in drawn}
    layout = lay_out(columns, natural, available)
    shown = [column for column, _ in layout.columns]
    assert layout.hidden == len(columns) - len(shown)
    if layout.hidden:
        least = sum(_floor(each, natural[each.key], first=each is columns[0]) + GAP for each in shown)
        for column in columns:
            if column not in shown:
                assert least + _floor(column, natural[column.key], first=False) > available - MORE


@given(_COLUMNS, st.integers(20, 250))
def test_long_texts_are_shortened_before_a_column_hides(drawn: list[tuple[Column[None], int]], available: int) -> None:
    columns, natural = [column for column, _ in drawn], {column.key: width for column, width in drawn}
    floors = [_floor(column, natural[column.key], first=not number) for number, column in enumerate(columns)]
    layout = lay_out(columns, natural, available)
    if sum(floors) + GAP * (len(floors) - 1) <= available:
        assert layout.hidden == 0
        assert all(width >= floor for (_, width), floor in zip(layout.columns, floors, strict=True))


@given(_COLUMNS, st.integers(20, 250))
def test_the_gap_is_wider_only_where_every_column_shows_whole(
    drawn: list[tuple[Column[None], int]], available: int
) -> None:
    columns, natural = [column for column, _ in drawn], {column.key: width for column, width in drawn}
    layout = lay_out(columns, natural, available)
    if layout.gap > GAP:
        assert layout.hidden == 0
        assert all(width == natural[column.key] for column, width in layout.columns)
        assert _cells(layout) <= available
    if layout.hidden:
        assert layout.gap == GAP


def test_the_longest_texts_are_shortened_first() -> None:
    columns = [_column(0, 0), _column(1, 1), _column(2, 2)]
    layout = lay_out(columns, {"0": 60, "1": 18, "2": 10}, 70)
    assert [width for _, width in layout.columns] == [38, 18, 10]


def test_a_sorted_columns_title_has_room_for_its_sign() -> None:
    columns = [Column[None]("name", "Long title", lambda row: ""), _column(1, 1)]
    layout = lay_out(columns, {"name": 5, "1": 5}, 80, signs={"name": 2})
    assert layout.columns[0][1] == len("Long title ▲")


def test_a_column_with_its_own_floor_is_shortened_to_it_before_another_leaves() -> None:
    numbers = [Column[None](str(number), "", lambda row: "", number, right=True, floor=16) for number in (1, 2)]
    layout = lay_out([_column(0, 0), *numbers], {"0": 10, "1": 26, "2": 26}, 10 + 2 * (16 + GAP))
    assert [width for _, width in layout.columns] == [10, 16, 16]


def test_a_name_that_is_too_long_keeps_its_end() -> None:
    name, style = Column[str]("name", "Name", lambda row: row, 0, keeps_end=True), Style()
    drawn = row_line(
        "elasticnet-a0.001-l0.9",
        Layout(((name, 12),)),
        Pen(style, {"accent": style}, style),
        14,
        at_cursor=False,
        marked=False,
        branch=None,
    )
    assert drawn.text == "  elast…1-l0.9"
