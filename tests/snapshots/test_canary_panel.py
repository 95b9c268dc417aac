"""A deployment's page while a version is tried: both versions' figures, and the keys that decide."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.canaries import Canary, CanaryState, Generation, Strategy
from support import scenes
from support.program import Driver
from support.recorded import Answer, Replay

DEPLOYMENT = re.compile(r"GET /api/v1/deployments/[\w-]{36}")


def tried(found: Mapping[str, Any], **fields: Any) -> Canary:
    """A canary of a deployment in the middle of its steps."""
    version = found["version"]
    values: dict[str, Any] = {
        "id": "8a9b",
        "deployment_id": found["id"],
        "deployment_name": found["name"],
        "strategy": Strategy.CANARY,
        "state": CanaryState.RUNNING,
        "steps": [5, 25, 50, 100],
        "step": 2,
        "step_seconds": 60.0,
        "seconds_left": 42.0,
        "requests_left": 12,
        "max_error_rate": 0.05,
        "max_p99_seconds": 0.25,
        "max_disagreement": 0.02,
        "min_requests": 20,
        "tolerance": 1e-6,
        "old": Generation(revision=1, version=version, share=75.0, requests=12_345, p99=0.0121),
        "new": Generation(
            revision=2, version=version + 1, share=25.0, requests=271, errors=1, error_rate=0.0037, p99=0.0139
        ),
        "compared": 270,
        "disagreeing": 3,
        "disagreement": 3 / 270,
        "dropped": 2,
        "created_at": datetime(2026, 11, 30, tzinfo=UTC),
        **fields,
    }
    return Canary(**values)


def trying(answers: Mapping[str, Answer], **fields: Any) -> dict[str, Answer]:
    """The answers, in which the deployment tries a version."""
    found = dict(answers)
    for key, answer in answers.items():
        if DEPLOYMENT.fullmatch(key):
            shown = json.loads(answer.content)
            canary = tried(shown, **fields)
            shown |= {"state": "deploying", "canary": canary.model_dump(mode="json")}
            found[key] = Answer(200, "application/json", json.dumps(shown).encode())
            for decision in ("promote", "abort", "pause", "resume"):
                asked = (
                    f"POST{key.removeprefix('GET')}/canary {json.dumps({'decision': decision}, separators=(',', ':'))}"
                )
                found[asked] = Answer(200, "application/json", canary.model_dump_json().encode())
    return found


class Asked(Replay):
    """Records the decisions."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(answers)
        self.decided: list[str] = []

    def find(self, key: str) -> Answer | None:
        if "/canary " in key:
            self.decided.append(json.loads(key.partition("/canary ")[2])["decision"])
        return super().find(key)


async def opened(see: Driver) -> None:
    await scenes.deployments(see)
    await see.press("enter")
    await see.shows("alcohol-api", "Canary")


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (140, 40)])
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ("◐ running", "step 2 of 4: 25 %, 42 s and 12 requests left", "! pauses")),
        (
            {"state": CanaryState.PAUSED, "reason": "the step of 25 % is done: resume, promote or abort it"},
            ("‖ paused", "the step of 25 % is done", "! goes on"),
        ),
    ],
    ids=["running", "paused"],
)
async def test_both_versions_figures_are_seen_at_once(
    size: tuple[int, int], fields: Mapping[str, Any], words: tuple[str, ...], answers: Mapping[str, Answer]
) -> None:
    app = RegistryApp(lambda: RegistryClient(transport=Asked(trying(answers, **fields))), start_platform=False)
    async with app.run_test(size=size) as pilot:
        see = Driver(app, pilot)
        await opened(see)
        await see.shows(*words)
        await see.shows("old v3", "12 345", "75 %", "12 ms", "new v4", "271", "25 %", "0.4 %", "14 ms")
        await see.shows("answers differ 1.1 % of 270 answers, 2 left out", "rolls back above errors 5.0 %")
        await see.shows("ctrl+y promotes it   u goes back")
        if folder := os.environ.get("CANARY_PICTURES"):
            name = f"{'x'.join(map(str, size))}-{fields.get('state', 'running')}.svg"
            (Path(folder) / name).write_text(app.export_screenshot())


async def test_one_key_decides(answers: Mapping[str, Answer]) -> None:
    replay = Asked(trying(answers))
    app = RegistryApp(lambda: RegistryClient(transport=replay), start_platform=False)
    async with app.run_test(size=(100, 30)) as pilot:
        see = Driver(app, pilot)
        await opened(see)
        for key, told in (
            ("exclamation_mark", "stays at this share"),
            ("u", "goes back to the old version"),
            ("ctrl+y", "lets all callers reach the new version"),
        ):
            await see.press(key)
            await see.shows(f"alcohol-api: {told}; 6 Activity")
        assert replay.decided == ["pause", "abort", "promote"]
        replay._answers = trying(answers, state=CanaryState.PAUSED)
        await see.shows("‖ paused")
        await see.press("exclamation_mark")
        await see.until(lambda: replay.decided[-1:] == ["resume"], "resume")
        replay._answers = trying(answers, state=CanaryState.PENDING, step=0)
        await see.shows("waits for its replicas")
        assert see.screen.reason("promote_canary") == "its replicas do not answer yet"
        assert see.screen.reason("rollback") is None


async def test_without_a_canary_nothing_is_to_decide(answers: Mapping[str, Answer]) -> None:
    app = RegistryApp(lambda: RegistryClient(transport=Replay(answers)), start_platform=False)
    async with app.run_test(size=(80, 24)) as pilot:
        see = Driver(app, pilot)
        await scenes.deployments(see)
        await see.press("enter")
        await see.shows("requests/s")
        assert not see.screen.query_one("#canary").display and see.screen.query_one("#charts").display
        for action in ("promote_canary", "pause_canary"):
            assert see.screen.reason(action) == "no version is being tried"
