"""A replica's streamed responses: timeouts, callers who leave or do not read, and notices to the model."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest

from registry_tui.contracts import event_stream
from registry_tui.contracts.replica_spec import Limits
from registry_tui.serving.answers import JSON
from registry_tui.serving.app import ReplicaApp
from registry_tui.serving.calls import CallRecord, Calls
from registry_tui.serving.open_inference import Served
from registry_tui.serving.scorer import STREAMS, Scorer
from registry_tui.serving.streaming import AHEAD
from support.platforms import PATIENCE, wait_for


class Yielding(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Yields as the test requires."""

    def __init__(self) -> None:
        self.does: Any = lambda data: iter([data])
        self.closed = 0

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [1]

    def predict_stream(self, context: Any, model_input: Any, params: Any = None) -> Iterator[Any]:
        try:
            yield from self.does(model_input)
        finally:
            self.closed += 1


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("yielding") / "model"
    mlflow.pyfunc.save_model(path, python_model=Yielding(), pip_requirements=["mlflow"], streamable=True)
    return mlflow.pyfunc.load_model(str(path))


@pytest.fixture
def model(saved: Any) -> Any:
    saved.unwrap_python_model().closed = 0
    return saved


class Call:
    """One request to a replica's application, whose caller reads while `reads` is set."""

    def __init__(self, app: ReplicaApp, body: Any) -> None:
        self._body = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]
        self.gone, self.reads = asyncio.Event(), asyncio.Event()
        self.reads.set()
        self.sent: list[MutableMapping[str, Any]] = []
        headers = [(b"content-type", JSON.encode())]
        scope = {"type": "http", "path": "/invocations", "method": "POST", "headers": headers}
        self.done = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> MutableMapping[str, Any]:
        if self._body:
            return self._body.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        await self.reads.wait()
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def application(model: Any, *, seconds: float = 60.0, stream_seconds: float = 600.0) -> ReplicaApp:
    scorer = Scorer(model, batch=False, queue_length=100)
    limits, served = Limits(seconds=seconds, stream_seconds=stream_seconds), Served("m", "d", 1)
    return ReplicaApp(scorer, name="r", mlflow_version="3", limits=limits, model=model, served=served)


def asks(model: Any, does: Any, **body: Any) -> dict[str, Any]:
    model.unwrap_python_model().does = does
    return {"inputs": ["x"], "stream": True, **body}


def endless(data: Any) -> Iterator[Any]:
    while True:
        yield {"more": "x"}


@pytest.mark.parametrize(
    ("limits", "code"),
    [({"seconds": 0.2}, "stream-timeout"), ({"seconds": 60, "stream_seconds": 0.2}, "stream-too-long")],
    ids=["between two pieces", "as a whole"],
)
async def test_a_time_that_is_over_in_the_middle_is_an_event(model: Any, limits: dict[str, float], code: str) -> None:
    free = threading.Event()

    def stands_still(data: Any) -> Iterator[Any]:
        yield 1
        free.wait(PATIENCE)
        yield 2

    call = Call(application(model, **limits), asks(model, stands_still))
    await call.done
    free.set()
    assert event_stream.ends_with_error(call.body) and f'"code": "{code}"'.encode() in call.body
    assert call.sent[0]["status"] == 200 and not call.sent[-1].get("more_body")
    await asyncio.to_thread(wait_for, lambda: model.unwrap_python_model().closed == 1)


async def test_pieces_that_never_end_do_so_when_the_whole_time_is_over(model: Any) -> None:
    call = Call(application(model, stream_seconds=0.2), asks(model, endless))
    await call.done
    assert b"stream-too-long" in call.body


async def test_no_first_piece_in_time_is_an_ordinary_answer(model: Any) -> None:
    free = threading.Event()

    def waits(data: Any) -> Iterator[Any]:
        free.wait(PATIENCE)
        yield 1

    call = Call(application(model, seconds=0.2), asks(model, waits))
    await call.done
    assert call.sent[0]["status"] == 504
    free.set()
    # Its output is not read then, and its thread waits for nobody.
    await asyncio.to_thread(wait_for, lambda: model.unwrap_python_model().closed == 1)


async def test_a_caller_who_leaves_closes_the_generator_and_frees_the_thread(model: Any) -> None:
    app = application(model)
    call = Call(app, asks(model, endless))
    await asyncio.to_thread(wait_for, lambda: len(call.sent) > 2)
    call.gone.set()
    await call.done
    await asyncio.to_thread(wait_for, lambda: model.unwrap_python_model().closed == 1)
    after = Call(app, {"inputs": ["x"]})
    await after.done
    assert after.sent[0]["status"] == 200


