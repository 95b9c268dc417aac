"""Values are wrapped beside their names, and read whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from registry_tui.widgets.facts import LEAST, beside, facts

CRN = "crn:registry-tui:mlregistry:local:3f0d6c9e-2b8b-4c8e-9a55-1d4c0b0e7a11:machineUser:srv-mr-registry-production"


def test_a_crn_is_wrapped_and_whole() -> None:
    lines = beside(CRN, 40, 24).split("\n")
    assert len(lines) == 3
    assert all(line.startswith(" " * 24) for line in lines[1:])
    assert "".join(line.strip() for line in lines) == CRN


@given(
    st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Zs"]), min_size=1, max_size=300),
    st.integers(LEAST, 80),
)
def test_no_character_of_a_word_is_lost(word: str, room: int) -> None:
    lines = beside(word, room, 4).split("\n")
    assert "".join(line.removeprefix("    ") for line in lines) == word
    assert all(cell_len(line.removeprefix("    ")) <= room for line in lines)


def test_values_begin_in_one_column() -> None:
    text = "".join(part for part, _ in facts([("ID", "1"), ("", ""), ("a name that is long", "x" * 25)], 8, 28))
    assert text == f"ID      1\na name that is long\n        {'x' * 20}\n        {'x' * 5}\n"
