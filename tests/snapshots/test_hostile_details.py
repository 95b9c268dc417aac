"""Hostile values on the page of one run, comparison, deployment or workflow; crowds of keys; names that look alike."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.terminal.commands import Place
from support import recorded
from support.apart import other_process
from support.hostile import HOSTILE, Alike, Hostile, check
from support.program import Driver
from support.recorded import Answer, Replay
from support.scenes import ENVIRONMENT, EXPERIMENT, PROJECT, REGISTRY

pytestmark = pytest.mark.slow

METRICS = 12_000
MEGABYTE = "é\u202e[/x]\x1b" * 150_000
TABS = ["down", "tab"] * 6
READ = ["question_mark", "escape", "y", "end", "escape"]
WALKS = {
    "run": [*TABS, *READ],
    "compare": ["down", "x", "tab", "down", "asterisk", "plus", "left", *READ],
    "deployment": [*TABS, *READ],
    "workflow": ["down", "tab", "down", *READ],
    # The form of a policy, and the one of its first condition.
    "policies": ["enter", "e", *["tab"] * 8, "shift+tab", "escape", "down", "e", "enter", "down", "escape", *READ],
}


def _place(kind: str, answers: Mapping[str, Answer]) -> Place:
    """A page of something that was recorded."""

    def ids(pattern: str) -> list[str]:
        return sorted({found[1] for key in answers if (found := re.search(pattern, key))})

    if kind == "policies":
        return Place(kind, {"environment": ENVIRONMENT})
    if kind in ("run", "compare"):
        runs = ids(rf"/projects/{PROJECT}/runs/([0-9a-f]{{32}})")
        if kind == "run":
            return Place(kind, {"project": PROJECT, "run": runs[0]})
        return Place(kind, {"project": PROJECT, "experiment": EXPERIMENT, "runs": ",".join(runs[:3])})
    return Place(kind, {kind: ids(rf"/{kind}s/([0-9a-f-]{{36}})")[0]})


async def _walk(replay: Replay, place: Place, keys: list[str], size: tuple[int, int] = (80, 24)) -> str:
    """Goes to a place and presses keys; everything that was shown on the way."""
    app = RegistryApp(lambda: RegistryClient(transport=replay), start_platform=False)
    async with app.run_test(size=size) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: app.answering, "the service")
        app.jump(place)
        await driver.settled()
        shown = [driver.text]
        check(driver)
        for key in keys:
            await driver.press(key)
            await driver.settled()
            check(driver)
            shown.append(driver.text)
    return "\n".join(shown)


@pytest.fixture(scope="module")
def other() -> Iterator[ProcessPoolExecutor]:
    """Showing texts of a megabyte or thousands of metrics takes hundreds of megabytes for a moment."""
    with other_process() as made:
        yield made


def _walk_among_hostile_values(kind: str, seed: int) -> None:
    made, answers = recorded.load()
    size = ((80, 24), (120, 36))[seed]
    with recorded.an_hour_after(made):
        asyncio.run(_walk(Alike(answers, Hostile(seed)), _place(kind, answers), WALKS[kind], size))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", WALKS)
def test_a_page_with_hostile_values(kind: str, seed: int, other: ProcessPoolExecutor) -> None:
    other.submit(_walk_among_hostile_values, kind, seed).result()


def _changed(change: Callable[[dict[str, Any]], None]) -> Callable[[Answer], Answer]:
    """Changes every object in every answer."""

    def visit(value: Any) -> None:
        if isinstance(value, dict):
            change(value)
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            visit(inner)

    def changed(answer: Answer) -> Answer:
        if "json" not in answer.content_type:
            return answer
        value = json.loads(answer.content)
        visit(value)
        return Answer(answer.status, answer.content_type, json.dumps(value).encode())

    return changed


def _crowded(value: dict[str, Any]) -> None:
    """Gives a run thousands of metrics, hundreds of long params, and a tag of a megabyte."""
    if not {"metrics", "params", "tags"} <= value.keys():
        return
    for number in range(METRICS):  # pairs of names that differ in case only
        name = f"layer/{number // 2}/[/bold]\x1b[2J{'Aa'[number % 2]}"
        value["metrics"][name] = (1.0, "NaN", "Infinity", "-Infinity")[number % 4]
    value["params"] |= {f"p{number}{text}": "v" * 6_000 for number in range(20) for text in HOSTILE}
    value["tags"]["note"] = MEGABYTE


def _walk_among_crowds(kind: str, keys: list[str]) -> str:
    made, answers = recorded.load()
    experiment = Place("experiment", {"project": PROJECT, "experiment": EXPERIMENT})
    place = experiment if kind == "experiment" else _place(kind, answers)
    with recorded.an_hour_after(made):
        return asyncio.run(_walk(Alike(answers, _changed(_crowded)), place, keys, (120, 36)))


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("run", ["end", "tab", "end", "enter", "tab", "tab", "end", "tab", "end", "y", "end", "escape"]),
        ("compare", ["end", "x", "end", "tab", "end"]),
        ("experiment", ["end", "C", "end", "escape", "b", "end", "escape", "o", "end", "escape"]),
    ],
)
def test_thousands_of_metrics_and_a_tag_of_a_megabyte(kind: str, keys: list[str], other: ProcessPoolExecutor) -> None:
    shown = other.submit(_walk_among_crowds, kind, keys).result()
    assert "layer/0/[/bold]␛[2J" in shown


async def test_names_equal_but_for_case_are_rows_of_their_own(answers: Mapping[str, Answer]) -> None:
    names = iter(["Wine", "wine", "WINE", "wINE"] * 50)

    def alike(value: dict[str, Any]) -> None:
        if "latest_version" in value:
            value["name"] = next(names)

    place = Place("models", {"registry": REGISTRY})
    shown = await _walk(Alike(answers, _changed(alike)), place, ["down", "down", "up"])
    first = shown.split("\n\n")[0].splitlines()[:24]
    assert sum(bool(re.search(r"\b(Wine|wine|WINE|wINE)\b", line)) for line in first) == 4
