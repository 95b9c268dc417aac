"""`search`: everything by name."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.schemas.search import DEFAULT_LIMIT, MAX_LIMIT, MAX_TEXT, Found, FoundKind
from registry_tui.wording.found import place_of

COLUMNS = [
    Column[Found]("KIND", lambda each: each.kind),
    Column[Found]("NAME", lambda each: each.name, flexible=True),
    Column[Found]("IN", place_of, flexible=True),
    Column[Found]("ID", lambda each: each.id),
    Column[Found]("CHANGED", lambda each: each.updated_at),
]


def search(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORDS]...", help="Letters of a name, in order, or the first ones of an ID."),
    ] = None,
    kind: Annotated[list[FoundKind] | None, typer.Option("--kind", "-k", help="Only this kind; repeatable.")] = None,
    project: Annotated[
        str | None,
        typer.Option(
            "--project",
            "-p",
            help="Only this project and its contents.",
            autocompletion=session.complete_project,
        ),
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option(
            "--registry", "-r", help="Only models of this registry.", autocompletion=session.complete_registry
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=MAX_LIMIT, help="List at most this many of each kind.")
    ] = DEFAULT_LIMIT,
    as_json: session.JsonOption = False,
) -> None:
    """Find projects, registries, models, deployments, experiments, environments and runs by name, the best first.

    Without words, lists the newest of each kind.

    Example: registry-tui search wine qual --kind model
    """
    text = " ".join(words or [])
    if len(text) > MAX_TEXT:
        raise typer.BadParameter(f"at most {MAX_TEXT} letters", param_hint="WORDS")

    async def find(client: RegistryClient) -> None:
        found = await client.search(text, kinds=kind or (), project=project, registry=registry, limit=limit)
        if as_json:
            output.print_json(found)
            return
        if found.items:
            output.Table(COLUMNS).print(found.items)
        elif not found.not_searched:
            output.note("Nothing found")
        if found.more:
            output.note(f"There are more than {limit} of: {', '.join(found.more)}")
        if found.not_searched:
            output.note(f"MLflow's server does not answer; not searched: {', '.join(found.not_searched)}")

    session.ask(find)
