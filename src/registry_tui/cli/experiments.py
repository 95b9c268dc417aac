"""`experiments` of a project."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from registry_tui.cli import item_changes, lineage, output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.tracking import Experiment, ExperimentCreate, ExperimentsChosen, ExperimentUpdate, ItemChanges
from registry_tui.wording.words import DEFAULT_EXPERIMENT

app = session.new_app("Experiments of a project; they hold runs.")

ExperimentsArgument = Annotated[list[str], typer.Argument(metavar="EXPERIMENT...", help="Names or IDs.")]

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
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted experiments instead.")] = False,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List a project's experiments, newest first.

    Example: registry-tui experiments list --project default --name elastic
    """
    session.ask(
        lambda client: output.print_list(
            partial(client.experiments, project, name=name, order_by=order_by, deleted=deleted),
            COLUMNS,
            as_json=as_json,
            limit=limit,
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


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the new experiment.")],
    project: session.ProjectOption,
    note: Annotated[str, typer.Option(help="A note.")] = "",
    as_json: session.JsonOption = False,
) -> None:
    """Create an experiment.

    Example: registry-tui experiments create "elastic nets" --project default
    """
    request = session.build(ExperimentCreate, name=name, note=note)
    made = session.ask(lambda client: client.create_experiment(project, request))
    if as_json:
        output.print_json(made)
    else:
        output.note(f"Created experiment {made.name} with the ID {made.id}")


@app.command()
def rename(
    experiment: Annotated[str, typer.Argument(help="Name or ID.")],
    new_name: Annotated[str, typer.Argument(help="Its new name.")],
    project: session.ProjectOption,
    as_json: session.JsonOption = False,
) -> None:
    """Rename an experiment; its ID and its runs stay."""
    request = session.build(ExperimentUpdate, name=new_name)
    changed = session.ask(lambda client: client.update_experiment(project, experiment, request))
    if as_json:
        output.print_json(changed)
    else:
        output.note(f"Renamed experiment {changed.id} to {changed.name}")


@app.command()
def delete(
    experiments: ExperimentsArgument,
    project: session.ProjectOption,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
    as_json: session.JsonOption = False,
) -> None:
    """Delete experiments with their runs; `experiments restore` brings them back."""
    ids, default = session.ask(lambda client: _ids_and_default(client, project, experiments))
    if default in ids:
        output.note(DEFAULT_EXPERIMENT)
    about = [reference("experiment", project, id_) for id_ in ids]
    item_changes.confirm("delete", "experiment", experiments, project, "with all runs", about, yes=yes, dry_run=dry_run)

    async def change(client: RegistryClient, ids: list[str]) -> ItemChanges:
        return await client.delete_experiments(project, session.build(ExperimentsChosen, experiment_ids=ids))

    item_changes.change(ids, change, "Deleted", "experiment", as_json=as_json)


@app.command()
def restore(
    experiments: ExperimentsArgument, project: session.ProjectOption, as_json: session.JsonOption = False
) -> None:
    """Restore deleted experiments with their runs; `experiments list --deleted` shows them."""

    async def change(client: RegistryClient, ids: list[str]) -> ItemChanges:
        return await client.restore_experiments(project, session.build(ExperimentsChosen, experiment_ids=ids))

    ids, _ = session.ask(lambda client: _ids_and_default(client, project, experiments))
    item_changes.change(ids, change, "Restored", "experiment", as_json=as_json)


async def _ids_and_default(client: RegistryClient, project: str, named: list[str]) -> tuple[list[str], str]:
    """The IDs of experiments, and that of the project's default experiment.

    An unknown name is kept, so that the response reports it.
    """
    found = []
    for name in named:
        try:
            found.append((await client.experiment(project, name)).id)
        except NotFound:
            found.append(name)
    return found, (await client.experiment(project, "0")).id


app.command("lineage")(lineage.of_experiment)
