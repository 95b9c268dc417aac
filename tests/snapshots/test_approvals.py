"""The badge of approvals that wait, and the answer that one gets."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.promotion import ApprovalState
from support import scenes
from support.program import Driver
from support.recorded import Answer, Replay

COUNT = "GET /api/v1/approvals?waiting=true&page_size=1"


def counting(answers: Mapping[str, Answer], total: int) -> dict[str, Answer]:
    """The answers, with another number of approvals that wait."""
    content = json.dumps({"items": [], "next_page_token": None, "total": total}).encode()
    return {**answers, COUNT: Answer(200, "application/json", content)}


@pytest.mark.parametrize(("size", "badge"), [((80, 24), "6 Activity  ◆2 "), ((60, 20), "6◆")])
async def test_a_badge_counts_what_waits_for_the_person(
    size: tuple[int, int], badge: str, answers: Mapping[str, Answer]
) -> None:
    replay = Replay(counting(answers, 2))
    app = RegistryApp(lambda: RegistryClient(transport=replay), start_platform=False)
    async with app.run_test(size=size) as pilot:
        see = Driver(app, pilot)
        await see.shows(badge)
        replay._answers = counting(answers, 0)
        app.count_approvals()
        await see.until(lambda: "◆" not in see.text, "the badge to go")
        replay._answers = counting(answers, 100)
        app.count_approvals()
        await see.shows("◆")
        assert app.approvals_waiting == 100


async def test_what_was_decided_has_no_answer_any_more(answers: Mapping[str, Answer]) -> None:
    app = RegistryApp(lambda: RegistryClient(transport=Replay(answers)), start_platform=False)
    async with app.run_test(size=(100, 30)) as pilot:
        see = Driver(app, pilot)
        await scenes.approvals(see)
        assert see.screen.reason("decide") is None
        waits = see.screen.current.model_copy(update={"decisions": []})
        assert see.screen.row_why_not("decide", waits) == "somebody else has to decide"
        decided = waits.model_copy(update={"state": ApprovalState.APPROVED, "decided_by": "grace"})
        assert see.screen.row_why_not("decide", decided) == "it was approved by grace"
