"""Scenes of `scenes.py`: experiments and runs."""

from __future__ import annotations

from textual.widgets import Input, OptionList

from support.program import Driver
from support.scene_names import EXPERIMENT, MODEL, PROJECT, REGISTRY, Scene


async def project(see: Driver) -> None:
    see.go("project", project=PROJECT)
    await see.rows("project")


async def experiment(see: Driver) -> None:
    see.go("experiment", project=PROJECT, experiment=EXPERIMENT)
    await see.rows("experiment")


async def run(see: Driver) -> None:
    await registered_run(see)
    await see.shows("Overview", "finished")


async def registered_run(see: Driver) -> None:
    version = (await see.app.client.versions(REGISTRY, MODEL, page_size=1)).items[0]
    assert version.origin.run_id is not None
    see.go("run", project=PROJECT, run=version.origin.run_id)
    await see.shows("Overview")


async def metrics(see: Driver) -> None:
    await registered_run(see)
    await see.press("tab")
    await see.shows("train_rmse")
    names = see.screen.query_one("#metric-names", OptionList)
    await see.until(lambda: names.option_count > 0, "the metrics")
    names.highlighted = names.get_option_index("train_rmse")
    await see.shows("● train_rmse")


async def artifacts(see: Driver) -> None:
    await registered_run(see)
    await see.press("tab", "tab")
    await see.shows("Flavours")


async def register_model(see: Driver) -> None:
    await artifacts(see)
    await see.until(lambda: see.screen.reason("register") is None, "the scene")
    await see.press("R")
    await see.shows("Register Model", "Version notes")
    see.screen.query_one("#name", Input).value = MODEL
    await see.shows("adds version")


async def compare(see: Driver) -> None:
    await experiment(see)
    await see.press("space", "space", "space", "equals_sign")
    await see.shows("rmse", "alpha")


async def curves(see: Driver) -> None:
    await compare(see)
    await see.press("tab")
    see.screen.query_one("#metric-names").focus()
    await see.press("end", "up")
    await see.until(lambda: see.screen.query_one("#chart")._series, "the scene")


async def columns(see: Driver) -> None:
    await experiment(see)
    await see.press("f")
    await see.shows("alpha", "validation_rmse")


async def views(see: Driver) -> None:
    await experiment(see)
    await see.press("V")
    await see.shows("view")


async def run_groups(see: Driver) -> None:
    await experiment(see)
    await see.press("b")
    await see.shows("alpha")


async def no_runs(see: Driver) -> None:
    await experiment(see)
    await see.press("slash")
    await see.type("metrics.rmse > 100")
    await see.press("enter")
    await see.shows("Nothing matches")


async def params(see: Driver) -> None:
    await registered_run(see)
    see.screen.query_one("#tabs").active = "params"
    await see.shows("alpha")


async def tags(see: Driver) -> None:
    await registered_run(see)
    see.screen.query_one("#tabs").active = "tags"
    await see.shows("algorithm")


async def datasets(see: Driver) -> None:
    await registered_run(see)
    see.screen.query_one("#tabs").active = "datasets"
    await see.shows("Digest", "rows 124")


TRACKING_SCENES: dict[str, Scene] = {
    "project": project,
    "experiment": experiment,
    "run": run,
    "metrics": metrics,
    "artifacts": artifacts,
    "register-model": register_model,
    "compare": compare,
    "curves": curves,
    "columns": columns,
    "views": views,
    "run-groups": run_groups,
    "no-runs": no_runs,
    "params": params,
    "tags": tags,
    "datasets": datasets,
}
