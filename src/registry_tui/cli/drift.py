"""`deployments drift`, `deployments watch`, `models profile`: how far requests are from the training data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from registry_tui.cli import output, session
from registry_tui.cli.deployment_options import DeploymentArgument
from registry_tui.cli.output import Column
from registry_tui.client import profiling
from registry_tui.client.client import RegistryClient
from registry_tui.contracts import profiles
from registry_tui.contracts.counts import counted
from registry_tui.schemas.drift import (
    ColumnDrift,
    Drift,
    DriftRules,
    ProfiledColumn,
    VersionProfile,
)
from registry_tui.wording import drift as wording

#: Exit codes of `deployments drift`, beside 1 for failures and 2 for wrong usage.
DRIFTS, NOT_JUDGED = 3, 4

_COLUMNS = [
    Column[ColumnDrift]("COLUMN", lambda each: f"{each.side.value} {each.name}", flexible=True),
    Column[ColumnDrift]("STATE", lambda each: wording.state(each).text),
    Column[ColumnDrift]("PSI", lambda each: f"{each.psi:.3f}", right=True),
    Column[ColumnDrift]("KS", lambda each: None if each.ks is None else f"{each.ks:.3f}", right=True),
    Column[ColumnDrift]("P", lambda each: None if each.p_value is None else f"{each.p_value:.2g}", right=True),
    Column[ColumnDrift]("VALUES", lambda each: each.count, right=True),
    Column[ColumnDrift]("MISSING", lambda each: each.missing, right=True),
]

MaxPsiOption = Annotated[
    str | None, typer.Option("--max-psi", metavar="N", help="PSI from which on a column drifts; off.")
]
MaxKsOption = Annotated[
    str | None, typer.Option("--max-ks", metavar="N", help="KS from which on a numeric column drifts; off.")
]
HoursOption = Annotated[float | None, typer.Option("--hours", metavar="N", help="The requests of so many hours.")]
RequestsOption = Annotated[
    int | None, typer.Option("--requests", metavar="N", help="The newest requests, at most so many.")
]
MinRowsOption = Annotated[
    int | None, typer.Option("--min-rows", metavar="N", help="With fewer rows nothing is judged.")
]


def drift(
    deployment: DeploymentArgument,
    max_psi: MaxPsiOption = None,
    max_ks: MaxKsOption = None,
    hours: HoursOption = None,
    requests: RequestsOption = None,
    min_rows: MinRowsOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Show how far the requests that were kept are from the training data, by column.

    Exit codes: 0 no column drifts, 3 one does, 4 nothing can be judged (no profile, too few rows); 1 for failures.

    Example: registry-tui deployments drift wine-api --hours 1 --max-psi 0.1 || echo "look at it"
    """
    given = {
        "max_psi": _bound(max_psi, "--max-psi"),
        "max_ks": _bound(max_ks, "--max-ks"),
        "hours": hours,
        "requests": requests,
        "min_rows": min_rows,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    if "off" in chosen.values():
        raise typer.BadParameter("off is for `deployments watch`; here a bound may be left out")
    found = session.ask(lambda client: client.drift(deployment, **chosen))
    _print(found, as_json)
    if found.problem:
        raise typer.Exit(NOT_JUDGED)
    if found.drifted:
        raise typer.Exit(DRIFTS)


def watch(
    deployment: DeploymentArgument,
    max_psi: MaxPsiOption = None,
    max_ks: MaxKsOption = None,
    hours: HoursOption = None,
    requests: RequestsOption = None,
    min_rows: MinRowsOption = None,
    watched: Annotated[
        bool,
        typer.Option("--watch/--no-watch", help="Send an event and webhooks when drift begins and ends."),
    ] = False,
    as_json: session.JsonOption = False,
) -> None:
    """Set the distance from which a column drifts, the requests that are judged, and whether alerts are sent.

    Defaults: PSI 0.25, KS off, 24 hours, 5000 requests, 100 rows, no alerts.

    Example: registry-tui deployments watch wine-api --max-psi 0.2 --hours 6 --watch
    """
    given: dict[str, Any] = {
        "max_psi": _bound(max_psi, "--max-psi"),
        "max_ks": _bound(max_ks, "--max-ks"),
        "hours": hours,
        "requests": requests,
        "min_rows": min_rows,
        "watch": watched,
    }
    chosen = {name: None if value == "off" else value for name, value in given.items() if value is not None}
    rules = session.build(DriftRules, **chosen)
    found = session.ask(lambda client: client.set_drift_rules(deployment, rules))
    if as_json:
        output.print_json(found.rules)
        return
    output.note(f"{found.deployment_name}: {wording.rules_told(found.rules)}")


def profile(
    model: session.ModelArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="FILE", help="Make it from CSV, Parquet, JSONL, or JSON as deployments take it."
        ),
    ] = None,
    from_run: Annotated[
        bool, typer.Option("--from-run", help="Make it from the data set that its run logged, read from here.")
    ] = False,
    from_example: Annotated[
        bool, typer.Option("--from-example", help="Make it from the model's input example: few rows mean little.")
    ] = False,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="COLUMN", help="The column that the model predicts, compared with responses."),
    ] = None,
    categorical: Annotated[
        list[str] | None, typer.Option("--categorical", metavar="COLUMN", help="Numbers are names here; repeatable.")
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Show the profile of a version's training data, or make it; only shares and quantiles leave this machine.

    Example: registry-tui models profile WineModel 3 --file train.csv --target quality
    """
    if (file is not None) + from_run + from_example > 1:
        raise typer.BadParameter("Give one of --file, --from-run and --from-example")

    async def run(client: RegistryClient) -> VersionProfile:
        where = await session.registry_for_model(client, registry, model)
        names = categorical or []
        if file is not None:
            found = profiling.of_file(file, names)
        elif from_run:
            found = await profiling.of_run(client, where, model, number, names)
        elif from_example:
            found = await profiling.of_example(client, where, model, number, names)
        else:
            return await client.profile(where, model, number)
        try:
            change = found.profiled(target)
        except profiling.UnknownColumn as error:
            raise typer.BadParameter(error.message) from error
        return await client.set_profile(where, model, number, change)

    found = session.ask(run)
    if as_json:
        output.print_json(found)
        return
    output.note(f"{counted(found.rows, 'row')} of {found.source}, by {found.author}")
    output.Table(_PROFILED).print(found.columns)


_PROFILED = [
    Column[ProfiledColumn]("COLUMN", lambda each: f"{each.side.value} {each.name}", flexible=True),
    Column[ProfiledColumn]("KIND", lambda each: "numeric" if each.numeric else "categories"),
    Column[ProfiledColumn]("VALUES", lambda each: each.count, right=True),
    Column[ProfiledColumn]("MISSING", lambda each: each.missing, right=True),
    Column[ProfiledColumn]("RANGE", lambda each: _range(each)),
]


def _range(column: ProfiledColumn) -> str:
    if column.numeric:
        middle = profiles.quantile(column.points, 0.5)
        return f"{column.points[0]:.4g} … {middle:.4g} … {column.points[-1]:.4g}"
    return ", ".join(column.categories[:5]) + (" …" if len(column.categories) > 5 else "")


def _print(found: Drift, as_json: bool) -> None:
    if as_json:
        output.print_json(found)
        return
    output.note(wording.headline(found))
    if found.columns:
        output.Table(_COLUMNS).print(found.columns)
    if found.unknown:
        output.note(f"Not in the profile: {', '.join(found.unknown)}")
    if found.not_compared:
        output.note(f"Not compared: {wording.left_out(found)}")


def _bound(given: str | None, option: str) -> float | str | None:
    if given is None or given == "off":
        return given
    try:
        return float(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given!r} is neither a number nor off", param_hint=option) from error
