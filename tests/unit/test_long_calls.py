"""A call of the model that takes long: others are answered beside it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Iterator
from typing import Any

import mlflow.pyfunc
import pytest

from registry_tui.serving import scorer as scoring
from registry_tui.serving.answers import JSON, Answer
from registry_tui.serving.scorer import MOST_LONG, Scorer
from support.platforms import PATIENCE

#: Set to let all calls end that wait.
GO = threading.Event()


class Waiting(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Waits where a row says so, in predictions and between pieces."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        if model_input["waits"][0]:
            GO.wait(PATIENCE)
        return [1]

    def predict_stream(self, context: Any, model_input: Any, params: Any = None) -> Iterator[Any]:
        yield "one"
        GO.wait(PATIENCE)
        yield "two"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("waiting") / "model"
    mlflow.pyfunc.save_model(path, python_model=Waiting(), pip_requirements=["mlflow"], streamable=True)
    return mlflow.pyfunc.load_model(str(path))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    GO.clear()
    monkeypatch.setattr(scoring, "LONG_SECONDS", 0.01)
    yield
    GO.set()


def whole(model: Any, **options: Any) -> Scorer:
    """A scorer for a model that answers as a whole."""
    made = Scorer(model, batch=False, queue_length=100, **options)
    made._streams, made._turns = False, None
    return made


def ask(scorer: Scorer, *, waits: bool, size: int = 0, **fields: Any) -> asyncio.Future[Answer]:
    body = {"dataframe_split": {"columns": ["waits", "text"], "data": [[waits, "x" * size]]}, **fields}
    return scorer.score(json.dumps(body).encode(), JSON)


async def until(scorer: Scorer, task: Awaitable[Answer]) -> Answer:
    """The answer, while the scorer is looked after as in a replica."""
    found = asyncio.ensure_future(task)
    async with asyncio.timeout(PATIENCE):
        while not found.done():
            scorer.relieve()
            await asyncio.sleep(0.01)
    return found.result()


async def begun(scorer: Scorer, calls: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(scorer.under_way()) < calls:
            scorer.relieve()
            await asyncio.sleep(0.01)


async def test_others_are_answered_beside_a_long_prediction(model: Any) -> None:
    scorer = whole(model)
    long = ask(scorer, waits=True)
    await begun(scorer, 1)
    for _ in range(3):
        assert (await until(scorer, ask(scorer, waits=False))).status == 200
    assert not long.done()
    GO.set()
    assert (await long).status == 200
    # Nobody is left of those who stood in for others.
    assert (await until(scorer, ask(scorer, waits=False))).status == 200
    await asyncio.to_thread(scorer.close)
    assert not [each for each in threading.enumerate() if each.name == "scorer" and each in scorer._threads]


async def test_what_was_taken_from_the_queue_with_a_long_prediction_is_answered_beside_it(model: Any) -> None:
    scorer = Scorer(model, batch=True, queue_length=100, threads=0)
    scorer._streams, scorer._turns = False, None
    # Two tables that cannot be put together, taken at once.
    long, other = ask(scorer, waits=True), ask(scorer, waits=False, params={})
    await asyncio.sleep(0)
    assert scorer.waiting == 2
    scorer._threads = [scorer._thread()]
    scorer._threads[0].start()
    await begun(scorer, 1)
    assert (await until(scorer, other)).status == 200
    assert not long.done()
    GO.set()
    assert (await long).status == 200
    await asyncio.to_thread(scorer.close)


async def test_no_more_long_predictions_go_on_at_once_than_beside_each_other_in_mlflow(model: Any) -> None:
    scorer = whole(model)
    long = [ask(scorer, waits=True) for _ in range(MOST_LONG + 3)]
    await begun(scorer, MOST_LONG + 1)
    for _ in range(20):
        scorer.relieve()
        await asyncio.sleep(0.01)
    assert len(scorer.under_way()) == MOST_LONG + 1 and scorer.waiting == 2
    GO.set()
    assert {(await each).status for each in long} == {200}
    await asyncio.to_thread(scorer.close)


async def test_large_requests_wait_for_the_room_that_a_long_one_has(model: Any) -> None:
    scorer = whole(model, queue_bytes=1000)
    long = ask(scorer, waits=True, size=600)
    await begun(scorer, 1)
    assert (await until(scorer, ask(scorer, waits=False))).status == 200
    large = ask(scorer, waits=False, size=600)
    for _ in range(20):
        scorer.relieve()
        await asyncio.sleep(0.01)
    assert not large.done() and len(scorer.under_way()) == 1
    GO.set()
    assert (await large).status == (await long).status == 200
    await asyncio.to_thread(scorer.close)


async def test_others_are_answered_during_a_long_pause_between_pieces(model: Any) -> None:
    scorer = Scorer(model, batch=False, queue_length=100)
    body = {"dataframe_records": [{"waits": False}], "stream": True}
    streamed = await until(scorer, scorer.score(json.dumps(body).encode(), JSON))
    assert streamed.events is not None and b"one" in streamed.body
    await begun(scorer, 1)
    for _ in range(3):
        assert (await until(scorer, ask(scorer, waits=False))).status == 200
    GO.set()
    while await streamed.events.next() is not None:
        pass
    assert (await until(scorer, ask(scorer, waits=False))).status == 200
    assert scorer._turns is not None and scorer._turns._free == 1
    await asyncio.to_thread(scorer.close)
