"""`webhooks`: addresses that get signed messages about events."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.counts import counted
from registry_tui.contracts.lineage_refs import reference
from registry_tui.contracts.webhook_events import NOUNS
from registry_tui.schemas.webhooks import (
    DeliveryState,
    Webhook,
    WebhookChange,
    WebhookCreate,
    WebhookDelivery,
    WebhookReplay,
    WebhookSecret,
)

app = session.new_app("Webhooks: addresses that get signed messages about events (Standard Webhooks).")

COLUMNS = [
    Column[Webhook]("NAME", lambda each: each.name),
    Column[Webhook]("ENVIRONMENT", lambda each: each.environment_name),
    Column[Webhook]("STATE", lambda each: each.state),
    Column[Webhook]("URL", lambda each: each.url, flexible=True),
    Column[Webhook]("EVENTS", lambda each: each.events, flexible=True),
    Column[Webhook]("REASON", lambda each: each.reason, flexible=True),
]
DELIVERY_COLUMNS = [
    Column[WebhookDelivery]("ID", lambda each: each.id),
    Column[WebhookDelivery]("TYPE", lambda each: each.type),
    Column[WebhookDelivery]("STATE", lambda each: each.state),
    Column[WebhookDelivery]("CREATED", lambda each: each.created_at),
    Column[WebhookDelivery]("ATTEMPTS", lambda each: each.attempt_count, right=True),
    Column[WebhookDelivery]("LAST", lambda each: _last(each), flexible=True),
    Column[WebhookDelivery]("NEXT", lambda each: each.next_at),
]

WebhookArgument = Annotated[str, typer.Argument(help="Name, ID or ENVIRONMENT/NAME of a webhook.")]
EventsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        help=f"Types of events: version.ready, 'version.*' or '*' (of {', '.join(NOUNS)}); repeatable.",
    ),
]
#: Seconds that `test` waits for the outcome: an attempt takes 15 at most.
_PATIENCE = 30.0


@app.command("list")
def list_(
    environment: Annotated[
        str | None,
        typer.Option(
            "--environment", help="Only webhooks of this environment.", autocompletion=session.complete_environment
        ),
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option("--registry", help="Only webhooks for this registry.", autocompletion=session.complete_registry),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only webhooks for this model, by its name.")] = None,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List the webhooks of the environments that you administer, and those that you made for your models."""
    session.ask(
        lambda client: output.print_list(
            partial(client.webhooks, environment=environment, registry=registry, model=model),
            COLUMNS,
            as_json=as_json,
            limit=limit,
            empty="No webhooks; `registry-tui webhooks create NAME URL` makes one",
        )
    )


