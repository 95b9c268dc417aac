"""A program that ended leaves nothing behind in the process that opened it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping

import pytest
from textual.strip import Strip

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from support.program import Driver
from support.recorded import Answer, Replay
from support.scenes import SCENES

ROWS = 34


@pytest.mark.slow
async def test_programs_that_ended_are_garbage(answers: Mapping[str, Answer]) -> None:
    frozen = gc.get_freeze_count()
    ended = [await opened_and_closed(answers)]
    lines = lines_in_memory()
    ended += [await opened_and_closed(answers) for _ in range(2)]
    gc.collect()
    # The last one may be referenced by its awaiter.
    assert [program() for program in ended[:-1]] == [None, None]
    # Objects frozen before may end meanwhile.
    assert gc.get_freeze_count() <= frozen
    # Each drew hundreds. A few blank ones stay.
    assert lines_in_memory() - lines < ROWS


def lines_in_memory() -> int:
    """How many lines that widgets drew are in memory."""
    gc.collect()
    return sum(isinstance(each, Strip) for each in gc.get_objects())


async def opened_and_closed(answers: Mapping[str, Answer]) -> weakref.ref[RegistryApp]:
    replay = Replay(answers)
    app = RegistryApp(lambda: RegistryClient(transport=replay), start_platform=False)
    async with app.run_test(size=(110, ROWS)) as pilot:
        driver = Driver(app, pilot)
        await driver.rows("registries")
        await SCENES["registry"](driver)
        await driver.settled()
    return weakref.ref(app)
