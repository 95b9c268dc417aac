"""The columns of a list of runs: attributes, and those made from keys of metrics, params and tags."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from registry_tui.widgets.filter_language import quoted
from registry_tui.widgets.virtual_table import Column
from registry_tui.wording.text import safe
from registry_tui.wording.words import NOTHING, Cell, absolute, ago, duration, number, run_status

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import Run

#: Params and metrics that have a column at first.
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
#: By the key that a person chooses them with.
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
#: Attributes shown before anybody chose, before and after the keys.
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


def first_columns(params: Counter[str], metrics: Counter[str]) -> list[Column[Any]]:
    """The columns by default: attributes around the keys that most runs have."""
    return [
        NAME,
        *(ATTRIBUTES[key] for key in FIRST_BEFORE),
        *(column(f"param {key}", 4 + place) for place, key in enumerate(_most(params, FIRST_PARAMS))),
        *(column(f"metric {key}", 2 + place) for place, key in enumerate(_most(metrics, FIRST_METRICS))),
        *(ATTRIBUTES[key] for key in FIRST_AFTER),
    ]


def _most(counts: Counter[str], limit: int) -> list[str]:
    """The keys that most runs have, in the order of their names."""
    return sorted(key for key, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit])
