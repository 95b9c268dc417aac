"""Runs grouped by a param: how many, and the best and mean of a metric; a group opens as a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.screens.dialogs import Menu, MenuItem
from registry_tui.widgets.filter_language import quoted
from registry_tui.widgets.words import number

if TYPE_CHECKING:
    from registry_tui.screens.experiment import ExperimentScreen


def choose_group(screen: ExperimentScreen) -> None:
    """Asks for the param, then shows its groups."""
    items = [
        MenuItem(key, key, note=f"in {count} of the runs seen") for key, count in sorted(screen.seen_params.items())
    ]
    if not items:
        screen.flash("no run here has params", "$warning")
        return

    def chosen(param: str | None) -> None:
        if param is not None:
            screen.work_on(_show(screen, param), "group")

    screen.app.push_screen(Menu("Group by param", items), chosen)


async def _show(screen: ExperimentScreen, param: str) -> None:
    from registry_tui.schemas.tracking import RunGrouping

    metric = next(
        (key.removeprefix("metric ") for key, _ in screen.table.sorted_by if key.startswith("metric ")),
        next(iter(sorted(screen.seen_metrics)), None),
    )
    assert screen.experiment is not None
    request = RunGrouping(experiment_ids=[screen.experiment.id], filter=screen.filter_text, param=param, metric=metric)
    grouped = await screen.client.group_runs(screen.place.args["project"], request)
    items = []
    for place, group in enumerate(grouped.groups):
        value = "no value" if group.value is None else f"{param} = {group.value}"
        note = f"{group.runs} runs"
        if metric is not None and group.mean is not None and group.lowest is not None and group.highest is not None:
            note += f"   {metric}: mean {number(group.mean)}, {number(group.lowest)} … {number(group.highest)}"
        items.append(MenuItem(str(place), value, note=note))
    counted = f"{grouped.runs} runs" + ("" if grouped.complete else ", the newest; there are more")

    def chosen(choice: str | None) -> None:
        if choice is None:
            return
        value = grouped.groups[int(choice)].value
        if value is None:
            screen.flash("MLflow's language cannot ask for runs without a param", "$warning")
        else:
            quote = '"' if "'" in value else "'"
            screen.narrow(f"params.{quoted(param)} = {quote}{value}{quote}")

    screen.app.push_screen(Menu(f"By {param}: {counted}", items), chosen)
