"""How long a step that fails is tried again: from its first failure, and anew while it comes further."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from registry_tui.schemas.operations import Progress, WorkflowKind
from registry_tui.service.database.tables import now
from registry_tui.service.engine.runner import Runner
from registry_tui.service.engine.steps import Definition, StepContext
from registry_tui.service.errors import PartUnavailable


class _Clock:
    """Stands still but for the work and the pauses of a step."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class _Runner(Runner):
    """Writes nothing, and pauses by its clock."""

    clock: _Clock

    def _update(self, **values: Any) -> None: ...

    def log(self, text: str, level: str) -> None: ...

    def _pause(self, seconds: float) -> None:
        self.clock.time += seconds


Attempt = Callable[[Callable[[StepContext], None]], dict[str, Any]]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def attempt(clock: _Clock) -> Attempt:
    """Runs a step as a workflow does that waits 120 s for a part."""
    facts = {"id": "w", "arguments": {}, "state": {}, "created_at": now(), "registry_id": None, "request_id": "r"}
    actor = {"actor": "ann", "actor_crn": "crn", "actor_administrator": False}
    resource = {"resource_type": "project", "resource_id": "p", "resource_name": "p"}
    row: Any = SimpleNamespace(**facts, **actor, **resource)
    service: Any = SimpleNamespace(database=SimpleNamespace(shared=False, session=nullcontext))
    never = threading.Event()
    definition = Definition(kind=WorkflowKind.IMPORT, steps=())
    runner = _Runner(service, definition, row, cancel=never, stopping=never, patience=120.0)
    runner.clock = clock
    return lambda step: runner._attempt("make versions", step)


def test_a_step_that_worked_for_long_is_tried_again_after_its_first_failure(attempt: Attempt, clock: _Clock) -> None:
    tries = 0

    def step(context: StepContext) -> None:
        nonlocal tries
        tries += 1
        clock.time += 3600
        if tries == 1:
            raise PartUnavailable("the server starts again")

    assert attempt(step) == {"result": {}}


def test_a_step_that_comes_further_between_its_failures_is_not_given_up(attempt: Attempt, clock: _Clock) -> None:
    done = 0

    def step(context: StepContext) -> None:
        nonlocal done
        while done < 1000:
            done += 1
            clock.time += 10
            context.progress(Progress(files_done=done, files_total=1000))
            if done % 100 == 0:
                raise PartUnavailable("the server starts again")

    assert attempt(step) == {"result": {}}


def test_a_step_that_stays_where_it_is_ends_after_its_patience(attempt: Attempt, clock: _Clock) -> None:
    begun = clock.time

    def step(context: StepContext) -> None:
        for done in range(1, 8):
            context.progress(Progress(files_done=done, files_total=10))
        raise PartUnavailable("the server is away", action="Start it")

    assert attempt(step) == {"error": "the server is away", "action": "Start it"}
    assert 110 < clock.time - begun <= 120
