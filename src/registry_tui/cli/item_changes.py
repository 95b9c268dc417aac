"""Shared parts of commands about several runs or experiments: the confirmation, and reporting each item's outcome."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import typer

from registry_tui.cli import output, session
from registry_tui.client.client import RegistryClient
from registry_tui.client.parts import in_parts
from registry_tui.contracts.counts import counted
from registry_tui.schemas.tracking import ItemChanges

#: Names that a question lists.
_LISTED = 5
#: Names that a report of an outcome lists.
_REPORTED = 20


def confirm(
    verb: str,
    noun: str,
    named: Sequence[str],
    project: str,
    remark: str,
    about: Sequence[str],
    *,
    yes: bool,
    dry_run: bool,
) -> None:
    """Asks before items are deleted, with their number, the first names, and their dependents."""
    count = counted(len(named), noun) if len(named) > 1 else f"the {noun}"
    more = ", …" if len(named) > _LISTED else ""
    shown = ", ".join(output.cell(each) for each in named[:_LISTED])
    question = f"{verb.capitalize()} {count} {shown}{more} of project {project} {remark}?"
    session.confirm_deletion(question, about, yes=yes, dry_run=dry_run)


def change(
    ids: Sequence[str],
    ask: Callable[[RegistryClient, list[str]], Coroutine[Any, Any, ItemChanges]],
    done: str,
    noun: str,
    *,
    as_json: bool,
) -> None:
    """Changes any number of items, and prints the outcome."""
    changes = session.ask(lambda client: in_parts(ids, lambda part: ask(client, part)))
    report(changes, done, noun, as_json=as_json)


def report(changes: ItemChanges, done: str, noun: str, *, as_json: bool) -> None:
    """Prints which items were changed and why others were not; ends the command with 1 when any was not."""
    failed = changes.failed
    if as_json:
        output.print_json(changes)
    else:
        changed = [each for each in changes.items if each.problem is None]
        if changed:
            names = ", ".join(output.cell(each.name or each.id) for each in changed[:_REPORTED])
            more = f" and {len(changed) - _REPORTED} more" if len(changed) > _REPORTED else ""
            output.note(f"{done} {counted(len(changed), noun)}: {names}{more}")
    for each in failed:
        if each.problem is not None:
            action = f". {each.problem.action}" if each.problem.action else ""
            output.note(f"{output.cell(each.name or each.id)}: {each.problem.detail}{action}")
    if failed:
        raise typer.Exit(1)
