"""`events`: actions with their user, time, resource and outcome."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.contracts.counts import counted
from registry_tui.schemas.operations import ChainCheck, Event, EventOutcome, LogLine
from registry_tui.wording import words

app = session.new_app("Events: who did what, when, to which resource, with which outcome.")

COLUMNS = [
    Column[Event]("ID", lambda each: each.id, right=True),
    Column[Event]("TIME", lambda each: each.created_at),
    Column[Event]("WHO", lambda each: each.actor),
    Column[Event]("WHAT", lambda each: each.action),
    Column[Event]("TO", lambda each: each.resource_name, flexible=True),
    Column[Event]("OUTCOME", lambda each: each.outcome),
    Column[Event](
        "TOOK", lambda each: None if each.duration_ms is None else words.duration(each.duration_ms / 1000), right=True
    ),
    Column[Event]("DETAIL", lambda each: each.detail, flexible=True),
]
LINES = [
    Column[LogLine]("TIME", lambda each: each.created_at),
    Column[LogLine]("LEVEL", lambda each: each.level),
    Column[LogLine]("TEXT", lambda each: each.text),
]


@app.command("list")
def list_(
    registry: Annotated[
        str | None,
        typer.Option(
            "--registry", "-r", help="Only events of this registry.", autocompletion=session.complete_registry
        ),
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only this user's actions.")] = None,
    action: Annotated[str | None, typer.Option(help="registry.create, or registry for all of its actions.")] = None,
    outcome: Annotated[EventOutcome | None, typer.Option(help="Only events with this outcome.")] = None,
    resource: Annotated[str | None, typer.Option(help="Only events about the object with this ID.")] = None,
    since: Annotated[
        str | None, typer.Option(help="The start: 2026-11-22, 2026-11-22T13:00, or 2h, 3d, 1w ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="The end, in the forms of --since.")] = None,
    limit: session.FirstOption = 100,
    all_: session.AllOption = False,
    as_json: session.JsonOption = False,
) -> None:
    """List events, newest first.

    Example: registry-tui events list --since 2h --outcome failed
    """
    begin, end = session.moment(since), session.moment(until)

    async def listed(client: RegistryClient) -> None:
        events = partial(
            client.events,
            registry=registry,
            actor=actor,
            action=action,
            outcome=outcome.value if outcome else None,
            resource=resource,
            since=await session.by_the_service(client, begin),
            until=await session.by_the_service(client, end),
        )
        most = None if all_ else limit
        await output.print_list(events, COLUMNS, as_json=as_json, limit=most, empty="No event found")

    session.ask(listed)


@app.command()
def verify(
    expect: Annotated[
        str | None,
        typer.Option(metavar="ID:HASH", help="An event and its hash, as kept earlier: it has to be there still."),
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Look whether every event is as it was recorded, by the hash chain over them. Exits with 1 when one is not.

    Keep the last event and its hash elsewhere: with --expect, they show later that nobody computed the chain again.
    """
    known = None if expect is None else _known(expect)

    async def run(client: RegistryClient) -> ChainCheck:
        status, checked, after = output.Status(), 0, 0
        try:
            while True:
                found = await client.verify_events(after)
                checked += found.checked
                status.show(f"{counted(checked, 'event')} looked at", key="events")
                if found.next_after is None:
                    break
                after = found.next_after
        finally:
            status.close()
        if known is not None and not found.problem:
            kept = (await client.event_links(known[0] - 1, page_size=1)).items
            if not kept or (kept[0].id, kept[0].hash) != known:
                was = f"event {known[0]} had another hash when it was kept"
                problem = f"{was}: somebody computed the chain again, or it is another platform's"
                found = found.model_copy(update={"broken_id": known[0], "problem": problem})
        return found.model_copy(update={"checked": checked})

    found = session.ask(run)
    fields = {
        "sound": not found.problem,
        "events": found.checked,
        "broken": found.broken_id,
        "last event": found.head_id,
        "its hash": found.head_hash,
    }
    output.print_one(found, fields, as_json=as_json)
    if found.problem:
        raise RegistryError(
            f"The events are not as they were recorded: {found.problem}",
            action="Compare with a backup of the platform, or with an evidence pack from before",
        )


def _known(expect: str) -> tuple[int, str]:
    number, _, kept = expect.partition(":")
    if not number.isdigit() or not 0 < int(number) < 1 << 63 or not re.fullmatch("[0-9a-f]{64}", kept):
        raise typer.BadParameter("give it as `events verify` printed it: 1234:<64 hexadecimal digits>")
    return int(number), kept


@app.command()
def logs(
    event: Annotated[int, typer.Argument(min=1, help="ID of the event.")],
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List an event's log lines, oldest first."""
    session.ask(
        lambda client: output.print_list(
            partial(client.event_logs, event), LINES, as_json=as_json, limit=limit, empty="It has no log lines"
        )
    )
