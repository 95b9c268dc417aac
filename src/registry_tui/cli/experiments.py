"""`experiments` of a project."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.schemas.tracking import Experiment

app = session.new_app("Experiments of a project; they hold runs.")

COLUMNS = [
    Column[Experiment]("ID", lambda each: each.id, right=True),
    Column[Experiment]("NAME", lambda each: each.name, flexible=True),
    Column[Experiment]("CREATED", lambda each: each.created_at),
    Column[Experiment]("UPDATED", lambda each: each.updated_at),
]


@app.command("list")
def list_(
    project: session.ProjectOption,
    name: Annotated[str | None, typer.Option(help="A part of the name.")] = None,
    order_by: Annotated[str | None, typer.Option(help="name, created_at, updated_at or id; -FIELD descending.")] = None,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List a project's experiments, newest first.

    Example: registry-tui experiments list --project default --name elastic
    """
    session.ask(
        lambda client: output.print_list(
            partial(client.experiments, project, name=name, order_by=order_by), COLUMNS, as_json=as_json, limit=limit
        )
    )


@app.command()
def show(
    experiment: Annotated[str, typer.Argument(help="Name or ID.")],
    project: session.ProjectOption,
    as_json: session.JsonOption = False,
) -> None:
    """Show one experiment."""
    found = session.ask(lambda client: client.experiment(project, experiment))
    fields = {
        "name": found.name,
        "ID": found.id,
        "state": found.lifecycle_stage,
        "artifacts": found.artifact_location,
        "created": found.created_at,
        "updated": found.updated_at,
        "tags": found.tags,
    }
    output.print_one(found, fields, as_json=as_json)
