"""Kills the service before and after each step, hook and undo of a workflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry_tui.client.errors import ServiceUnavailable
from registry_tui.schemas.operations import Event, EventOutcome, Workflow, WorkflowStatus
from registry_tui.service.engine.steps import Definition
from registry_tui.service.workflows.catalog import DEFINITIONS
from support.platforms import Platform, wait_for
from support.replaced_service import replaced_service
from support.workflow_cases import Case


def points(definition: Definition, case: Case) -> list[str]:
    """Every point that the case passes, in order."""
    begun, names = [], ["on_start"] if definition.on_start else []
    for step in definition.steps:
        begun.append(step)
        names.append(step.name)
        if step.name == case.ends_at:
            break
    if case.outcome is WorkflowStatus.SUCCEEDED:
        names += ["on_success"] if definition.on_success else []
    else:
        names += [f"undo {step.name}" for step in reversed(begun) if step.undo]
        hook, name = {
            WorkflowStatus.CANCELLED: (definition.on_cancel, "on_cancel"),
            WorkflowStatus.FAILED: (definition.on_failure, "on_failure"),
        }[case.outcome]
        names += [name] if hook else []
    return [f"{moment} {name}" for name in names for moment in ("before", "after")]


def kill_at_every_point(platform: Platform, folder: Path, case: Case) -> None:
    """Kills the service at every point of a case, which must pass all of them and end as expected.

    `folder`: for a file of the points that were passed.
    """
    work, passed = case.work(), folder / "passed"
    expected = points(DEFINITIONS[case.kind], case)
    if hasattr(work, "arrange"):  # preparations by a workflow of the same kind come before the kills
        platform.up()
        work.arrange(platform)
    with killing_service(platform, case, passed):
        work.prepare(platform)
        # An unacknowledged request is one that the first kill was quicker than; its work goes on all the same.
        with suppress(ServiceUnavailable):
            work.begin(platform)
        if hasattr(work, "meanwhile"):
            wait_for(passed.read_text, what="the first kill")
            work.meanwhile(platform)
        wait_for(lambda: len(passed.read_text().splitlines()) >= len(expected), what=f"all of {expected}", timeout=900)
        done = wait_for(lambda: finished(platform, case), what=f"{case} to finish")
        assert done.status is case.outcome, done.error
        assert passed.read_text().splitlines() == expected
        getattr(work, case.outcome.value)(platform)
        outcomes = [event.outcome for event in events_of(platform, done)]
        assert sorted(outcomes) == sorted([EventOutcome.STARTED, EventOutcome(case.outcome.value)])
        if case.outcome is WorkflowStatus.CANCELLED:
            again = platform.ask(lambda client: client.retry_workflow(done.id))
            ended = platform.ask(lambda client: client.wait_for_workflow(again.id))
            assert ended.status is WorkflowStatus.SUCCEEDED, ended.error
            work.succeeded(platform)


@contextmanager
def killing_service(platform: Platform, case: Case, passed: Path) -> Iterator[None]:
    """In place of the platform's service: one that kills itself at every point of the case, once."""
    arguments = [case.kind.value, str(passed)]
    if case.ends_at and case.outcome is WorkflowStatus.CANCELLED:
        arguments.append(case.ends_at)
    with replaced_service(platform, "support.killing_service", *arguments):
        yield


def finished(platform: Platform, case: Case) -> Workflow | None:
    newest = platform.ask(lambda client: client.workflows(kind=case.kind.value, page_size=1)).items[0]
    return newest if newest.status.finished else None


def events_of(platform: Platform, workflow: Workflow) -> list[Event]:
    page = platform.ask(lambda client: client.events(page_size=200))
    return [event for event in page.items if event.workflow_id == workflow.id]
