"""The runs of an experiment by keys on a real service: filter, sort, nested runs, groups, views, comparison."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from textual.widgets import OptionList

from registry_tui.schemas.models import RegisterModel
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Project
from registry_tui.schemas.tracking import RunSearch
from registry_tui.screens.base.dialogs import Menu
from registry_tui.screens.tracking import run_following
from registry_tui.terminal.commands import Place
from support.many_runs import fill
from support.platforms import Platform, unique
from support.program import Driver, Open
from support.registered import log_model, mlflow_client


@pytest.fixture(scope="module")
def sweep(platform: Platform) -> tuple[Project, str]:
    """A parent with six nested runs of two alphas; each logs a curve of `loss`, and `rmse`."""
    project = platform.new_project()
    credentials = platform.ask(lambda client: client.credentials(project.id))
    with mlflow_client(credentials) as http:

        def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
            answer: dict[str, Any] = http.post(f"/api/2.0/mlflow/{path}", json=body).raise_for_status().json()
            return answer

        experiment = post("experiments/create", {"name": unique("sweep")})["experiment_id"]

        def run(name: str, start: int, tags: dict[str, str]) -> str:
            given = [{"key": key, "value": value} for key, value in tags.items()]
            body = {"experiment_id": experiment, "run_name": name, "start_time": start, "tags": given}
            return str(post("runs/create", body)["run"]["info"]["run_id"])

        parent = run("parent", 1_700_000_000_000, {})
        for place in range(6):
            id_ = run(f"child-{place}", 1_700_000_001_000 + place, {"mlflow.parentRunId": parent})
            loss = [
                {"key": "loss", "value": 1 / (step + place + 1), "step": step, "timestamp": step} for step in range(20)
            ]
            rmse = {"key": "rmse", "value": 0.5 + place % 3 / 10, "step": 0, "timestamp": 0}
            alpha = {"key": "alpha", "value": str(place % 2)}
            odd = [{"key": "val/loss", "value": 1, "step": 0, "timestamp": 0}] if place == 0 else []
            post("runs/log-batch", {"run_id": id_, "metrics": [*loss, rmse, *odd], "params": [alpha]})
    return project, experiment


async def names(driver: Driver, count: int) -> list[str]:
    """The names of the rows, once there are so many."""

    def shown() -> list[str]:
        table = driver.screen.table
        rows = [table.source.row(index) for index in range(table.source.height)]
        found = [row.name for row in rows if row is not None]
        return found if len(found) == count else []

    await driver.until(shown, f"{count} rows")
    return shown()


async def go(driver: Driver, sweep: tuple[Project, str]) -> None:
    project, experiment = sweep
    await driver.until(lambda: driver.app.answering, "the service")
    driver.app.jump(Place("experiment", {"project": project.id, "experiment": experiment}))
    await driver.rows("experiment")
    await names(driver, 7)


async def test_filter_with_completion_and_plain_words(open_program: Open, sweep: tuple[Project, str]) -> None:
    async with open_program() as driver:
        await go(driver, sweep)
        await driver.press("slash")
        field = driver.screen.query_one("#filter")
        await driver.shows("metrics.", "params.", "tags.", "attributes.")
        await driver.type("metrics.rm")
        await driver.until(lambda: field._suggestion == "metrics.rmse", "the completion")
        await driver.press("right")
        await driver.type(" == 3")
        await driver.press("enter")
        await driver.shows("write = for equal")
        assert field.value == "metrics.rmse == 3"

        def points_there() -> bool:
            lines = driver.text.split("\n")
            at = next(number for number, line in enumerate(lines) if "metrics.rmse == 3" in line)
            return lines[at + 1].find("^") == lines[at].index("== 3")

        await driver.until(points_there, "the mark below the operator")
        assert field.cursor_position == len("metrics.rmse ")
        field.value = "metrics.rmse > 0.65"
        await driver.press("enter")
        assert await names(driver, 2) == ["child-5", "child-2"]


async def test_the_list_of_what_can_come_next(open_program: Open, sweep: tuple[Project, str]) -> None:
    async with open_program() as driver:
        await go(driver, sweep)
        await driver.press("slash")
        field = driver.screen.query_one("#filter")

        def offered() -> list[str]:
            shown = field.choices.options if field.choices.display else []
            return [str(option.prompt) for option in shown]

        await driver.type("metr")
        await driver.until(lambda: offered() == ["metrics."], "the kind")
        await driver.press("tab")
        await driver.until(lambda: offered() == ["metrics.loss", "metrics.rmse", "metrics.`val/loss`"], "the keys")
        # An odd key, which needs backticks, found by a part of it.
        await driver.type("/")
        await driver.until(lambda: offered() == ["metrics.`val/loss`"], "the odd key")
        await driver.press("down", "enter")
        await driver.until(lambda: field.value == "metrics.`val/loss`", "the odd key taken")
        await driver.press("space")
        await driver.until(lambda: offered()[:2] == ["<", "<="], "the operators")
        await driver.press("up", "up")
        await driver.until(lambda: field.choices.highlighted == 4, "the last but one")
        await driver.press("escape")
        await driver.until(lambda: not offered(), "no list")
        assert field.has_focus and field.value == "metrics.`val/loss` "
        await driver.type("> 0")
        await driver.press("enter")
        assert await names(driver, 1) == ["child-0"]
        assert driver.screen.table.has_focus


async def test_several_sort_columns(open_program: Open, sweep: tuple[Project, str]) -> None:
    async with open_program() as driver:
        await go(driver, sweep)
        driver.screen.sort_by([("param alpha", True), ("metric rmse", False)])
        expected = ["child-3", "child-1", "child-5", "child-0", "child-4", "child-2"]

        def shown() -> list[str]:
            source = driver.screen.table.source
            rows = [source.row(index) for index in range(min(6, source.height))]
            return [row.name for row in rows if row is not None]

        await driver.until(lambda: shown() == expected, "the sorted list")
        await driver.shows("▼1", "▲2")
        # The same by keys alone.
        driver.screen.sort_by([])
        # The menu offers the columns that show; they are chosen from the rows that come.
        await driver.until(lambda: shown() not in ([], expected), "the list in its own order")
        await driver.until(lambda: "alpha" in [column.title for column in driver.screen.table.columns], "its columns")
        await driver.press("o")
        await choose(driver, "alpha ▼")
        await driver.press("o")
        await driver.shows("by alpha ▼, then by …")
        await choose(driver, "then by")
        await driver.shows("By alpha ▼, then by")
        await choose(driver, "rmse ▲")
        await driver.until(lambda: driver.screen.table.sorted_by == (("param alpha", True), ("metric rmse", False)))
        await driver.until(lambda: shown() == expected, "the sorted list again")


async def choose(driver: Driver, text: str) -> None:
    """Chooses an entry of a menu by typing, once the menu has opened."""

    def found() -> tuple[OptionList, int] | None:
        # A menu puts its cursor where it belongs when it opens, and then takes keys.
        if not isinstance(driver.screen, Menu) or driver.screen.focused is None:
            return None
        choices = driver.screen.query_one(OptionList)
        labels = [str(choices.get_option_at_index(index).prompt) for index in range(choices.option_count)]
        return choices, next(index for index, label in enumerate(labels) if text in label)

    await driver.until(found, f"the choice {text}")
    choices, at = found() or pytest.fail("the menu closed by itself")
    choices.highlighted = at
    choices.focus()
    before = driver.app.screen
    await driver.press("enter")
    await driver.until(lambda: driver.app.screen is not before, "the choice to be taken")


async def test_columns_are_chosen_by_keys_in_a_small_terminal(open_program: Open, sweep: tuple[Project, str]) -> None:
    async with open_program(size=(80, 24)) as driver:
        await go(driver, sweep)
        await driver.press("f")
        await driver.shows("[x] ", "[ ] attribute source", "Cancel", "OK")
        await driver.type("source")
        await driver.until(lambda: driver.screen.query_one("#keys").option_count == 1, "one key")
        await driver.press("space")
        await driver.shows("[x] attribute source")
        await driver.press("enter")
        await driver.shows("[ ] attribute source")
        await driver.press("enter", "tab", "tab", "enter")
        await driver.until(lambda: "attribute source" in [column.key for column in driver.screen.table.columns])


async def test_nested_runs_open_below_their_parent(open_program: Open, sweep: tuple[Project, str]) -> None:
    async with open_program() as driver:
        await go(driver, sweep)
        await driver.press("t")
        assert await names(driver, 1) == ["parent"]
        await driver.until(lambda: driver.screen.parents, "the parents")
        await driver.press("right")
        assert (await names(driver, 7))[0] == "parent"
        await driver.press("left")
        assert await names(driver, 1) == ["parent"]
        # Nested runs whose parent the filter leaves out are at the top themselves.
        driver.screen.query_one("#filter").value = "metrics.rmse > 0.65"
        driver.screen.do_filter()
        await driver.press("enter")
        assert set(await names(driver, 2)) == {"child-5", "child-2"}


async def test_a_large_parent_is_opened_a_page_at_a_time(
    open_program: Open, platform: Platform, project: Project
) -> None:
    many, few = 250, 3
    experiment = fill(platform.home.mlflow_database, many + few, workspace=project.mlflow_workspace, metrics=1)
    credentials = platform.ask(lambda client: client.credentials(project.id))
    search = RunSearch(experiment_ids=[str(experiment)], page_size=1000)
    nested = platform.ask(lambda client: client.search_runs(project.id, search)).items
    with mlflow_client(credentials) as http:

        def parent(name: str) -> str:
            body = {"experiment_id": str(experiment), "run_name": name, "start_time": 1}
            made = http.post("/api/2.0/mlflow/runs/create", json=body).raise_for_status().json()
            return str(made["run"]["info"]["run_id"])

        # The newest belong to the large one, so that a page of nested runs knows of it alone.
        large, small = parent("large"), parent("small")
    with closing(sqlite3.connect(platform.home.mlflow_database, timeout=60)) as database, database:
        rows = [("mlflow.parentRunId", large if place < many else small, run.id) for place, run in enumerate(nested)]
        database.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", rows)
    async with open_program() as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.go("experiment", project=project.id, experiment=str(experiment))
        await driver.rows("experiment")
        await driver.press("t")
        await driver.until(lambda: driver.screen.parents == {large, small}, "both parents")
        source = driver.screen.table.source
        await driver.until(lambda: source.row(0) is not None and source.height == 2, "the parents alone")
        await driver.press("home", *(["down"] if source.row(0).id == small else []), "right")
        await driver.until(lambda: len(source.loaded_rows()) > 2, "a page of the nested")
        await driver.until(lambda: source.next_step() is None, "nothing more to be asked for")
        assert len(source.loaded_rows()) == 2 + 100


async def test_groups_narrow_the_list(open_program: Open, sweep: tuple[Project, str]) -> None:
    async with open_program() as driver:
        await go(driver, sweep)
        await driver.press("b")
        await driver.shows("Group by param", "alpha")
        await driver.press("enter")
        await driver.shows("By alpha: 7 runs", "alpha = 0   3 runs", "mean", "no value   1 run")
        await driver.press("home", "enter")
        await driver.shows("Metric of the groups", "rmse")
        await driver.press("down", "enter")
        await driver.shows("alpha = 0   3 runs   rmse: lowest 0.5, mean 0.6, highest 0.7")
        await driver.press("home", "down", "enter")
        await driver.shows("Order of the groups", "highest")
        await driver.press("escape")
        await driver.shows("By alpha: 7 runs")
        await driver.press("end", "enter")
        assert await names(driver, 1) == ["parent"]
        assert driver.screen.query_one("#filter").value == "params.alpha IS NULL"
        driver.screen.query_one("#filter").value = ""
        driver.screen.do_filter()
        await driver.press("enter")
        await names(driver, 7)
        await driver.press("b", "enter")
        await driver.shows("By alpha: 7 runs")
        await driver.press("enter")
        assert set(await names(driver, 3)) <= {"child-0", "child-2", "child-4", "child-1", "child-3", "child-5"}
        assert driver.screen.query_one("#filter").value.startswith("params.alpha = ")


async def test_a_view_is_kept_and_shown_again(open_program: Open, sweep: tuple[Project, str]) -> None:
    async with open_program() as driver:
        await go(driver, sweep)
        driver.screen.query_one("#filter").value = "params.alpha = '1'"
        driver.screen.do_filter()
        await driver.press("enter")
        await names(driver, 3)
        await driver.press("V")
        await driver.shows("Keep this view")
        await driver.press("enter")
        await driver.until(lambda: driver.app.screen.query("#name"), "the form")
        await driver.type("odd ones")
        await driver.press("enter")
        await driver.at("experiment")
        driver.screen.query_one("#filter").value = ""
        driver.screen.do_filter()
        await driver.press("enter")
        await names(driver, 7)
        await driver.press("V")
        await driver.shows("odd ones", "params.alpha = '1'")
        await driver.press("enter")
        await names(driver, 3)


async def test_marked_runs_are_compared(open_program: Open, platform: Platform, sweep: tuple[Project, str]) -> None:
    async with open_program() as driver:
        await go(driver, sweep)
        assert "mark 2" in str(driver.screen.reason("compare"))
        await driver.press("space", "space")
        await driver.press("equals_sign")
        await driver.until(lambda: len(driver.screen.runs) == 2, "the runs")
        await driver.shows("child-5", "child-4", "alpha", "rmse", "0.7 ▲", "0.6 ▼")
        await driver.press("x")
        await driver.until(lambda: "status" not in driver.text, "only what differs")
        await driver.press("tab")
        await driver.until(lambda: len(driver.screen.query_one("#chart")._series) == 2, "both curves")
        await driver.press("escape")
        await driver.at("experiment")
    project, experiment = sweep
    search = RunSearch(experiment_ids=[experiment], top_level=True)
    page = platform.ask(lambda client: client.search_runs(project.id, search))
    assert [run.name for run in page.items] == ["parent"]


async def test_what_runs_were_registered_as(open_program: Open, platform: Platform, project: Project) -> None:
    run, first, second = log_model(platform, project), unique("Wine"), unique("Other")

    def register(name: str) -> None:
        request = RegisterModel(name=name, run_id=run.run_id, artifact_path=run.artifact_path)
        work = platform.ask(lambda client: client.register_model(project.id, request)).workflow
        assert platform.ask(lambda client: client.wait_for_workflow(work.id)).status is WorkflowStatus.SUCCEEDED

    async with open_program() as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.go("experiment", project=project.id, experiment=run.experiment_id)
        await driver.rows("experiment")
        await driver.until(lambda: not driver.screen.registered.unknown(driver.screen.table.source.loaded_rows()))
        assert "Registered as" not in driver.text
        await driver.until(lambda: driver.app._following, "the stream of changes")
        register(first)
        await driver.shows("Registered as", f"{first} v1")
        register(second)
        await driver.shows(f"{second} v1 +1")
    # One question for all of them, and nothing about runs that do not exist.
    asked = [run.run_id, "0" * 32]
    found = platform.ask(lambda client: client.registered_from(project.id, asked)).runs
    assert {run: [each.model_name for each in versions] for run, versions in found.items()} == {
        run.run_id: [second, first]
    }


async def test_the_list_follows_runs_and_keeps_the_place(
    open_program: Open, platform: Platform, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_following, "EVERY", 0.2)
    credentials = platform.ask(lambda client: client.credentials(project.id))
    with mlflow_client(credentials) as http:

        def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
            answer: dict[str, Any] = http.post(f"/api/2.0/mlflow/{path}", json=body).raise_for_status().json()
            return answer

        experiment = post("experiments/create", {"name": unique("live")})["experiment_id"]

        def begin(name: str, start: int) -> str:
            body = {"experiment_id": experiment, "run_name": name, "start_time": start}
            return str(post("runs/create", body)["run"]["info"]["run_id"])

        def end(run: str) -> None:
            post("runs/update", {"run_id": run, "status": "FINISHED", "end_time": 1_700_000_009_000})

        old, young = begin("old", 1_700_000_000_000), begin("young", 1_700_000_001_000)
        end(old)
        async with open_program() as driver:
            await driver.until(lambda: driver.app.answering, "the service")
            driver.go("experiment", project=project.id, experiment=experiment)
            await names(driver, 2)
            await driver.press("down", "shift+down")
            table = driver.screen.table
            assert (table.current.name, list(table.marked)) == ("old", [old])
            post("runs/log-metric", {"run_id": young, "key": "rmse", "value": 0.25, "timestamp": 1})
            await driver.shows("rmse", "0.25")
            begun = begin("newer", 1_700_000_002_000)
            assert await names(driver, 3) == ["newer", "young", "old"]
            assert (table.current.name, list(table.marked), table.cursor) == ("old", [old], 2)
            end(young)
            end(begun)
            await driver.until(lambda: driver.text.count("finished") == 3, "the end of all")
            # At rest only the newest is asked for; a run that begins is seen all the same.
            newest = begin("newest", 1_700_000_003_000)
            assert (await names(driver, 4))[0] == "newest"
            end(newest)
            assert table.current.name == "old"


async def test_an_experiment_opens_with_its_default_view(open_program: Open, sweep: tuple[Project, str]) -> None:
    async with open_program() as driver:
        await go(driver, sweep)
        driver.screen.query_one("#filter").value = "params.alpha = '1'"
        driver.screen.do_filter()
        await driver.until(lambda: driver.screen.query_one("#filter").has_focus, "the filter")
        await driver.press("enter")
        await names(driver, 3)
        driver.screen.sort_by([("metric rmse", False)])
        await driver.press("V", "enter")
        await driver.until(lambda: driver.app.screen.query("#name"), "the form")
        await driver.type("odd")
        await driver.press("enter")
        await driver.at("experiment")

        async def choose(label: str) -> None:
            await driver.press("V")
            await driver.shows("Views of this experiment", label)
            choices = driver.screen.query_one("#choices")
            shown = [str(option.prompt) for option in choices.options]
            choices.highlighted = next(index for index, text in enumerate(shown) if text.startswith(label))
            await driver.press("enter")
            await driver.at("experiment")

        await choose("Open with odd")
        driver.go("projects")
        await driver.rows("projects")
        project, experiment = sweep
        driver.go("experiment", project=project.id, experiment=experiment)
        await driver.at("experiment")
        assert await names(driver, 3) == ["child-3", "child-1", "child-5"]
        assert driver.screen.query_one("#filter").value == "params.alpha = '1'"
        await driver.press("V")
        await driver.shows("opens by itself")
        await driver.press("escape")
        await choose("Open without a view")
        driver.go("projects")
        await driver.rows("projects")
        driver.go("experiment", project=project.id, experiment=experiment)
        await names(driver, 7)
