"""The columns of a list of runs that differ from run to run: they are shown before those that are the same in all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import Run

#: Runs that are compared, from the first one on: enough to decide, and fast for a list of any length.
COMPARED = 400


def varying(runs: Sequence[Run]) -> set[str]:
    """The keys of columns, such as `metric rmse`, whose values differ among the first runs."""
    if not runs:
        return set()
    first, found = runs[0], set[str]()
    attributes = _attributes(first)
    for run in runs[1:COMPARED]:
        found.update(f"param {key}" for key in _different(first.params, run.params))
        found.update(f"metric {key}" for key in _different(first.metrics, run.metrics))
        found.update(key for key in _different(attributes, _attributes(run)))
    return found


def _attributes(run: Run) -> dict[str, Any]:
    ended = run.started_at is not None and run.ended_at is not None
    return {
        "attribute status": run.status,
        "attribute started": run.started_at,
        "attribute took": run.ended_at - run.started_at if ended and run.ended_at and run.started_at else None,
        "attribute user": run.user,
    }


def _different(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterable[str]:
    return (key for key, _ in one.items() ^ other.items())