@app.command()
def show(webhook: WebhookArgument, as_json: session.JsonOption = False) -> None:
    """Show one webhook."""
    _print(session.ask(lambda client: client.webhook(webhook)), as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Its name in the environment.")],
    url: Annotated[str, typer.Argument(help="Where messages go: https://HOST/PATH.")],
    environment: Annotated[
        str,
        typer.Option(
            "--environment", help="The environment whose events are sent.", autocompletion=session.complete_environment
        ),
    ] = "local",
    events: EventsOption = None,
    registry: Annotated[
        str | None,
        typer.Option("--registry", help="Only events about this registry.", autocompletion=session.complete_registry),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only events about this model, by its name.")] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Make a webhook. Its secret is shown this once; messages are signed with it.

    The host has to be in the setting webhook_hosts, or webhook_private_hosts. Owners of models name one with --model.

    Example: registry-tui webhooks create ci https://ci.example.com/hook --event version.ready
    """
    request = session.build(
        WebhookCreate,
        name=name,
        environment=environment,
        url=url,
        events=events or ["*"],
        registry=registry,
        model=model,
    )
    _print_secret(session.ask(lambda client: client.create_webhook(request)), as_json)


@app.command()
def change(
    webhook: WebhookArgument,
    url: Annotated[str | None, typer.Option("--url", help="Where messages go.")] = None,
    events: EventsOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Change where messages go, or which."""
    request = session.changes(WebhookChange, url=url, events=events)
    _print(session.ask(lambda client: client.change_webhook(webhook, request)), as_json)


@app.command()
def delete(webhook: WebhookArgument, yes: session.YesOption = False, dry_run: session.DryRunOption = False) -> None:
    """Delete a webhook with the log of its deliveries."""
    question = f"Delete the webhook {webhook} with the log of its deliveries?"
    session.confirm_deletion(question, reference("webhook", webhook), yes=yes, dry_run=dry_run)
    session.ask(lambda client: client.delete_webhook(webhook))
    output.note(f"Webhook {webhook} is deleted")


@app.command()
def pause(webhook: WebhookArgument) -> None:
    """Pause a webhook; events are queued meanwhile."""
    session.ask(lambda client: client.pause_webhook(webhook))
    output.note(f"Webhook {webhook} is paused; `registry-tui webhooks resume {webhook}` goes on")


@app.command()
def resume(webhook: WebhookArgument) -> None:
    """Resume a webhook, queued events first; if its creator may not have it any more, with the events you may see."""
    session.ask(lambda client: client.resume_webhook(webhook))
    output.note(f"Webhook {webhook} is active")


@app.command("rotate-secret")
def rotate_secret(
    webhook: WebhookArgument,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
    as_json: session.JsonOption = False,
) -> None:
    """Give a webhook a new secret; for a day messages have a signature with the one of before too."""
    question = f"Sign the messages of {webhook} with a new secret, which is shown once?"
    session.confirm_deletion(question, reference("webhook-secret", webhook), yes=yes, dry_run=dry_run)
    _print_secret(session.ask(lambda client: client.rotate_webhook_secret(webhook)), as_json)


@app.command()
def test(webhook: WebhookArgument, as_json: session.JsonOption = False) -> None:
    """Send a message of type webhook.test, and show the result."""

    async def run(client: RegistryClient) -> WebhookDelivery:
        made = await client.test_webhook(webhook)
        until = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            found = next(
                (each for each in (await client.webhook_deliveries(webhook)).items if each.id == made.id), made
            )
            if found.attempt_count or found.finished_at or asyncio.get_running_loop().time() > until:
                return found
            await asyncio.sleep(0.2)

    found = session.ask(run)
    fields: dict[str, object] = {
        "id": found.id,
        "state": found.state,
        "answer": _last(found),
        "next attempt": found.next_at,
    }
    output.print_one(found, fields, as_json=as_json)
    if found.state is not DeliveryState.DELIVERED:
        raise typer.Exit(1)


@app.command()
def deliveries(
    webhook: WebhookArgument,
    state: Annotated[DeliveryState | None, typer.Option("--state", help="Only deliveries in this state.")] = None,
    limit: session.FirstOption = 50,
    as_json: session.JsonOption = False,
) -> None:
    """List a webhook's sent and queued messages, newest first."""
    session.ask(
        lambda client: output.print_list(
            partial(client.webhook_deliveries, webhook, state=state),
            DELIVERY_COLUMNS,
            as_json=as_json,
            limit=limit,
            empty="Nothing yet; `registry-tui webhooks test` sends a message",
        )
    )


@app.command()
def replay(
    webhook: WebhookArgument,
    delivery: Annotated[str | None, typer.Argument(help="ID of a delivery.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="All that failed since 2026-11-22, 2026-11-22T13:00, or 2h, 3d, 1w ago."),
    ] = None,
) -> None:
    """Send one delivery again, or all that failed since a time; each keeps its ID."""
    if (delivery is None) == (since is None):
        raise typer.BadParameter("name one delivery, or give --since", param_hint="DELIVERY")
    begin = session.moment(since)

    async def run(client: RegistryClient) -> int:
        moment: datetime | None = await session.by_the_service(client, begin)
        request = session.build(WebhookReplay, delivery=delivery, since=moment)
        return (await client.replay_webhook(webhook, request)).count

    output.note(f"{counted(session.ask(run), 'delivery', 'deliveries')} will be sent again")


def _last(found: WebhookDelivery) -> str | None:
    if not found.attempts:
        return found.reason or None
    last = found.attempts[-1]
    return f"{last.status or 'no answer'}, {last.duration_ms} ms: {last.answer}".rstrip(": ")


def _fields(found: Webhook) -> dict[str, object]:
    return {
        "name": found.name,
        "ID": found.id,
        "environment": found.environment_name,
        "URL": found.url,
        "events": found.events,
        "registry": found.registry_id,
        "model": found.model,
        "state": f"{found.state.value}{f': {found.reason}' if found.reason else ''}",
        "failed attempts in a row": found.failures,
        "created": f"{output.cell(found.created_at)} by {found.creator}",
        "old secret until": found.old_secret_until,
    }


def _print(found: Webhook, as_json: bool) -> None:
    output.print_one(found, _fields(found), as_json=as_json)


def _print_secret(found: WebhookSecret, as_json: bool) -> None:
    output.print_one(found, {**_fields(found.webhook), "secret": found.secret}, as_json=as_json)
    if not as_json:
        output.note("The secret is not shown again")
