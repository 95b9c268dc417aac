"""Policies that come from an outside Ranger: the page shows it, and offers no change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx
import pytest
from textual.widgets import Static

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.ranger import RangerSource
from support import scenes
from support.program import Driver
from support.recorded import Answer, Replay

URL = "https://ranger.example.com:6182"
FETCHED, AWAY = datetime(2026, 11, 28, 9, 30, tzinfo=UTC), datetime(2026, 11, 29, 7, 15, tzinfo=UTC)


class FromOutside(Replay):
    """The recorded service, whose environments obey an outside Ranger."""

    def __init__(self, answers: Mapping[str, Answer], source: RangerSource) -> None:
        super().__init__(answers)
        self.source = source
        self.changes: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            self.changes.append(f"{request.method} {request.url.path}")
        answer = await super().handle_async_request(request)
        await answer.aread()
        if "/service/public/v2/api/service/" not in request.url.path or request.url.path.endswith("/policy"):
            return answer
        document = json.loads(answer.content) | {"source": self.source.model_dump(mode="json", by_alias=True)}
        return httpx.Response(200, json=document)


@pytest.mark.parametrize("away", [False, True])
async def test_policies_from_outside_are_shown_read_only(answers: Mapping[str, Answer], away: bool) -> None:
    source = RangerSource(url=URL, service="their_s3", user="plugin", policy_version=12, fetched_at=FETCHED)
    if away:
        gone = {"failing_since": AWAY, "problem": f"Ranger at {URL} does not answer: timed out"}
        source = source.model_copy(update=gone)
    service = FromOutside(answers, source)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(110, 30)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.policies(see)
        facts = " ".join(str(see.screen.query_one("#facts", Static).content).split())
        assert f"read-only: service their_s3 of Ranger at {URL}" in facts
        assert ("does not answer: timed out" in facts and "version 12" in facts and "still counts" in facts) is away
        frame = see.screen
        for action, key in (("create", "n"), ("edit", "e"), ("enable", "exclamation_mark"), ("delete", "ctrl+d")):
            assert URL in str(frame.reason(action))
            await see.press(key)
        await see.shows("are changed there")
        assert see.app.screen is see.app.frame and not service.changes
        # Its content can be read.
        await see.press("enter")
        await see.until(lambda: frame.panel_open, "the side panel")
