"""`keys`: API keys for calling deployments."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from registry_tui.cli import lineage, output, session
from registry_tui.cli.output import Column
from registry_tui.contracts.api_keys import id_of
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.deployments import ApiKey, ApiKeyCreate, KeyLimits
from registry_tui.wording import key_limits

app = session.new_app("API keys: the credentials of deployments' callers.")

PerSecondOption = Annotated[
    float | None, typer.Option("--per-second", metavar="N", help="Requests a second, to all deployments together.")
]
BurstOption = Annotated[
    int | None, typer.Option("--burst", metavar="N", help="Requests at once; default: those of a second, at least 1.")
]
PerDayOption = Annotated[int | None, typer.Option("--per-day", metavar="N", help="Requests of a day (UTC).")]
PerMonthOption = Annotated[int | None, typer.Option("--per-month", metavar="N", help="Requests of a month (UTC).")]

COLUMNS = [
    Column[ApiKey]("ID", lambda each: each.id),
    Column[ApiKey]("NAME", lambda each: each.name, flexible=True),
    Column[ApiKey]("OWNER", lambda each: each.owner),
    Column[ApiKey]("CREATED", lambda each: each.created_at),
    Column[ApiKey]("EXPIRES", lambda each: each.expires_at),
    Column[ApiKey]("LAST USED", lambda each: each.last_used_at),
    Column[ApiKey]("REVOKED", lambda each: each.revoked_at),
    Column[ApiKey]("LIMITS", key_limits.in_table),
]


@app.command("list")
def list_(
    everybody: Annotated[bool, typer.Option("--everybody", help="The keys of all users, for administrators.")] = False,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List your API keys, newest first."""
    session.ask(
        lambda client: output.print_list(
            partial(client.keys, everybody=everybody),
            COLUMNS,
            as_json=as_json,
            limit=limit,
            empty="No API keys; `registry-tui keys create NAME` makes one",
        )
    )


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The key's name, such as its purpose.")],
    expires: session.ExpiresOption = None,
    per_second: PerSecondOption = None,
    burst: BurstOption = None,
    per_day: PerDayOption = None,
    per_month: PerMonthOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Make an API key. It is shown this once; only its hash is stored.

    Example: export API_KEY="$(registry-tui keys create ci --expires 90)"
    """
    limits = session.build(KeyLimits, per_second=per_second, burst=burst, per_day=per_day, per_month=per_month)
    request = session.build(ApiKeyCreate, name=name, limits=limits, **session.expiry(expires))
    made = session.ask(lambda client: client.create_key(request))
    if as_json:
        output.print_json(made)
        return
    output.note(
        f"API key {made.api_key.name} ({made.api_key.id}), good until {output.cell(made.api_key.expires_at)}. "
        "It is shown only now:"
    )
    output.write(f"{made.key}\n")
    output.flush()


@app.command()
def limit(
    key: Annotated[str, typer.Argument(help="ID of the key, how it begins, or the key.")],
    per_second: PerSecondOption = None,
    burst: BurstOption = None,
    per_day: PerDayOption = None,
    per_month: PerMonthOption = None,
    none: Annotated[bool, typer.Option("--none", help="No limits any more.")] = False,
    as_json: session.JsonOption = False,
) -> None:
    """Replace an API key's limits. Requests beyond them are refused with 429.

    Example: registry-tui keys limit 0a1b2c3d4e5f --per-second 5 --burst 20 --per-day 10000
    """
    limits = session.build(KeyLimits, per_second=per_second, burst=burst, per_day=per_day, per_month=per_month)
    if bool(limits) is none:
        raise typer.BadParameter("give limits, or --none" if not none else "--none stands alone")
    found = session.ask(lambda client: client.limit_key(key, limits))
    if as_json:
        output.print_json(found)
        return
    output.note(f"The API key {found.name}: {key_limits.limits_told(found.limits)}")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="ID of the key, how it begins, or the key.")],
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
) -> None:
    """Make an API key useless at once."""
    question = f"Revoke the API key {id_of(key)}? Calls with it are refused from now on."
    session.confirm_deletion(question, reference("key", id_of(key)), yes=yes, dry_run=dry_run)
    found = session.ask(lambda client: client.revoke_key(key))
    output.note(f"The API key {found.name} is revoked")


app.command("lineage")(lineage.of_key)
