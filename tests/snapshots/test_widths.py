"""The content of terminals of usual widths: documented columns, names of sections, messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from rich.cells import cell_len

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.screens.base.bars import StatusLine
from registry_tui.widgets.facts import Fitted
from registry_tui.widgets.line_filters import plain_text
from support.program import Driver
from support.recorded import Answer, Replay
from support.scenes import SCENES

#: The columns that a list is documented to have.
DOCUMENTED = {
    "registries": ("Name", "Environment", "Owner", "Location", "Last updated"),
    "models": ("Name", "Owner", "Location", "Last updated"),
    "model": ("Version", "Status", "Aliases", "Created"),
    "deployments": ("Name", "Status", "Source", "Replicas", "Memory"),
    "deployment": ("Replica", "State", "Memory", "Requests"),
}


@asynccontextmanager
async def scene(name: str, answers: Mapping[str, Answer], size: tuple[int, int]) -> AsyncIterator[Driver]:
    app = RegistryApp(lambda: RegistryClient(transport=Replay(answers)), start_platform=False)
    async with app.run_test(size=size) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await SCENES[name](see)
        await see.settled()
        yield see


def runs_shown(see: Driver) -> int:
    """The runs that have a column with their values."""
    status = next(line for line in see.text.splitlines() if " status " in line)
    return status.count("finished")


@pytest.mark.parametrize("name", DOCUMENTED)
async def test_documented_columns_show_at_100_columns(name: str, answers: Mapping[str, Answer]) -> None:
    async with scene(name, answers, (100, 30)) as see:
        titles = next(line for line in see.text.splitlines() if all(word in line for word in DOCUMENTED[name][:2]))
        assert all(word in titles for word in DOCUMENTED[name]), titles


async def test_three_compared_runs_show_at_100_columns(answers: Mapping[str, Answer]) -> None:
    async with scene("compare", answers, (100, 30)) as see:
        assert runs_shown(see) == 3


async def test_two_compared_runs_show_at_80_columns(answers: Mapping[str, Answer]) -> None:
    async with scene("compare", answers, (80, 24)) as see:
        assert runs_shown(see) == 2


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (70, ()),
        (80, ("1 Registries", "3 Models", "4 Deployments", "5 Environments")),
        (140, ("1 Model Registries", "3 Registered Models", "4 Model Deployments", "5 Environments")),
    ],
)
async def test_sections_have_names_where_there_is_room(
    columns: int, names: tuple[str, ...], answers: Mapping[str, Answer]
) -> None:
    async with scene("run", answers, (columns, 30)) as see:
        bar = see.screen.query_one("#navigation").size.width
        shown = [line[:bar] for line in see.text.splitlines()]
        # A cell stays free between a name and the text right of it.
        assert all(any(line.strip("▌ ") == name and line.endswith(" ") for line in shown) for name in names)
        assert names or bar < 6


async def test_a_message_goes_before_the_words_for_parts(answers: Mapping[str, Answer]) -> None:
    async with scene("registries", answers, (80, 24)) as see:
        message = "Register: not now, " + "x" * 50 + " end"
        for parts in ((("service", "$success", "ok"), ("gateway", "$success", "ok")), (("gateway", "$error", "gone"),)):
            line = see.screen.query_one(StatusLine)
            line.parts = parts
            line.message = (message, "$warning")
            await see.shows(message)
            line.message = None
            await see.shows("all ok" if len(parts) > 1 else "gateway gone")


async def test_runs_that_hold_a_model_bear_a_sign_and_the_help_says_what_it_means(
    answers: Mapping[str, Answer],
) -> None:
    async with scene("experiment", answers, (80, 24)) as see:
        lines = see.text.splitlines()
        assert any("◆ elastic…a0.01-l0.9" in line for line in lines)
        assert any("  elastic…-a0.5-l0.9" in line and "◆" not in line for line in lines)
        # Columns that differ from run to run come first.
        titles = next(line for line in lines if "Run" in line and "Started" in line)
        assert "r2" in titles and "Status" not in titles
        await see.press("question_mark")
        await see.shows("What you can do here")
        await see.press("end")
        await see.shows("◆  the run holds a model")


async def test_where_there_is_room_the_sign_is_said_above_the_list(answers: Mapping[str, Answer]) -> None:
    async with scene("experiment", answers, (100, 30)) as see:
        assert "◆ holds a model · 12 runs" in see.text


async def test_without_drawing_characters_the_sign_is_a_letter() -> None:
    assert plain_text("◆ elasticnet") == "M elasticnet"


@pytest.mark.parametrize("columns", [80, 100, 170])
async def test_every_crn_of_a_registry_is_read_whole(columns: int, answers: Mapping[str, Answer]) -> None:
    async with scene("registry", answers, (columns, 50)) as see:
        left = see.screen.query_one("#fields").region.x
        found = see.screen.registry
        shown = "".join(line[left:].strip() for line in see.text.splitlines())
        assert all(crn in shown for crn in (found.crn, found.environment_crn, found.machine_user_crn))


@pytest.mark.parametrize(("name", "indent"), [("deployment-settings", 20), ("deployment", 12), ("run", 16)])
async def test_a_wrapped_value_stays_beside_its_name(name: str, indent: int, answers: Mapping[str, Answer]) -> None:
    async with scene(name, answers, (64, 50)) as see:
        for shown in see.screen.query(Fitted):
            if not shown.region.width:
                continue
            lines = str(shown.content).splitlines()
            assert all(cell_len(line) <= shown.size.width for line in lines)
            # Names begin at the left, or two cells from it; continuation lines are below the value.
            continued = [line for line in lines if line.startswith(" " * 3)]
            assert continued and all(line.startswith(" " * indent) for line in continued)


async def test_a_refusal_that_the_status_line_cuts_is_shown_whole(answers: Mapping[str, Answer]) -> None:
    async with scene("registries", answers, (80, 24)) as see:
        fits = "Delete: not now, " + "y" * 60
        long = "Register: not now, " + " ".join(f"word{number}" for number in range(20)) + " end"
        for text, style in ((fits, "$warning"), (long, "$accent")):
            see.app.frame.flash(text, style)
            await see.settled()
            assert not see.app._notifications, text
        see.app.frame.flash(long, "$warning")
        see.app.frame.flash(long, "$warning")
        await see.settled()
        assert [each.message for each in see.app._notifications] == [long]
