"""Questions before something ends without being deleted: they name its dependents."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from support.known_scenes import KNOWN_SCENES
from support.life_cycle_scenes import LIFE_CYCLE_SCENES
from support.program import Driver
from support.recorded import Answer, Replay

SCENES = {**LIFE_CYCLE_SCENES, **KNOWN_SCENES}


@pytest.mark.parametrize(
    ("scene", "keys", "words"),
    [
        ("exceptions", ("ctrl+d",), ("End the exception", "It is refused from then on for promote")),
        ("webhooks", ("ctrl+n",), ("New secret of ci", "The receiver needs the new one before")),
        ("signing_keys", ("down", "ctrl+d"), ("Remove the key fraud-team", "Nothing depends on it.")),
    ],
)
async def test_it_says_what_depends_on_what_ends(
    scene: str, keys: tuple[str, ...], words: tuple[str, ...], answers: Mapping[str, Answer]
) -> None:
    app = RegistryApp(lambda: RegistryClient(transport=Replay(answers)), start_platform=False)
    async with app.run_test(size=(80, 24)) as pilot:
        see = Driver(app, pilot)
        await SCENES[scene](see)
        await see.press(*keys)
        await see.shows(*words)
