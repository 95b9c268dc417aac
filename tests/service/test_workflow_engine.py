"""Durable workflows: killed at every moment, failing, cancelled, interrupted, locked, queued."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registry_tui.schemas.operations import Progress, WorkflowStatus
from registry_tui.service.core.context import Principal, Resource
from registry_tui.service.database.tables import InstallationRow
from registry_tui.service.engine.patience import FIRST_PAUSE
from registry_tui.service.engine.runner import Runner
from registry_tui.service.engine.steps import Step, StepContext
from registry_tui.service.errors import InvalidInput, PartUnavailable, WrongState
from registry_tui.service.operations import events
from registry_tui.service.operations import workflows as queries
from support.platforms import PATIENCE, wait_for
from support.workflow_bench import ANN, WINE, Bench

SCRIPT = Path(__file__).with_name("engine_script.py")

#: The journal of a workflow that is not killed.
BEGINS = ["on_start", "a []", "b ['a']"]
SUCCEEDS = ["on_success ['a', 'b']"]
FAILS = ["undo b because b is in use", "undo a because b is in use", "on_failure b is in use"]
#: Where it is killed, in turn: the steps of the one that succeeds, then only how the other ends.
SUCCEEDING = ["on_start", "a", "b", "on_success"]
FAILING = ["undo b", "undo a", "on_failure"]


@pytest.mark.parametrize(
    ("mode", "killed_at", "once", "twice", "outcome"),
    [
        ("succeed", SUCCEEDING, [], BEGINS + SUCCEEDS, "succeeded 2 None None"),
        ("fail", FAILING, BEGINS, FAILS, "failed 1 b is in use Wait"),
    ],
)
def test_a_workflow_killed_at_every_moment_goes_on(
    tmp_path: Path, mode: str, killed_at: list[str], once: list[str], twice: list[str], outcome: str
) -> None:
    """One workflow, whose process is killed before and after each step, hook and undo in turn."""
    moments = [f"{moment} {step}" for step in killed_at for moment in ("before", "after")]
    for number, moment in enumerate(moments):
        died = _run(tmp_path, "start" if number == 0 else "resume", mode, moment)
        assert died.returncode == -signal.SIGKILL, f"{moment}: {died.stdout}{died.stderr}"
    done = _run(tmp_path, "resume", mode, "never")
    assert done.returncode == 0, done.stderr
    history = [("registry.create", outcome.split()[0]), ("registry.create", "started")]
    assert done.stdout.startswith(f"{outcome} {history}")
    # Killed after it ran and before that was recorded, a step runs once more, and no other does.
    assert (tmp_path / "journal").read_text().splitlines() == once + [line for line in twice for _ in range(2)]


def _run(folder: Path, command: str, mode: str, die_at: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, str(SCRIPT), str(folder), command, mode, die_at]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.engine.stop()


def _until_cancelled(started: threading.Event) -> Callable[[StepContext], None]:
    def run(context: StepContext) -> None:
        started.set()
        while True:
            context.check_cancelled()
            threading.Event().wait(0.01)

    return run


def _log(text: str) -> Callable[[StepContext], None]:
    return lambda context: context.log(text)


def test_a_workflow_waits_for_the_launch_then_cancels_and_retries(bench: Bench) -> None:
    started = threading.Event()
    definition = bench.define(
        Step("first", _log("first"), undo=_log("undo first")),
        Step("endless", _until_cancelled(started), undo=_log("undo endless")),
        Step("never", _log("never"), undo=_log("undo never")),
        on_cancel=_log("on_cancel"),
        on_failure=_log("on_failure"),
    )
    workflow = bench.engine.start(ANN, definition.kind, resource=WINE)
    assert workflow.status is WorkflowStatus.QUEUED
    bench.engine.launch()
    assert started.wait(PATIENCE)
    with pytest.raises(WrongState, match="working on wine already"):
        bench.engine.start(ANN, definition.kind, resource=WINE)
    bench.engine.start(ANN, bench.define(*definition.steps).kind, resource=Resource("registry", "r2", "beer"))
    assert queries.cancel_workflow(bench.service, ANN, workflow.id).status is WorkflowStatus.CANCELLING
    done = bench.engine.wait(workflow.id, PATIENCE)
    assert (done.status, done.steps_done, done.finished_at is not None) == (WorkflowStatus.CANCELLED, 1, True)
    assert bench.texts(workflow)[-3:] == ["undo endless", "undo first", "on_cancel"]
    with pytest.raises(WrongState, match="nothing to cancel"):
        bench.engine.cancel(workflow.id)
    again = queries.retry_workflow(bench.service, ANN, workflow.id)
    assert again.id != workflow.id and again.resource_id == "r1"
    active = queries.list_workflows(bench.service, ANN, status="active").items
    assert again.id in [each.id for each in active] and workflow.id not in [each.id for each in active]
    bench.engine.cancel(again.id)
    assert bench.engine.wait(again.id, PATIENCE).status is WorkflowStatus.CANCELLED


def test_at_rest_it_asks_its_database_nothing(bench: Bench) -> None:
    """DBOS has threads that would look every second for queues, delays and time limits; none of them is used."""
    bench.engine.launch()
    begun = bench.engine.start(ANN, bench.define(Step("one", _log("one"))).kind, resource=WINE)
    done = bench.engine.wait(begun.id, PATIENCE)
    assert done.status is WorkflowStatus.SUCCEEDED
    wait_for(lambda: not _looking(), what="DBOS's own threads to end")


def _looking() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("queue-worker-", "dbos-background-jobs"))]


def test_a_part_that_comes_back_is_waited_for(bench: Bench) -> None:
    calls: list[str] = []

    def flaky(context: StepContext) -> dict[str, str]:
        calls.append("x")
        if len(calls) < 3:
            raise PartUnavailable("MLflow does not answer")
        return {"made": "yes"}

    def after(context: StepContext) -> None:
        assert context.state == {"made": "yes"}

    definition = bench.define(Step("flaky", flaky), Step("after", after))
    bench.engine.launch()
    done = bench.engine.wait(bench.engine.start(ANN, definition.kind, resource=WINE).id, PATIENCE)
    assert (done.status, done.error, done.steps_done) == (WorkflowStatus.SUCCEEDED, None, 2)
    assert len(calls) == 3 and ["trying again" in text for text in bench.texts(done)] == [True, True]


def test_a_part_that_does_not_come_back_fails_its_workflow(tmp_path: Path) -> None:
    calls: list[str] = []

    def gone(context: StepContext) -> None:
        calls.append("x")
        raise PartUnavailable("the object store does not answer", action="See its log")

    # So short that a pause of the first length is the longest that fits.
    bench = Bench(tmp_path, patience=FIRST_PAUSE * 1.5)
    definition = bench.define(Step("first", _log("first")), Step("gone", gone))
    bench.engine.launch()
    done = bench.engine.wait(bench.engine.start(ANN, definition.kind, resource=WINE).id, PATIENCE)
    bench.engine.stop()
    assert (done.status, done.error, done.action) == (
        WorkflowStatus.FAILED,
        "the object store does not answer",
        "See its log",
    )
    assert 1 <= len(calls) <= 2 and done.step is None and done.steps_done == 1
    found = events.list_events(bench.service, ANN, registry=None).items
    assert [(event.action, event.outcome.value, event.workflow_id) for event in found] == [
        ("registry.provision", "failed", done.id),
        ("registry.provision", "started", done.id),
    ]
    assert found[0].duration_ms is not None and found[0].detail == done.error


def test_an_error_nobody_foresaw_tells_no_secret_and_still_undoes(bench: Bench) -> None:
    def broken(context: StepContext) -> None:
        raise KeyError("a secret")

    definition = bench.define(Step("broken", broken, undo=broken), on_failure=_log("on_failure"))
    bench.engine.launch()
    done = bench.engine.wait(bench.engine.start(ANN, definition.kind, resource=WINE).id, PATIENCE)
    assert done.status is WorkflowStatus.FAILED and done.error is not None and "KeyError" in done.error
    assert "secret" not in done.error + "".join(bench.texts(done))
    assert bench.texts(done)[-1] == "on_failure"


def test_a_workflow_that_breaks_off_between_steps_is_undone_from_what_they_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = threading.Event()
    update = Runner._update

    def full_once(self: Runner, **values: Any) -> None:
        if values.get("step") == "second" and not broken.is_set():
            broken.set()
            raise OSError("database or disk is full")
        update(self, **values)

    def take_away(context: StepContext) -> None:
        context.log(f"took away {context.state['made']}, back to {context.state['old']}")

    monkeypatch.setattr(Runner, "_update", full_once)
    definition = bench.define(
        Step("first", lambda context: {"made": "a copy"}, undo=take_away),
        Step("second", _log("second")),
        on_start=lambda context: {"old": 7},
        on_failure=_log("on_failure"),
    )
    bench.engine.launch()
    done = bench.engine.wait(bench.engine.start(ANN, definition.kind, resource=WINE).id, PATIENCE)
    assert done.status is WorkflowStatus.FAILED and done.error is not None and "broke off" in done.error
    assert bench.texts(done) == ["took away a copy, back to 7", "on_failure"]
    again = bench.engine.wait(bench.engine.start(ANN, definition.kind, resource=WINE).id, PATIENCE)
    assert again.status is WorkflowStatus.SUCCEEDED, "its lock is free"


def test_stopping_interrupts_a_step_that_the_next_start_finishes(tmp_path: Path) -> None:
    started = threading.Event()
    bench = Bench(tmp_path)
    definition = bench.define(Step("endless", _until_cancelled(started)), on_cancel=_log("on_cancel"))
    bench.engine.launch()
    workflow = bench.engine.start(ANN, definition.kind, resource=WINE)
    assert started.wait(PATIENCE)
    bench.engine.stop()
    assert bench.get(workflow).status is WorkflowStatus.RUNNING
    later = Bench(tmp_path, after=bench)
    later.define(
        Step("endless", lambda context: context.progress(Progress(bytes_done=5, bytes_total=5))),
        on_success=_log("on_success"),
    )
    later.engine.launch()
    done = later.engine.wait(workflow.id, PATIENCE)
    later.engine.stop()
    assert done.status is WorkflowStatus.SUCCEEDED and done.progress.bytes_done == 5
    assert later.texts(workflow) == ["on_success"]


def test_the_callers_rows_and_the_workflow_come_to_be_together(bench: Bench) -> None:
    definition = bench.define(Step("a", _log("a")))

    def prepare(session: Any, workflow_id: str) -> None:
        session.add(InstallationRow(key="made by", value=workflow_id))

    def refuse(session: Any, workflow_id: str) -> None:
        prepare(session, workflow_id)
        raise InvalidInput("no")

    with pytest.raises(InvalidInput):
        bench.engine.start(ANN, definition.kind, resource=WINE, prepare=refuse)
    assert queries.list_workflows(bench.service, ANN).items == []
    workflow = bench.engine.start(ANN, definition.kind, resource=WINE, prepare=prepare)
    with bench.database.reading() as session:
        assert session.get_one(InstallationRow, "made by").value == workflow.id
    bob = Principal("bob", "crn:bob", "request-2")
    assert queries.list_workflows(bench.service, bob).items == []
    with pytest.raises(Exception, match="belongs to ann"):
        queries.cancel_workflow(bench.service, bob, workflow.id)


def test_many_workflows_all_finish(bench: Bench) -> None:
    definition = bench.define(*(Step(f"step {number}", _log(f"step {number}")) for number in range(3)))
    bench.engine.launch()
    started = [
        bench.engine.start(ANN, definition.kind, resource=Resource("version", str(number), "v")) for number in range(40)
    ]
    wait_for(lambda: not queries.list_workflows(bench.service, ANN, status="active").items, what="all to finish")
    assert {bench.get(workflow).status for workflow in started} == {WorkflowStatus.SUCCEEDED}
