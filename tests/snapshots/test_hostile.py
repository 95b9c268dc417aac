"""Any names, notes, tags, metrics and times of people and models: every place opens, is walked, and stays whole.

The recorded answers are given again with hostile values in them, at places and of kinds that hypothesis chooses.
`HOSTILE_EXAMPLES=100 pytest tests/snapshots/test_hostile.py` tries more of them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.terminal.commands import SCREENS, Place
from support.hostile import Alike, Hostile, check
from support.known_scenes import USES, VERSION
from support.program import Driver
from support.recorded import Answer
from support.scenes import ENVIRONMENT, EXPERIMENT, GROUP, MODEL, PROJECT, REGISTRY, USER, WEBHOOK

pytestmark = pytest.mark.slow

PLACES = [
    Place("registries"),
    Place("registry", {"registry": REGISTRY}),
    Place("projects"),
    Place("project", {"project": PROJECT}),
    Place("experiment", {"project": PROJECT, "experiment": EXPERIMENT}),
    Place("models", {"registry": REGISTRY}),
    Place("model", {"registry": REGISTRY, "model": MODEL}),
    Place("diff", {"registry": REGISTRY, "model": MODEL, "one": "2", "other": "3"}),
    Place("signatures", VERSION),
    Place("card", VERSION),
    Place("bom", VERSION),
    Place("uses", {"uses": USES}),
    Place("signing_keys", {"environment": ENVIRONMENT}),
    Place("deployments"),
    Place("keys"),
    Place("environments"),
    Place("policies", {"environment": ENVIRONMENT}),
    Place("people"),
    Place("person", {"user": USER}),
    Place("groups"),
    Place("group", {"group": GROUP}),
    Place("roles", {"environment": ENVIRONMENT}),
    Place("activity"),
    Place("approvals"),
    Place("rules", {"environment": ENVIRONMENT}),
    Place("exceptions", {"registry": REGISTRY}),
    Place("attached"),
    Place("webhooks"),
    Place("webhook", {"webhook": WEBHOOK}),
]
#: A walk that opens every tab, a side panel or the next place, its help and its JSON.
WALK = ["down", "down", "tab", "tab", "down", "tab", "space", "question_mark", "escape", "y", "escape", "enter", "down"]


async def walk(place: Place, answers: Mapping[str, Answer], seed: int, size: tuple[int, int]) -> None:
    replay = Alike(answers, Hostile(seed))
    app = RegistryApp(lambda: RegistryClient(transport=replay), start_platform=False)
    async with app.run_test(size=size) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: app.answering, "the service")
        app.jump(Place(place.kind, dict(place.args)))
        await driver.settled()
        check(driver)
        for key in WALK:
            await driver.press(key)
            await driver.settled()
            check(driver)
        assert "This version does not understand" not in driver.text


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.kind)
def test_a_place_with_hostile_values(place: Place, answers: Mapping[str, Answer]) -> None:
    @settings(
        max_examples=int(os.environ.get("HOSTILE_EXAMPLES", "2")),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # a seed has no simpler one
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 1 << 32), st.sampled_from([(80, 24), (120, 36)]))
    def hostile(seed: int, size: tuple[int, int]) -> None:
        asyncio.run(walk(place, answers, seed, size))

    hostile()


async def test_emoji_sequences_in_the_facts_of_a_project_keep_to_the_width(answers: Mapping[str, Answer]) -> None:
    await walk(Place("project", {"project": PROJECT}), answers, 3, (80, 24))


def test_every_kind_of_place_is_walked() -> None:
    through_others = {"run", "compare", "deployment", "workflow"}  # opened from a list with enter, or below
    assert {place.kind for place in PLACES} | through_others == set(SCREENS)
