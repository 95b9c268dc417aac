"""The webhooks for a model's events, from its page."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from textual.widgets import Input

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from support.life_cycle_scenes import webhooks_of_model
from support.program import Driver
from support.recorded import Answer, Replay
from support.scene_names import ENVIRONMENT, MODEL, REGISTRY


@pytest.mark.parametrize("size", [(80, 24), (100, 30)])
async def test_a_model_page_leads_to_its_webhooks_and_to_a_new_one(
    size: tuple[int, int], answers: Mapping[str, Answer]
) -> None:
    app = RegistryApp(lambda: RegistryClient(transport=Replay(answers)), start_platform=False)
    async with app.run_test(size=size) as pilot:
        see = Driver(app, pilot)
        await webhooks_of_model(see)
        await see.shows(MODEL, "Webhooks", "pager")
        await see.press("n")
        await see.shows("Create webhook", ENVIRONMENT)
        shown = {each.id: each.value for each in see.screen.query(Input)}
        assert (shown["registry"], shown["model"]) == (REGISTRY, MODEL)
        await see.press("escape", "escape")
        await see.rows("model")
