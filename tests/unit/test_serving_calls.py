"""How a replica's calls end, and the response to each failing request: in this process, without a platform."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest
from mlflow.exceptions import MlflowException

from registry_tui.contracts.replica_spec import Limits
from registry_tui.serving.answers import JSON, score_alone
from registry_tui.serving.app import ReplicaApp
from registry_tui.serving.batching import strictly
from registry_tui.serving.calls import CallRecord, Calls
from registry_tui.serving.open_inference import Served
from registry_tui.serving.scorer import Scorer
from support.platforms import wait_for


class Odd(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Behaves as the test requires."""

    def __init__(self) -> None:
        self.does: Any = lambda data: [1]
        self.seen: list[Any] = []

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        self.seen.append(model_input)
        return self.does(model_input)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("odd") / "model"
    mlflow.pyfunc.save_model(path, python_model=Odd(), pip_requirements=["mlflow"])
    return mlflow.pyfunc.load_model(str(path))


@pytest.fixture
def model(saved: Any) -> Any:
    odd(saved).seen.clear()
    return saved


def odd(model: Any) -> Odd:
    found: Odd = model.unwrap_python_model()
    assert type(found).__name__ == "Odd"
    return found


def asked(model: Any, body: str = '{"dataframe_split": {"columns": ["a"], "data": [[1]]}}') -> tuple[int, str, str]:
    answer = score_alone(body.encode(), JSON, model)
    return answer.status, json.loads(answer.body).get("detail", ""), answer.failure


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(5000):
        found = [found]
    return found


@pytest.mark.parametrize("made", [object, circle, deep, lambda: {(1, 2): 3}, lambda: [{1, 2}], lambda: [1j]])
def test_an_answer_that_cannot_be_json_is_a_problem_of_the_model(model: Any, made: Any) -> None:
    odd(model).does = lambda data: made()
    status, detail, failure = asked(model)
    assert status == 500 and detail.startswith("The model's answer cannot be written as JSON: ")
    assert "\n" not in detail and failure == detail


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs"])
@pytest.mark.parametrize("depth", [5000, 100_000])
def test_a_body_nested_too_deeply_is_the_callers_fault(model: Any, form: str, depth: int) -> None:
    status, detail, failure = asked(model, f'{{"{form}": ' + "[" * depth + "]" * depth + "}")
    assert (status, detail, failure) == (400, "The body is nested too deeply to be read", "")
    assert odd(model).seen == []


def test_what_a_model_raises_is_its_failure_and_what_it_refuses_is_not(model: Any) -> None:
    def raises(error: BaseException) -> Any:
        def does(data: Any) -> Any:
            raise error

        return does

    odd(model).does = raises(ValueError("first line\nno such column"))
    assert asked(model)[::2] == (400, "no such column")
    odd(model).does = raises(SystemExit(3))
    assert asked(model) == (500, "The model failed: SystemExit: 3", "SystemExit: 3")
    odd(model).does = raises(MlflowException("the request does not fit", error_code=1000))
    assert asked(model)[2] == ""


def test_strict_json_has_null_where_mlflow_writes_what_json_does_not_have() -> None:
    body = b'{"predictions": [NaN, Infinity, -Infinity, 1e-07, 0.1, "NaN", {"Infinity": null}]}'
    expected = b'{"predictions": [null, null, null, 1e-07, 0.1, "NaN", {"Infinity": null}]}'
    assert strictly(body) == expected
    assert strictly(b'{"predictions":[1]}') == b'{"predictions":[1]}'


def test_a_record_outlives_its_process_and_is_quiet_while_calls_are_answered(tmp_path: Path) -> None:
    path = tmp_path / "r.calls"
    record = CallRecord(path)
    record.began()
    # The process ended there.
    record = CallRecord(path)
    assert (Calls.load(path).died, Calls.load(path).answered) == (1, False)
    record.hangs(2.0)
    record.raised("ValueError: x")
    assert (Calls.load(path).hung, Calls.load(path).raised) == (1, 1)
    assert Calls.load(path).trouble == "calls fail: ValueError: x"
    record.answered()
    assert Calls.load(path) == Calls(answered=True)
    written = path.stat().st_mtime_ns, path.stat().st_ino
    for _ in range(3):
        record.began()
        record.answered()
        record.refused()
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == written
    path.write_text("{")
    assert Calls.load(path) == Calls()


async def test_calls_whose_caller_hung_up_leave_the_queue_without_being_computed(model: Any) -> None:
    free = threading.Event()
    odd(model).does = lambda data: free.wait(600) and [1]
    scorer = Scorer(model, batch=False, queue_length=100)
    served = Served("m", "d", 1)
    app = ReplicaApp(scorer, name="r", mlflow_version="3", limits=Limits(), model=model, served=served)
    sent: list[Any] = []

    def request(gone: asyncio.Event) -> Any:
        body = [{"type": "http.request", "body": b'{"inputs": [[1]]}', "more_body": False}]

        async def receive() -> MutableMapping[str, Any]:
            if body:
                return body.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "path": "/invocations",
            "method": "POST",
            "headers": [(b"content-type", JSON.encode())],
        }
        return asyncio.ensure_future(app(scope, receive, send))

    stays, goes = asyncio.Event(), asyncio.Event()
    first = request(stays)
    await asyncio.to_thread(wait_for, lambda: bool(odd(model).seen), what="the first call to be under way")
    leaving = [request(goes) for _ in range(4)]
    await asyncio.to_thread(wait_for, lambda: scorer.waiting == 4, what="the others to wait")
    goes.set()
    await asyncio.gather(*leaving)
    assert sent == []
    last = request(stays)
    free.set()
    await asyncio.gather(first, last)
    assert [message["status"] for message in sent if "status" in message] == [200, 200]
    assert len(odd(model).seen) == 2 and scorer.waiting == 0
