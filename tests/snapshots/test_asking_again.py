"""Every place on a service whose answers take 0, 2 and 20 seconds: it paints, and no question cancels its own answer.

Time runs twenty times as fast: pauses of the program and the service's answers are divided by `FASTER`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from textual.message_pump import MessagePump

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.screens.base.every import Every
from registry_tui.screens.deployments.deployment import EVERY
from registry_tui.terminal.commands import SCREENS
from support.program import Driver
from support.recorded import STREAM, Answer, Replay
from support.scenes import REGISTRY, SCENES, Scene

pytestmark = pytest.mark.slow

FASTER = 20.0

#: A scene of each kind of place, and of tabs that ask by themselves.
PLACES: dict[str, str] = {
    **{kind: kind for kind in SCREENS},
    "deployment-logs": "deployment",
    "deployment-history": "deployment",
    "project-deployments": "project",
    "events": "registry",
    "storage": "registry",
    "curves": "compare",
    "metrics": "run",
}


class Slow(Replay):
    """Answers after a while; counts which questions wait for their answer, and which were given up."""

    def __init__(self, answers: Mapping[str, Answer], seconds: float) -> None:
        super().__init__(answers)
        self.seconds = seconds / FASTER
        self.under_way: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.twice: set[str] = set()
        self.given_up: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == STREAM:
            return await super().handle_async_request(request)
        kind = f"{request.method} {request.url.raw_path.decode()} {(await request.aread()).decode()}"
        self.under_way[kind] += 1
        self.asked[kind] += 1
        if self.under_way[kind] > 1:
            self.twice.add(kind)
        try:
            await asyncio.sleep(self.seconds)
            return await super().handle_async_request(request)
        except asyncio.CancelledError:
            self.given_up.append(kind)
            raise
        finally:
            self.under_way[kind] -= 1

    def times(self, path: str) -> int:
        """The number of requests to a path, with any query."""
        return sum(count for kind, count in self.asked.items() if kind.split()[1].split("?")[0] == path)


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timers of the program run out sooner."""
    for name in ("set_timer", "set_interval"):
        slow = getattr(MessagePump, name)

        def sooner(self: Any, delay: float, *arguments: Any, slow: Any = slow, **options: Any) -> Any:
            return slow(self, delay / FASTER, *arguments, **options)

        monkeypatch.setattr(MessagePump, name, sooner)


@asynccontextmanager
async def program(answers: Mapping[str, Answer], seconds: float) -> AsyncIterator[tuple[Driver, Slow]]:
    slow = Slow(answers, seconds)
    app = RegistryApp(lambda: RegistryClient(transport=slow), start_platform=False)
    async with app.run_test(size=(110, 34)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        yield see, slow


def test_every_kind_of_place_is_opened() -> None:
    assert set(PLACES.values()) == set(SCREENS) and set(PLACES) <= set(SCENES)


@pytest.mark.usefixtures("faster")
@pytest.mark.parametrize("seconds", [0, 2, 20])
@pytest.mark.parametrize("scene", PLACES)
async def test_a_place_paints_and_no_question_cancels_its_own_answer(
    scene: str, seconds: float, answers: Mapping[str, Answer]
) -> None:
    async with program(answers, seconds) as (see, slow):
        open_scene: Scene = SCENES[scene]
        await open_scene(see)
        slow.twice.clear()
        slow.given_up.clear()
        # Changes arrive, somebody refreshes, answers are still under way.
        asked = sum(slow.asked.values())
        for _ in range(5):
            see.app.frame.refresh_soon()
            see.app.frame.refresh_data()
            see.app.look_now()
            await see.pilot.pause()
        await see.until(lambda: sum(slow.asked.values()) > asked, "the questions")
        await see.until(lambda: not see.app.frame.asks("start"), "the answers")
        assert not slow.twice and not slow.given_up
        assert see.text.strip()


@pytest.mark.usefixtures("faster")
@pytest.mark.parametrize("seconds", [2, 20])
async def test_a_deployments_page_asks_again_only_after_its_answer(
    seconds: float, answers: Mapping[str, Answer]
) -> None:
    async with program(answers, seconds) as (see, slow):
        await SCENES["deployment"](see)
        path = f"/api/v1/deployments/{see.app.frame.place.args['deployment']}"
        before = slow.times(path)
        await see.until(lambda: slow.times(path) >= before + 3, "three more questions")
        assert not slow.twice and not slow.given_up


@pytest.mark.usefixtures("faster")
async def test_a_place_that_is_left_asks_nothing(answers: Mapping[str, Answer]) -> None:
    async with program(answers, 0) as (see, slow):
        await SCENES["deployment"](see)
        path = f"/api/v1/deployments/{see.app.frame.place.args['deployment']}"
        before = slow.times(path)
        await see.until(lambda: slow.times(path) > before, "a question")
        see.go("registry", registry=REGISTRY)
        await see.at("registry")
        await see.until(lambda: not any(slow.under_way.values()), "the answers")
        ticks: list[None] = []
        see.app.set_interval(EVERY, lambda: ticks.append(None))
        before = slow.times(path)
        await see.until(lambda: len(ticks) > 5, "some seconds")
        assert slow.times(path) == before


@pytest.mark.usefixtures("faster")
async def test_pauses_grow_with_the_answers_time_and_with_errors(answers: Mapping[str, Answer]) -> None:
    pauses: list[float] = []
    async with program(answers, 0) as (see, _):
        frame = see.app.frame
        outcomes = iter([RuntimeError("1"), RuntimeError("2"), None, None])
        done = asyncio.Event()

        async def ask() -> None:
            end = next(outcomes, None)
            if end is not None:
                raise end
            done.set()

        class Noted(Every):
            def _wait(self, seconds: float) -> None:
                pauses.append(seconds)
                super()._wait(seconds)

        frame.failed = lambda error: None  # type: ignore[method-assign]
        Noted(frame, 1.0, ask, group="noted").begin()
        await asyncio.wait_for(done.wait(), 300)
        assert pauses[:3] == [1.0, 2.0, 4.0]
        await see.until(lambda: len(pauses) >= 4, "the next pause")
        assert pauses[3] == 1.0
