"""MLflow's filter language: completing keys, and saying in plain words what is wrong."""

from __future__ import annotations

import pytest

from registry_tui.widgets.filter_language import complete, hint

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
