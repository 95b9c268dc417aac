"""Every place as a picture. `pytest tests/snapshots --snapshot-update` takes them anew, to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from textual.pilot import Pilot

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from support.program import Driver
from support.recorded import SIZES, Answer, Replay
from support.scenes import SCENES

#: Lists that are also drawn in a terminal of middle size, where columns are about to leave.
MIDDLE, LISTS = (100, 30), ("registries", "models", "model", "deployments", "experiment", "compare")


@pytest.mark.parametrize("theme", ["dark", pytest.param("light", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "size",
    [SIZES[0], *(pytest.param(size, marks=pytest.mark.slow) for size in SIZES[1:])],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_looks_as_before(
    scene: str, size: tuple[int, int], theme: str, answers: Mapping[str, Answer], snap_compare: Callable[..., bool]
) -> None:
    replay = Replay(answers)
    app = RegistryApp(lambda: RegistryClient(transport=replay), start_platform=False)

    async def begin(pilot: Pilot[Any]) -> None:
        app.theme = f"registry-{theme}"
        driver = Driver(app, pilot)
        await driver.rows("registries")
        await SCENES[scene](driver)
        await driver.settled()
        assert not replay.unknown

    assert snap_compare(app, terminal_size=size, run_before=begin)


@pytest.mark.slow
@pytest.mark.parametrize("scene", LISTS)
def test_a_list_of_middle_size_looks_as_before(
    scene: str, answers: Mapping[str, Answer], snap_compare: Callable[..., bool]
) -> None:
    test_a_scene_looks_as_before(scene, MIDDLE, "dark", answers, snap_compare)
