"""Fuzzy matching of names: matches, their order, and that no name takes long."""

from __future__ import annotations

import pytest

from registry_tui.contracts.matching import best, match

MODELS = ["DiabetesProgression", "TumourScreening", "WineAlcoholRegressor", "WineCultivarClassifier", "my-wine"]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("wine", ["WineAlcoholRegressor", "WineCultivarClassifier", "my-wine"]),
        ("regressor", ["WineAlcoholRegressor"]),
        ("wcc", ["WineCultivarClassifier"]),
        ("wreg", ["WineAlcoholRegressor"]),
        ("MY-WINE", ["my-wine"]),
        ("wine cult", ["WineCultivarClassifier"]),
        ("enin", ["TumourScreening"]),
        ("winex", []),
        ("", MODELS),
    ],
)
def test_names_match_by_their_letters_in_order(typed: str, found: list[str]) -> None:
    assert best(typed, MODELS, str) == found


def test_the_same_name_comes_before_its_beginning_a_word_a_part_and_spread_letters() -> None:
    names = ["r-u-n", "overrun", "the-run", "runs", "run"]
    assert best("run", names, str) == ["run", "runs", "the-run", "overrun", "r-u-n"]


def test_letters_near_each_other_come_first() -> None:
    assert best("ab", ["a----b", "a-b"], str) == ["a-b", "a----b"]


def test_positions_are_those_of_the_letters_also_beyond_ascii() -> None:
    for typed, name in (("wcc", "WineCultivarClassifier"), ("ünde", "Güte-Ünde"), ("i̇z", "İz-zi̇")):
        found = match(typed, name)
        if found is not None:
            assert all(at < len(name) for at in found[2]) and list(found[2]) == sorted(found[2])
    found = match("wcc", "WineCultivarClassifier")
    assert found is not None and "".join("WineCultivarClassifier"[at] for at in found[2]) == "WCC"


def test_long_names_of_few_letters_are_matched_letter_by_letter() -> None:
    looked = 0

    class Counted(str):
        def find(self, *arguments: object) -> int:
            nonlocal looked
            looked += 1
            return super().find(*arguments)  # type: ignore[arg-type]

    from registry_tui.contracts.matching import _spread

    assert _spread("a" * 30 + "b", Counted("a" * 250)) is None
    assert looked <= 31
