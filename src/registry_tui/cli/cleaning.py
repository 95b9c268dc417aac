"""`platform`: the platform's own disk."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.contracts.counts import counted
from registry_tui.schemas.cleaning import PlatformClean, Unused, UnusedThings
from registry_tui.wording import words

app = session.new_app("The platform's own disk.")

COLUMNS = [
    Column[Unused]("KIND", lambda each: each.kind),
    Column[Unused]("NAME", lambda each: each.name),
    Column[Unused]("SIZE", lambda each: words.size(each.size_bytes), right=True),
    Column[Unused]("LAST USED", lambda each: each.used_at),
    Column[Unused]("DETAIL", lambda each: each.detail, flexible=True),
]


@app.command()
def clean(
    older_than: Annotated[
        float,
        typer.Option("--older-than", metavar="DAYS", min=0, help="Only files that were not used for so many days."),
    ] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the files to be removed.")] = False,
    yes: session.YesOption = False,
    as_json: session.JsonOption = False,
) -> None:
    """Remove environments of models, and logs of replicas, that nobody uses.

    An environment is used by deployments, also stopped ones; a log by its replica. The service removes them by itself
    after the setting `unused_days`, and earlier beyond `unused_bytes`. A removed environment is made again when a
    version needs it; a log is not.

    Example: registry-tui platform clean --older-than 7 --dry-run
    """
    request = session.build(PlatformClean, older_than_days=older_than)
    if dry_run or not yes:
        found = session.ask(lambda client: client.unused(request.older_than_days))
        if dry_run or not found.count:
            _print(found, as_json, "would be removed" if found.count else "")
            return
        if not as_json:
            output.Table(COLUMNS).print(found.items)
        session.confirm(f"Remove {_much(found)}?", yes=yes)
    _print(session.ask(lambda client: client.clean_platform(request)), as_json, "removed")


def _print(found: UnusedThings, as_json: bool, done: str) -> None:
    if as_json:
        output.print_json(found)
        return
    if found.items:
        output.Table(COLUMNS).print(found.items)
    output.note(f"{_much(found)} {done}".strip() if found.count else "Nobody leaves anything unused")


def _much(found: UnusedThings) -> str:
    more = f", of which {len(found.items)} are listed" if found.count > len(found.items) else ""
    return f"{counted(found.count, 'thing')} with {words.size(found.size_bytes)}{more}"
