"""`runs rename|tag|untag|note|delete|restore`: each on one run or many."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from registry_tui.cli import item_changes, session
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.tracking import ItemChanges, RunsChosen, RunsUpdate

RunsArgument = Annotated[list[str], typer.Argument(metavar="RUN...", help="IDs of runs.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands to `runs`."""
    for command in (rename, tag, untag, note, delete, restore):
        app.command()(command)


def rename(
    runs: RunsArgument,
    name: Annotated[str, typer.Option("--name", "-n", help="The new name.")],
    project: session.ProjectOption,
    as_json: session.JsonOption = False,
) -> None:
    """Rename runs; several get the same name.

    Example: registry-tui runs rename RUN --name "best so far" --project default
    """
    _update(project, runs, "Renamed", as_json, name=name)


def tag(
    runs: RunsArgument,
    given: Annotated[list[str], typer.Option("--tag", metavar="KEY=VALUE", help="A tag; repeatable.")],
    project: session.ProjectOption,
    as_json: session.JsonOption = False,
) -> None:
    """Set tags of runs.

    Example: registry-tui runs tag RUN1 RUN2 --tag reviewed=yes --project default
    """
    _update(project, runs, "Tagged", as_json, set_tags=session.tags(given))


def untag(
    runs: RunsArgument,
    keys: Annotated[list[str], typer.Option("--tag", metavar="KEY", help="A tag's key; repeatable.")],
    project: session.ProjectOption,
    as_json: session.JsonOption = False,
) -> None:
    """Take tags from runs; those without the tag stay as they are."""
    _update(project, runs, "Untagged", as_json, delete_tags=keys)


def note(
    runs: RunsArgument,
    text: Annotated[str, typer.Option("--text", "-t", help="The note; empty to remove it.")],
    project: session.ProjectOption,
    as_json: session.JsonOption = False,
) -> None:
    """Write the note of runs, in place of the one before.

    Example: registry-tui runs note RUN --text "Trained on last week's data" --project default
    """
    _update(project, runs, "Noted at", as_json, note=text)


def delete(
    runs: RunsArgument,
    project: session.ProjectOption,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
    as_json: session.JsonOption = False,
) -> None:
    """Delete runs; `runs restore` brings them back until they are purged.

    Versions that were registered from them keep their archives.
    """
    remark = "(versions registered from them keep their archives)"
    about = [reference("run", project, run) for run in runs]
    item_changes.confirm("delete", "run", runs, project, remark, about, yes=yes, dry_run=dry_run)

    async def change(client: RegistryClient, ids: list[str]) -> ItemChanges:
        return await client.delete_runs(project, session.build(RunsChosen, run_ids=ids))

    item_changes.change(runs, change, "Deleted", "run", as_json=as_json)


def restore(runs: RunsArgument, project: session.ProjectOption, as_json: session.JsonOption = False) -> None:
    """Restore deleted runs; `runs list --deleted` shows them."""

    async def change(client: RegistryClient, ids: list[str]) -> ItemChanges:
        return await client.restore_runs(project, session.build(RunsChosen, run_ids=ids))

    item_changes.change(runs, change, "Restored", "run", as_json=as_json)


def _update(project: str, runs: list[str], done: str, as_json: bool, **changed: Any) -> None:
    async def change(client: RegistryClient, ids: list[str]) -> ItemChanges:
        return await client.update_runs(project, session.build(RunsUpdate, run_ids=ids, **changed))

    session.build(RunsUpdate, run_ids=runs[:1], **changed)
    item_changes.change(runs, change, done, "run", as_json=as_json)
