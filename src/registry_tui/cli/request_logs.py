"""`deployments requests`: the sampled request log of a deployment."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.deployment_options import DeploymentArgument
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.schemas.request_log import LoggedRequest, RequestLog, RequestLogRules
from registry_tui.wording import request_logs, rollouts, words

app = session.new_app("Requests of a deployment that were kept, with their columns; none are unless you say so.")

_COLUMNS = [
    Column[LoggedRequest]("TIME", lambda each: each.at),
    Column[LoggedRequest]("STATUS", lambda each: each.status, right=True),
    Column[LoggedRequest]("TOOK", lambda each: words.milliseconds(each.seconds), right=True),
    Column[LoggedRequest]("ROWS", lambda each: each.rows, right=True),
    Column[LoggedRequest]("ID", lambda each: each.id),
    Column[LoggedRequest]("ANSWER", lambda each: request_logs.content(each, outputs=True)),
    Column[LoggedRequest]("REQUEST", request_logs.content, flexible=True),
]


@app.command("list")
def list_(
    deployment: DeploymentArgument, limit: session.LimitOption = None, as_json: session.JsonOption = False
) -> None:
    """List the requests that were kept, newest first; --json has all of their values.

    Example: registry-tui deployments requests list wine-api --json --limit 1000
    """
    session.ask(
        lambda client: output.print_list(
            # A line shows the first value of each column.
            partial(client.logged_requests, deployment, **({} if as_json else {"values": 1})),
            _COLUMNS,
            as_json=as_json,
            limit=limit,
            empty="No requests were kept; `registry-tui deployments requests keep` has some kept",
        )
    )


@app.command()
def show(
    deployment: DeploymentArgument,
    request: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="A request that was kept, by its X-Request-ID; the newest with this ID."),
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Show a kept request with all rows and columns; without ID the log's rules, and its requests' number and size.

    Example: registry-tui deployments requests show wine-api 7c9e6679-7425-40de-944b-e07fc1f90ae7
    """
    if request is None:
        _print(session.ask(lambda client: client.request_log(deployment)), as_json)
        return
    found = session.ask(lambda client: client.logged_request(deployment, request))
    output.print_one(found, {"ID": found.id, **dict(request_logs.facts_of(found))}, as_json=as_json)
    if not as_json and (rows := request_logs.rows_of(found)):
        output.write("\n")
        output.Table(_value_columns(found)).print(rows)


def _value_columns(found: LoggedRequest) -> list[Column[request_logs.KeptRow]]:
    """The row's number, the columns of the request, and those of its answer after an arrow."""

    def of(title: str, side: str, name: str) -> Column[request_logs.KeptRow]:
        # Callers choose the names.
        return Column(output.cell(title), lambda row: row.value(side, name), flexible=True)

    return [
        Column("ROW", lambda row: row.number, right=True),
        *(of(name, "inputs", name) for name in found.inputs or {}),
        *(of(f"→ {name}", "outputs", name) for name in found.outputs or {}),
    ]


@app.command()
def keep(
    deployment: DeploymentArgument,
    share: Annotated[
        str, typer.Option("--share", metavar="SHARE", help="Random share of the requests to keep: 5%, 0.05, 1 …")
    ],
    days: Annotated[float, typer.Option("--days", metavar="N", help="Maximum number of days to keep them.")] = 7.0,
    max_size: Annotated[
        str, typer.Option("--max-size", metavar="SIZE", help="Maximum size in total; the oldest are removed first.")
    ] = "64M",
    leave_out: Annotated[
        list[str] | None, typer.Option("--leave-out", metavar="COLUMN", help="A column that is never kept; repeatable.")
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option("--mask", metavar="COLUMN", help="A column that is kept without its values; repeatable."),
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Keep a share of the requests and answers from now on, in place of the rules before.

    Columns that may not be kept are taken out before anything is written. Headers and secrets of API keys are never
    kept.

    Example: registry-tui deployments requests keep wine-api --share 5% --leave-out customer --mask email
    """
    try:
        part, most = rollouts.parse_share(share), words.parse_size(max_size)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    rules = session.build(
        RequestLogRules, share=part, days=days, max_bytes=most, leave_out=leave_out or [], mask=mask or []
    )
    _print(session.ask(lambda client: client.set_request_log(deployment, rules)), as_json)


@app.command()
def off(deployment: DeploymentArgument, as_json: session.JsonOption = False) -> None:
    """Keep no requests from now on. Those that were kept stay until they are too old."""

    async def run(client: RegistryClient) -> RequestLog:
        rules = (await client.request_log(deployment)).rules
        return await client.set_request_log(deployment, rules.model_copy(update={"share": 0.0}))

    _print(session.ask(run), as_json)


@app.command()
def delete(deployment: DeploymentArgument, yes: session.YesOption = False) -> None:
    """Delete all requests that were kept until now."""
    session.confirm(f"Delete the requests that were kept of {deployment}?", yes=yes)
    found = session.ask(lambda client: client.delete_requests(deployment))
    output.note(f"The requests that were kept of {found.deployment_name} are deleted")


def _print(found: RequestLog, as_json: bool) -> None:
    fields: dict[str, object] = {
        "deployment": found.deployment_name,
        "rules": request_logs.rules_told(found.rules),
        "kept": f"{found.kept:,} since it was deployed, {words.size(found.bytes)} now",
        "no room": f"{found.dropped:,} were left out",
    }
    output.print_one(found, fields, as_json=as_json)
