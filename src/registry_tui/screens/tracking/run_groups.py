"""Runs grouped by a param: how many, and a metric's lowest, mean and highest; a group opens as a filter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.dialogs import Menu, MenuItem
from registry_tui.screens.tracking.run_list import RunList
from registry_tui.widgets.filter_language import quoted
from registry_tui.wording.words import number

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import RunGroup, RunGroups

#: The possible orders of groups, as the user chooses them.
ORDERS = ("most runs", "value", "lowest", "mean", "highest")


@dataclass(frozen=True)
class Grouping:
    """The param that runs are grouped by, the displayed metric of each group, and the order."""

    param: str
    metric: str | None
    order: str = ORDERS[0]


def choose_group(screen: RunList) -> None:
    """Asks for the param, then shows its groups."""
    if not screen.seen_params:
        screen.flash("no run here has params", "$warning")
        return
    sorted_metrics = (key.removeprefix("metric ") for key, _ in screen.table.sorted_by if key.startswith("metric "))
    metric = next(sorted_metrics, next(iter(sorted(screen.seen_metrics)), None))

    def chosen(param: str | None) -> None:
        if param is not None:
            screen.work_on(_show(screen, Grouping(param, metric)), "group")

    screen.app.push_screen(Menu("Group by param", _keys(screen.seen_params)), chosen)


def _keys(seen: dict[str, int]) -> list[MenuItem]:
    return [MenuItem(key, key, note=f"in {count} of the runs seen") for key, count in sorted(seen.items())]


async def _show(screen: RunList, by: Grouping) -> None:
    from registry_tui.schemas.tracking import RunGrouping

    assert screen.experiment is not None
    request = RunGrouping(
        experiment_ids=[screen.experiment.id], filter=screen.filter_text, param=by.param, metric=by.metric
    )
    _list(screen, by, await screen.client.group_runs(screen.place.args["project"], request))


def _list(screen: RunList, by: Grouping, grouped: RunGroups) -> None:
    """Lists the groups below the options of the grouping."""
    groups = ordered(grouped.groups, by.order)
    items = [MenuItem("order", f"Order: {by.order} …")]
    if by.metric is not None:
        items.insert(0, MenuItem("metric", f"Metric: {by.metric} …"))
    for place, group in enumerate(groups):
        value = "no value" if group.value is None else f"{by.param} = {group.value}"
        items.append(MenuItem(str(place), value, note=_note(group, by.metric)))
    in_all = counted(grouped.runs, "run") + ("" if grouped.complete else ", the newest; there are more")

    def chosen(choice: str | None) -> None:
        if choice == "metric":
            screen.app.push_screen(Menu("Metric of the groups", _keys(screen.seen_metrics), by.metric), with_metric)
        elif choice == "order":
            orders = [MenuItem(order, order) for order in ORDERS if by.metric is not None or order in ORDERS[:2]]
            screen.app.push_screen(Menu("Order of the groups", orders, by.order), with_order)
        elif choice is not None:
            screen.narrow(condition(by.param, groups[int(choice)].value))

    def with_metric(metric: str | None) -> None:
        screen.work_on(_show(screen, Grouping(by.param, metric or by.metric, by.order)), "group")

    def with_order(order: str | None) -> None:
        _list(screen, Grouping(by.param, by.metric, order or by.order), grouped)

    screen.app.push_screen(Menu(f"By {by.param}: {in_all}", items, "0"), chosen)


def _note(group: RunGroup, metric: str | None) -> str:
    note = counted(group.runs, "run")
    if metric is not None and group.mean is not None and group.lowest is not None and group.highest is not None:
        note += (
            f"   {metric}: lowest {number(group.lowest)}, mean {number(group.mean)}, highest {number(group.highest)}"
        )
    return note


def condition(param: str, value: str | None) -> str:
    """The condition that finds a group's runs, in MLflow's filter language."""
    if value is None:
        return f"params.{quoted(param)} IS NULL"
    quote = '"' if "'" in value else "'"
    return f"params.{quoted(param)} = {quote}{value}{quote}"


def ordered(groups: Sequence[RunGroup], order: str) -> list[RunGroup]:
    """Groups in one of `ORDERS`: the most runs or the highest first, the lowest first; without a number last."""
    if order == "most runs":
        return list(groups)
    if order == "value":
        return sorted(groups, key=lambda group: (group.value is None, _natural(group.value or "")))
    sign = -1 if order == "highest" else 1

    def place(group: RunGroup) -> tuple[bool, float]:
        found: float | None = getattr(group, order)
        return found is None, sign * (found or 0.0)

    return sorted(groups, key=place)


def _natural(value: str) -> tuple[bool, float, str]:
    """Numbers by their size, before texts."""
    try:
        size = float(value)
    except ValueError:
        size = math.nan
    return (False, size, value) if math.isfinite(size) else (True, 0.0, value)