async def test_a_caller_who_takes_nothing_holds_the_model_up_and_not_the_memory(model: Any) -> None:
    made: list[int] = []

    def counts(data: Any) -> Iterator[Any]:
        for number in range(1000):
            made.append(number)
            yield number

    app = application(model)
    call = Call(app, asks(model, counts))
    call.reads.clear()
    await asyncio.to_thread(wait_for, lambda: len(made) >= AHEAD)
    # The one that it waits to give away, and those that were taken on.
    assert len(made) <= AHEAD + 3
    await asyncio.to_thread(wait_for, lambda: not app.scorer.under_way(), what="waiting for a caller to be no call")
    call.reads.set()
    await call.done
    assert len(made) == 1000 and event_stream.is_whole(call.body)


async def test_a_model_that_fails_in_the_middle_is_noted_as_failing(model: Any, tmp_path: Path) -> None:
    def fails(data: Any) -> Iterator[Any]:
        yield 1
        raise ValueError("not that")

    path = tmp_path / "r.calls"
    scorer = Scorer(model, batch=False, queue_length=100, record=CallRecord(path))
    app = ReplicaApp(scorer, name="r", mlflow_version="3", limits=Limits(), model=model, served=Served("m", "d", 1))
    call = Call(app, asks(model, fails))
    await call.done
    assert b"The model failed: ValueError: not that" in call.body
    await asyncio.to_thread(wait_for, lambda: Calls.load(path).raised == 1)
    await Call(app, asks(model, lambda data: iter([1]))).done
    await asyncio.to_thread(wait_for, lambda: Calls.load(path) == Calls(answered=True))


async def test_an_answer_without_pieces_is_whole(model: Any) -> None:
    call = Call(application(model), asks(model, lambda data: iter(())))
    await call.done
    assert call.body == event_stream.DONE


async def test_numbers_of_numpy_are_written(model: Any) -> None:
    import numpy

    call = Call(application(model), asks(model, lambda data: iter([{"n": numpy.float64(0.5)}])))
    await call.done
    assert call.body == b'data: {"n": 0.5}\n\n' + event_stream.DONE


async def test_streams_and_predictions_of_one_thread_take_turns(model: Any) -> None:
    """Two answers in pieces wait for each other's pieces, and a prediction is answered between them."""
    came = {name: threading.Event() for name in ("one", "other", "prediction")}
    inside, most = [], []

    def does(data: Any) -> Iterator[Any]:
        name = str(data)
        for number in range(50):
            inside.append(name)
            most.append(len(inside))
            inside.remove(name)
            if number == 1:
                came[name].set()
            yield {"number": number}
            if number > 1 and all(event.is_set() for event in came.values()):
                return
            # The model's own work, in which nobody else has a turn.
            threading.Event().wait(0.02)

    app = application(model)
    calls = [Call(app, asks(model, does, inputs=[name])) for name in ("one", "other")]
    await asyncio.to_thread(wait_for, lambda: came["one"].is_set() and came["other"].is_set(), what="pieces of both")
    predicted = Call(app, {"inputs": ["x"]})
    await asyncio.wait_for(predicted.done, PATIENCE)
    assert predicted.sent[0]["status"] == 200 and not any(call.done.done() for call in calls)
    came["prediction"].set()
    for call in calls:
        await asyncio.wait_for(call.done, PATIENCE)
        assert event_stream.is_whole(call.body)
    assert max(most) == 1


async def test_more_streams_than_a_replica_makes_are_refused_for_a_moment(model: Any) -> None:
    free = threading.Event()

    def waits(data: Any) -> Iterator[Any]:
        yield 1
        while not free.is_set():
            yield 2

    app = application(model)
    calls = [Call(app, asks(model, waits)) for _ in range(STREAMS)]
    await asyncio.to_thread(wait_for, lambda: all(call.sent for call in calls), what="all to have begun")
    refused = Call(app, asks(model, waits))
    await asyncio.wait_for(refused.done, PATIENCE)
    assert refused.sent[0]["status"] == 503 and (b"retry-after", b"1") in refused.sent[0]["headers"]
    assert b"too-many-streams" in refused.body
    free.set()
    for call in calls:
        call.gone.set()
        await asyncio.wait_for(call.done, PATIENCE)
    again = Call(app, asks(model, lambda data: iter([1])))
    await asyncio.to_thread(wait_for, lambda: not app.scorer._streaming or again.done.done(), what="room")
