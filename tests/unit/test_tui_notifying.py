"""Who is notified of the end of which work, and that nobody is notified twice."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from registry_tui.app import notifying
from registry_tui.app.notifying import Notifying
from registry_tui.client import NotFound
from registry_tui.schemas.base import Problem
from registry_tui.schemas.operations import Workflow, WorkflowKind, WorkflowStatus
from registry_tui.terminal.preferences import Preferences, Terminal

PROBLEM: dict[str, Any] = {"type": "x", "title": "x", "status": 404, "code": "not-found", "request_id": "r"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def work(id_: str, status: WorkflowStatus, actor: str = "ada") -> Workflow:
    return Workflow(
        id=id_,
        kind=WorkflowKind.DEPLOY,
        status=status,
        resource_type="deployment",
        resource_id="1",
        resource_name=f"wine-{id_}",
        actor=actor,
        request_id="r",
        steps=["build"],
        created_at=NOW,
        updated_at=NOW,
    )


class Service:
    """Answers how a workflow is."""

    def __init__(self) -> None:
        self.ended: dict[str, Workflow] = {}

    async def workflow(self, id_: str) -> Workflow:
        if id_ not in self.ended:
            raise NotFound(Problem(**PROBLEM, detail=f"There is no workflow {id_}"))
        return self.ended[id_]


class Program(Notifying):
    """The notifying part, for a person who looks elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.user = "ada"
        self.preferences = Preferences(terminal=Terminal(notify="osc"))
        self.service = Service()

    @property
    def client(self) -> Any:
        return self.service


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(notifying, "write_raw", lambda app, sequences: found.append(sequences))
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    return found


async def test_only_own_work_is_told_once_and_only_without_focus(written: list[str]) -> None:
    program = Program()
    async with program.run_test():
        program.work_seen(work("seen", WorkflowStatus.SUCCEEDED))
        program.app_focus = False
        program.work_seen(work("seen", WorkflowStatus.SUCCEEDED))
        program.work_seen(work("others", WorkflowStatus.SUCCEEDED, "bob"))
        program.work_seen(work("running", WorkflowStatus.RUNNING))
        assert written == []
        for _ in range(2):
            program.work_seen(work("running", WorkflowStatus.FAILED))
        assert written == ["\x1b]9;registry-tui: deploy of wine-running: failed\a"]


async def test_work_that_ended_while_there_was_no_stream_is_told_too(written: list[str]) -> None:
    program = Program()
    async with program.run_test():
        program.app_focus = False
        await program.works_seen([work(each, WorkflowStatus.RUNNING) for each in ("ended", "forgotten", "runs")])
        program.service.ended["ended"] = work("ended", WorkflowStatus.CANCELLED)
        for _ in range(2):
            await program.works_seen([work("runs", WorkflowStatus.RUNNING)])
        assert written == ["\x1b]9;registry-tui: deploy of wine-ended: cancelled\a"]
