"""`workflows`: long work, which continues independently of the terminal."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.events import LINES
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.schemas.operations import Workflow, WorkflowKind, WorkflowStatus
from registry_tui.wording import words

app = session.new_app("Workflows: long work that survives the terminal, and every crash.")

COLUMNS = [
    Column[Workflow]("ID", lambda each: each.id),
    Column[Workflow]("KIND", lambda each: each.kind),
    Column[Workflow]("WORKS ON", lambda each: each.resource_name, flexible=True),
    Column[Workflow]("STATUS", lambda each: each.status),
    Column[Workflow]("STEPS", lambda each: f"{each.steps_done} of {len(each.steps)}", right=True),
    Column[Workflow]("WHO", lambda each: each.actor),
    Column[Workflow]("STARTED", lambda each: each.created_at),
    Column[Workflow]("TOOK", lambda each: _took(each), right=True),
    Column[Workflow]("ERROR", lambda each: each.error, flexible=True),
]
WorkflowArgument = Annotated[str, typer.Argument(help="ID of the workflow.")]
StatusOption = Annotated[
    str | None, typer.Option(help=f"active, or one of {', '.join(each.value for each in WorkflowStatus)}.")
]


def _took(found: Workflow) -> str:
    end = found.finished_at or found.updated_at
    return words.duration((end - found.created_at).total_seconds())


def _print(found: Workflow, as_json: bool) -> None:
    progress = found.progress
    fields = {
        "ID": found.id,
        "kind": found.kind,
        "works on": f"{found.resource_type} {found.resource_name}",
        "status": found.status,
        "steps": ", ".join(
            f"{'✓' if index < found.steps_done else '·'} {step}" for index, step in enumerate(found.steps)
        ),
        "progress": f"{words.size(progress.bytes_done)} of {words.size(progress.bytes_total)}",
        "now": f"a replica {progress.waits}" if progress.waits and found.finished_at is None else None,
        "who": found.actor,
        "request ID": found.request_id,
        "started": found.created_at,
        "finished": found.finished_at,
        "error": found.error,
        "what to do": found.action,
    }
    output.print_one(found, fields, as_json=as_json)


@app.command("list")
def list_(
    kind: Annotated[WorkflowKind | None, typer.Option(help="Only workflows of this kind.")] = None,
    status: StatusOption = None,
    limit: session.FirstOption = 100,
    all_: session.AllOption = False,
    as_json: session.JsonOption = False,
) -> None:
    """List workflows, newest first.

    Example: registry-tui workflows list --status active
    """
    session.ask(
        lambda client: output.print_list(
            partial(client.workflows, kind=kind.value if kind else None, status=status),
            COLUMNS,
            as_json=as_json,
            limit=None if all_ else limit,
            empty="No workflow found",
        )
    )


@app.command()
def show(workflow: WorkflowArgument, as_json: session.JsonOption = False) -> None:
    """Show one workflow with its steps and progress."""
    _print(session.ask(lambda client: client.workflow(workflow)), as_json)


@app.command()
def cancel(workflow: WorkflowArgument, as_json: session.JsonOption = False) -> None:
    """Cancel a workflow and undo its steps."""
    _print(session.ask(lambda client: client.cancel_workflow(workflow)), as_json)


@app.command()
def retry(workflow: WorkflowArgument, wait: session.WaitOption = True, as_json: session.JsonOption = False) -> None:
    """Do a failed or cancelled workflow's work again, as a new workflow."""

    async def run(client: RegistryClient) -> Workflow:
        started = await client.retry_workflow(workflow)
        return await session.wait(client, started) if wait else started

    _print(session.ask(run), as_json)


@app.command()
def logs(workflow: WorkflowArgument, limit: session.LimitOption = None, as_json: session.JsonOption = False) -> None:
    """List a workflow's log lines, oldest first."""
    session.ask(
        lambda client: output.print_list(
            partial(client.workflow_logs, workflow), LINES, as_json=as_json, limit=limit, empty="It has no log lines"
        )
    )


@app.command()
def wait(workflow: WorkflowArgument, as_json: session.JsonOption = False) -> None:
    """Wait until a workflow is finished, with its progress. Exits with 1 unless it succeeded."""

    async def run(client: RegistryClient) -> Workflow:
        return await session.wait(client, await client.workflow(workflow))

    _print(session.ask(run), as_json)
