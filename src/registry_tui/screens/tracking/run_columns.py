"""The columns of a list of runs: attributes, and those made from keys of metrics, params and tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry_tui.widgets.filter_language import quoted
from registry_tui.widgets.virtual_table import Column
from registry_tui.wording.text import safe
from registry_tui.wording.words import NOTHING, Cell, absolute, ago, duration, number, run_status

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import Run

#: How much sooner a column is dropped that is the same in all runs.
SAME = 10
#: Params and metrics that have a column by default.
FIRST_PARAMS, FIRST_METRICS = 3, 4


def took(run: Run) -> str:
    """How long a run took."""
    if run.started_at is None or run.ended_at is None:
        return "–"
    return duration((run.ended_at - run.started_at).total_seconds())


#: Always first.
NAME: Column[Any] = Column(
    "name", "Run", lambda row: row.name or row.id, 0, max_width=36, sort="attributes.run_name", keeps_end=True
)
#: The sign in front of the name of a run with a model; in plain mode it is an M.
MODEL_SIGN = "◆"
#: The first column where some run has a model.
SIGNED_NAME: Column[Any] = replace(
    NAME, cell=lambda row: f"{MODEL_SIGN if row.holds_model else ' '} {row.name or row.id}", max_width=38
)
#: By the key that a user chooses them with.
ATTRIBUTES: dict[str, Column[Any]] = {
    "attribute status": Column(
        "attribute status", "Status", lambda row: run_status(row.status), 1, min_width=10, sort="attributes.status"
    ),
    "attribute started": Column(
        "attribute started", "Started", lambda row: Cell(ago(row.started_at), "dim"), 1, sort="attributes.start_time"
    ),
    "attribute ended": Column(
        "attribute ended", "Ended", lambda row: Cell(absolute(row.ended_at), "dim"), 6, sort="attributes.end_time"
    ),
    "attribute took": Column("attribute took", "Took", lambda row: Cell(took(row), "dim"), 6, right=True),
    "attribute user": Column("attribute user", "User", lambda row: Cell(row.user, "dim"), 7),
    "attribute source": Column(
        "attribute source", "Source", lambda row: Cell(row.tags.get("mlflow.source.name", "–"), "dim"), 7, max_width=30
    ),
    "attribute id": Column("attribute id", "ID", lambda row: Cell(row.id, "dim"), 8),
}
#: Attributes shown by default, before and after the keys.
FIRST_BEFORE, FIRST_AFTER = ("attribute status", "attribute started"), ("attribute took", "attribute user")


def column(key: str, priority: int = 2) -> Column[Any]:
    """The column of a key such as `metric rmse`, `param alpha`, `tag team`, `attribute user`."""
    kind, _, name = key.partition(" ")
    if kind == "attribute":
        return ATTRIBUTES[key]
    title = safe(name, 40)
    if kind == "metric":

        def metric(row: Run) -> str | Cell:
            return NOTHING if name not in row.metrics else number(row.metrics[name])

        return Column(key, title, metric, priority, right=True, max_width=16, sort=f"metrics.{quoted(name)}")
    if kind == "param":

        def param(row: Run) -> str | Cell:
            return row.params.get(name, NOTHING)

        return Column(key, title, param, priority, right=True, max_width=20, sort=f"params.{quoted(name)}")

    def tag(row: Run) -> str | Cell:
        return row.tags.get(name, NOTHING)

    return Column(key, title, tag, priority + 1, max_width=30, sort=f"tags.{quoted(name)}")


def order_field(key: str) -> str | None:
    """MLflow's name in `order_by` of a column's key; None when it cannot be sorted by."""
    if key == NAME.key:
        return NAME.sort
    if key.startswith("attribute "):
        return ATTRIBUTES[key].sort if key in ATTRIBUTES else None
    return column(key).sort


def first_columns(
    params: Counter[str],
    metrics: Counter[str],
    varying: Collection[str] = (),
    registered: Column[Any] | None = None,
) -> list[Column[Any]]:
    """The columns by default: attributes around the keys that most runs have.

    Columns that are `varying` come before those that are the same in all runs, which are also dropped first.
    """
    columns = [
        *(ATTRIBUTES[key] for key in FIRST_BEFORE),
        *(column(key, 4 + place) for place, key in enumerate(_most("param", params, varying, FIRST_PARAMS))),
        *(column(key, 2 + place) for place, key in enumerate(_most("metric", metrics, varying, FIRST_METRICS))),
        *([] if registered is None else [registered]),
        *(ATTRIBUTES[key] for key in FIRST_AFTER),
    ]
    if not varying:
        return [NAME, *columns]
    first = [each for each in columns if each.key in varying or each is registered]
    same = [replace(each, priority=each.priority + SAME) for each in columns if each not in first]
    return [NAME, *first, *same]


def _most(kind: str, counts: Counter[str], varying: Collection[str], limit: int) -> list[str]:
    """The keys of columns that vary, then those that most runs have; each in the order of their names."""
    keys = {f"{kind} {key}": count for key, count in counts.items()}
    chosen = sorted(keys, key=lambda key: (key not in varying, -keys[key], key))[:limit]
    return sorted(chosen, key=lambda key: (key not in varying, key))


def shape(columns: Sequence[Column[Any]]) -> list[tuple[str, int, bool]]:
    """The properties that distinguish lists of columns."""
    return [(each.key, each.priority, each is SIGNED_NAME) for each in columns]
