"""Rows of forms for rollouts: the strategy, and the steps and bounds of one that tries the version."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from textual.widget import Widget
from textual.widgets import Input, Select

from registry_tui.screens.base.form import row, whole
from registry_tui.wording import rollouts

if TYPE_CHECKING:
    from textual.screen import Screen

    from registry_tui.schemas.canaries import Rollout

AT_ONCE = "all-at-once"
#: The strategies of `schemas.canaries.Strategy`, which is read once a form sends.
_STRATEGIES = (
    ("all callers at once", AT_ONCE),
    ("canary: a growing share of callers", "canary"),
    ("shadow: copies of requests first", "shadow"),
)
#: ID, label, placeholder of the rows about a version that is tried.
_DETAILS = (
    ("steps", "Steps, in percent", "5,25,50,100"),
    ("step-duration", "Each step lasts", "60s at least; 5m, 2h"),
    ("pause-after", "Pause after", "one of the steps: then you decide"),
    ("max-error-rate", "Errors at most", "5%; off watches none"),
    ("max-p99", "p99 at most", "not watched; 250ms"),
    ("max-disagreement", "Disagreement", "not watched; 2%"),
    ("min-requests", "Requests at least", "20, of each step"),
    ("tolerance", "Tolerance", "1e-6"),
)


def strategy_row(label: str, id_: str, strategy: str) -> Widget:
    """The choice of a strategy."""
    return row(label, Select(_STRATEGIES, value=strategy, allow_blank=False, compact=True, id=id_))


def detail_rows(before: Rollout | None) -> Iterable[Widget]:
    """The rows about a version that is tried, filled in with the rollout kept `before`."""
    typed = rollouts.typed(before) if before is not None else {}
    for id_, label, placeholder in _DETAILS:
        yield row(label, Input(typed.get(id_, ""), compact=True, id=id_, placeholder=placeholder))


def show_rows(form: Screen[Any], *, following: bool, strategy: bool = False) -> None:
    """Shows the rows that have an effect now. `strategy` and `following`: whether these choices have one."""
    for id_ in _choices(form):
        _row_of(form, id_).display = strategy if id_ == "strategy" else following
    tried = tries(form)
    for id_, _, _ in _DETAILS:
        _row_of(form, id_).display = bool(tried)
    # Answers of a canary are compared only if there is a bound for their disagreement.
    compared = "shadow" in tried or bool(_text(form, "max-disagreement"))
    _row_of(form, "tolerance").display = bool(tried) and compared
    form.query_one("#steps", Input).placeholder = "5,25,50,100" if "canary" in tried else "100"


def tries(form: Screen[Any]) -> set[str]:
    """The strategies that are chosen where the choice has an effect, but for all at once."""
    shown = [id_ for id_ in _choices(form) if _row_of(form, id_).display]
    return {chosen(form, id_) for id_ in shown} - {AT_ONCE}


def chosen(form: Screen[Any], id_: str) -> str:
    """The strategy that is chosen in a row."""
    return str(form.query_one(f"#{id_}", Select).value)


def tried(rollout: Rollout | None) -> Rollout | None:
    """The rollout if it tries a version, else None."""
    return rollout if rollout is not None and rollout.tries else None


def problem(form: Screen[Any]) -> str | None:
    """The problem with the text typed in these rows; None if there is none, or if the rows have no effect."""
    try:
        for strategy in sorted(tries(form)):
            _check(strategy, _read(form))
    except ValueError as error:
        return str(error)
    return None


def rollout(form: Screen[Any], id_: str) -> Rollout | None:
    """The chosen rollout; None where the choice has no effect. Call it only if `problem` returns None."""
    from registry_tui.schemas.canaries import Rollout, Strategy

    if not _row_of(form, id_).display:
        return None
    strategy = Strategy(chosen(form, id_))
    return Rollout(strategy=strategy, **(_read(form) if strategy is not Strategy.ALL_AT_ONCE else {}))


def _read(form: Screen[Any]) -> dict[str, Any]:
    """The typed fields of a rollout. Raises ValueError."""

    def errors(text: str) -> float | None:
        return None if text == "off" else rollouts.parse_share(text)

    def number(text: str) -> int:
        if (found := whole(text)) is None:
            raise ValueError(f"{text!r} is not a whole number")
        return found

    ways: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
        ("steps", "steps", rollouts.parse_steps),
        ("step_seconds", "step-duration", rollouts.parse_seconds),
        ("pause_after", "pause-after", number),
        ("max_error_rate", "max-error-rate", errors),
        ("max_p99_seconds", "max-p99", rollouts.parse_seconds),
        ("max_disagreement", "max-disagreement", rollouts.parse_share),
        ("min_requests", "min-requests", number),
        ("tolerance", "tolerance", float),
    )
    labels = {id_: label for id_, label, _ in _DETAILS}
    found = {}
    for field, id_, parse in ways:
        if text := _text(form, id_) if _row_of(form, id_).display else "":
            try:
                found[field] = parse(text)
            except ValueError as error:
                raise ValueError(f"{labels[id_]}: {error}") from error
    return found


def _check(strategy: str, fields: dict[str, Any]) -> None:
    """Raises ValueError with a sentence."""
    from pydantic import ValidationError

    from registry_tui.schemas.canaries import Rollout, Strategy

    try:
        Rollout(strategy=Strategy(strategy), **fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:1]).replace("_", " ")
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where}: {message}" if where else message) from error


def _choices(form: Screen[Any]) -> list[str]:
    """The choices of a strategy that a form has: a first deployment has no older version to be tried against."""
    return [id_ for id_ in ("strategy", "follow-strategy") if form.query(f"#{id_}")]


def _text(form: Screen[Any], id_: str) -> str:
    return form.query_one(f"#{id_}", Input).value.strip()


def _row_of(form: Screen[Any], id_: str) -> Widget:
    found = form.query_one(f"#{id_}").parent
    assert isinstance(found, Widget)
    return found
