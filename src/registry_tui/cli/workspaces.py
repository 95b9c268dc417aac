"""`workspaces`: places where teams work, in one environment."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.places import Workspace, WorkspaceCreate

app = session.new_app("Workspaces: places where teams work, in one environment; they hold projects.")

COLUMNS = [
    Column[Workspace]("NAME", lambda each: each.name),
    Column[Workspace]("ENVIRONMENT", lambda each: each.environment_name),
    Column[Workspace]("PROJECTS", lambda each: each.project_count, right=True),
    Column[Workspace]("SYNCHRONIZED", lambda each: each.synchronized_at if each.synchronized else "no"),
    Column[Workspace]("CREATED", lambda each: each.created_at),
]
EnvironmentOption = Annotated[
    str, typer.Option("--environment", "-e", help="Name or ID.", autocompletion=session.complete_environment)
]
OfEnvironmentOption = Annotated[
    str | None,
    typer.Option(
        "--environment", "-e", help="Only those of this environment.", autocompletion=session.complete_environment
    ),
]


def _print(found: Workspace, as_json: bool) -> None:
    fields = {
        "name": found.name,
        "ID": found.id,
        "CRN": found.crn,
        "environment": found.environment_name,
        "projects": found.project_count,
        "synchronized": found.synchronized_at if found.synchronized else "no",
        "created": f"{output.cell(found.created_at)} by {found.creator}",
    }
    output.print_one(found, fields, as_json=as_json)


@app.command("list")
def list_(
    environment: OfEnvironmentOption = None,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List the workspaces, of all environments or of one."""
    session.ask(
        lambda client: output.print_list(partial(client.workspaces, environment), COLUMNS, as_json=as_json, limit=limit)
    )


@app.command()
def show(workspace: session.WorkspaceArgument, as_json: session.JsonOption = False) -> None:
    """Show one workspace."""
    _print(session.ask(lambda client: client.workspace(workspace)), as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="2 to 40 lower-case letters, digits and dashes.")],
    environment: EnvironmentOption,
    as_json: session.JsonOption = False,
) -> None:
    """Make a workspace. Synchronize the environment's Model Registry to let its projects register models.

    Example: registry-tui workspaces create ml-test --environment local
    """
    request = session.build(WorkspaceCreate, name=name, environment=environment)
    _print(session.ask(lambda client: client.create_workspace(request)), as_json)


@app.command()
def delete(
    workspace: session.WorkspaceArgument, yes: session.YesOption = False, dry_run: session.DryRunOption = False
) -> None:
    """Delete a workspace that holds no projects."""
    session.confirm_deletion(
        f"Delete the workspace {workspace}?", reference("workspace", workspace), yes=yes, dry_run=dry_run
    )
    session.ask(lambda client: client.delete_workspace(workspace))
    output.note(f"Workspace {workspace} is deleted")
