"""MLflow's filter language: completing keys, and explaining errors in plain words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_tui.widgets.filter_language import choices, complete, hint, problem

KEYS = {"metrics": ["rmse", "r2", "val/loss"], "params": ["alpha"], "tags": ["team"]}


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("me", "metrics."),
        ("metrics.", "metrics.r2"),
        ("metrics.rm", "metrics.rmse"),
        ("metrics.rmse < 0.8 and pa", "metrics.rmse < 0.8 and params."),
        ("metrics.rmse < 0.8 and params.al", "metrics.rmse < 0.8 and params.alpha"),
        ("metrics.`val", "metrics.`val/loss`"),
        ("metrics.val", None),  # needs a backtick, which completing cannot put before
        ("attributes.st", "attributes.status"),
        ("metrics.rmse", None),
        ("metrics.rmse < 0", None),
        ("", None),
        ("xyz", None),
    ],
)
def test_completion(typed: str, completed: str | None) -> None:
    assert complete(typed, KEYS) == completed


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("metrics.rmse == 3", "write = for equal"),
        ("metrics.rmse < 1 or metrics.r2 > 0", "no `or`"),
        ("params.alpha = 0.5", "stands in quotes, '0.5'"),
        ("params.alpha = 'x", "apostrophe is missing"),
        ("metrics.rmse = '3'", "without quotes"),
        ("rmse < 3", "begins with metrics."),
        ("metrics.rmes < 3", "did you mean rmse?"),
        ("metrics.rmse", "a comparison is missing"),
        ("metrics.rmse <", "a value is missing"),
        ("metrics.rmse < 1 and ", "missing beside"),
        ("tags.team = 'or == &&'", None),
        ("metrics.`val/loss` < 1 and params.alpha = '1'", None),
    ],
)
def test_hints(typed: str, said: str | None) -> None:
    found = hint(typed, KEYS)
    assert found is None if said is None else said in str(found)


@pytest.mark.parametrize(
    ("typed", "start", "offered"),
    [
        ("", 0, ("metrics.", "params.", "tags.", "attributes.")),
        ("pa", 0, ("params.",)),
        ("rm", 0, ("metrics.rmse",)),
        ("metrics.", 0, ("metrics.r2", "metrics.rmse", "metrics.`val/loss`")),
        ("metrics.va", 0, ("metrics.`val/loss`",)),
        ("metrics.`va", 0, ("metrics.`val/loss`",)),
        ("metrics.loss", 0, ("metrics.`val/loss`",)),
        ("metrics.rmse", 0, ()),
        ("metrics.rmse ", 13, ("<", "<=", ">", ">=", "=", "!=")),
        ("metrics.rmse <", 13, ("<=",)),
        ("metrics.`val/loss` ", 19, ("<", "<=", ">", ">=", "=", "!=")),
        ("params.alpha li", 13, ("LIKE",)),
        ("param.alpha i", 12, ("ILIKE", "IS NULL", "IS NOT NULL")),
        ("params.alpha IS NULL ", 21, ("and",)),
        ("attributes.start_time ", 22, ("<", "<=", ">", ">=", "=", "!=")),
        ("attributes.st", 0, ("attributes.status", "attributes.start_time")),
        ("attributes.status = 'F", 20, ("'FINISHED'", "'FAILED'")),
        ("metrics.rmse < 0.8 ", 19, ("and",)),
        ("metrics.rmse < 0.8 and tags.", 23, ("tags.team",)),
        ("attributes.run_id IN ('a', 'b') ", 32, ("and",)),
        ("tags.team = 'a and b", 12, ()),
    ],
)
def test_what_can_come_next(typed: str, start: int, offered: tuple[str, ...]) -> None:
    found = choices(typed, KEYS)
    assert found.texts == offered
    assert not offered or found.start == start


@pytest.mark.parametrize(
    ("typed", "marked"),
    [
        ("metrics.rmse == 3", "== 3"),
        ("metrics.rmse < 1 or metrics.r2 > 0", "or metrics.r2 > 0"),
        ("metrics.r2 > 0 and params.alpha = 0.5", "0.5"),
        ("params.alpha = 'x", "'x"),
        ("tags.team = 'a and b' and metrics.rmes < 3", "rmes < 3"),
        ("metrics.r2 > 0 and  rmse < 3", "rmse < 3"),
        ("metrics.rmse", ""),
        ("metrics.rmse <", ""),
        ("metrics.rmse < 1 and", ""),
        ("metrics.rmse = '3'", "'3'"),
    ],
)
def test_where_something_is_wrong(typed: str, marked: str) -> None:
    found = problem(typed, KEYS)
    assert found is not None and typed[found.position :] == marked


@given(st.text(alphabet="metrics.pa`'\"<=! \t(),and0rmse\u202e\n", max_size=40))
def test_any_text_can_be_typed(typed: str) -> None:
    found, wrong = choices(typed, KEYS), problem(typed, KEYS)
    assert 0 <= found.start <= len(typed)
    assert wrong is None or 0 <= wrong.position <= len(typed)
