"""The webhooks for a model's events, from its page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from textual.widgets import Input

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.screens.base.bars import Breadcrumbs, Navigation
from support.life_cycle_scenes import webhook, webhooks_of_model
from support.program import Driver
from support.recorded import Answer, Replay
from support.scene_names import ENVIRONMENT, MODEL, REGISTRY, WEBHOOK


@pytest.mark.parametrize("size", [(80, 24), (100, 30)])
async def test_a_model_page_leads_to_its_webhooks_and_to_a_new_one(
    size: tuple[int, int], answers: Mapping[str, Answer]
) -> None:
    app = RegistryApp(lambda: RegistryClient(transport=Replay(answers)), start_platform=False)
    async with app.run_test(size=size) as pilot:
        see = Driver(app, pilot)
        await webhooks_of_model(see)
        await see.shows(MODEL, "Webhooks", "pager")
        assert see.screen.query_one(Navigation).section == "models"
        await see.press("n")
        await see.shows("Create webhook", ENVIRONMENT)
        shown = {each.id: each.value for each in see.screen.query(Input)}
        assert (shown["registry"], shown["model"]) == (REGISTRY, MODEL)
        await see.press("escape", "escape")
        await see.rows("model")


@pytest.mark.parametrize(("model", "section"), [(None, "environments"), (MODEL, "models")])
async def test_the_page_of_a_models_webhook_is_below_its_model(
    model: str | None, section: str, answers: Mapping[str, Answer]
) -> None:
    request = f"GET /api/v1/webhooks/{WEBHOOK}"
    found = {**json.loads(answers[request].content), "registry_id": model and REGISTRY, "model": model}
    replay = {**answers, request: replace(answers[request], content=json.dumps(found).encode())}
    app = RegistryApp(lambda: RegistryClient(transport=Replay(replay)), start_platform=False)
    async with app.run_test(size=(100, 30)) as pilot:
        see = Driver(app, pilot)
        await webhook(see)
        await see.until(lambda: see.screen.query_one(Navigation).section == section, "the side bar's mark")
        words = [word for word, _ in see.screen.query_one(Breadcrumbs).crumbs]
        assert (MODEL in words) is (model is not None)
