"""A process with a workflow engine that tests kill: `engine_script.py FOLDER start|resume FAIL DIE_AT`.

Every function writes a line to the journal, for the order and number of its runs. DIE_AT is `before a`, `after undo b`
…: the process kills itself there, or after `finished`, which it prints with the outcome.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any, cast

from registry_tui.schemas.operations import WorkflowKind, WorkflowStatus
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.database import Database
from registry_tui.service.engine.engine import Engine
from registry_tui.service.engine.steps import Definition, Step, StepContext
from registry_tui.service.errors import InUse
from registry_tui.service.operations import events
from registry_tui.service.operations.workflows import list_workflows, workflow_logs

PRINCIPAL = Principal("ann", "crn:ann", "request-1", administrator=True)


def main(folder: Path, command: str, fail: bool, die_at: str) -> None:
    journal = (folder / "journal").open("a", encoding="utf-8")

    def note(text: str) -> None:
        journal.write(f"{text}\n")
        journal.flush()

    def step(name: str) -> Step:
        def run(context: StepContext) -> dict[str, Any]:
            note(f"{name} {sorted(context.state)}")
            context.log(f"doing {name}")
            if fail and name == "b":
                raise InUse("b is in use", action="Wait")
            return {name: context.arguments["n"]}

        def undo(context: StepContext) -> None:
            note(f"undo {name} because {context.error}")

        return Step(name, run, undo)

    definition = Definition(
        kind=WorkflowKind.PROVISION,
        steps=(step("a"), step("b")),
        action="registry.create",
        on_start=lambda context: note("on_start"),
        on_success=lambda context: note(f"on_success {sorted(context.state)}"),
        on_failure=lambda context: note(f"on_failure {context.error}"),
    )

    def die(moment: str, kind: WorkflowKind, name: str) -> None:
        if f"{moment} {name}" == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    database = Database.at(folder / "service.db")
    database.migrate()
    engine = Engine(f"sqlite:///{folder}/workflows.db", {definition.kind: definition})
    engine.observe(die)

    class Parts:
        pass

    parts = Parts()
    parts.__dict__.update(database=database, workflows=engine)
    service = cast(Service, parts)
    engine.attach(service)
    if command == "start":
        engine.start(PRINCIPAL, definition.kind, resource=Resource("registry", "r1", "wine"), arguments={"n": 7})
    engine.launch()
    workflow = engine.wait(list_workflows(service, PRINCIPAL).items[0].id, timeout=60)
    assert workflow.status in (WorkflowStatus.SUCCEEDED, WorkflowStatus.FAILED)
    told = [(event.action, event.outcome.value) for event in events.list_events(service, PRINCIPAL).items]
    lines = [line.text for line in workflow_logs(service, PRINCIPAL, workflow.id).items]
    print(workflow.status.value, workflow.steps_done, workflow.error, workflow.action, told, len(lines))
    engine.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "fail", sys.argv[4])
