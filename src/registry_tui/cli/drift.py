"""`deployments drift`, `deployments watch`, `models profile`: how far requests are from the training data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import typer

from registry_tui.cli import output, session
from registry_tui.cli.deployment_options import DeploymentArgument
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.contracts import profiles
from registry_tui.contracts.counts import counted
from registry_tui.contracts.request_columns import PREDICTIONS, Columns, NotKept, of_request
from registry_tui.schemas.drift import (
    ColumnDrift,
    Drift,
    DriftRules,
    ProfileChange,
    ProfiledColumn,
    Side,
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
HoursOption = Annotated[float | None, typer.Option("--hours", metavar="N", help="Requests of so many hours.")]
RequestsOption = Annotated[
    int | None, typer.Option("--requests", metavar="N", help="So many requests at most, the newest.")
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
        typer.Option("--file", metavar="FILE", help="Make it from this CSV, or JSON as deployments take."),
    ] = None,
    from_run: Annotated[
        bool, typer.Option("--from-run", help="Make it from the data set that its run logged, read from here.")
    ] = False,
    from_example: Annotated[
        bool, typer.Option("--from-example", help="Make it from the model's input example: few rows mean little.")
    ] = False,
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help="What the model predicts: compared with answers.")
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
        if file is not None:
            source, table = file.name, _read(file)
        elif from_run:
            source, table = await _of_run(client, where, model, number)
        elif from_example:
            source, table = await _of_example(client, where, model, number)
        else:
            return await client.profile(where, model, number)
        change = _profiled(source, table, target, categorical or [])
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


def _bound(given: str | None, option: str) -> float | str | None:
    if given is None or given == "off":
        return given
    try:
        return float(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given!r} is neither a number nor off", param_hint=option) from error


def _profiled(source: str, table: Columns, target: str | None, categorical: list[str]) -> ProfileChange:
    for name in [*categorical, *([target] if target else [])]:
        if name not in table.values:
            raise typer.BadParameter(f"{source} has no column {name!r}; it has {', '.join(table.values)}")
    columns = []
    for name, values in table.values.items():
        found = profiles.profile(
            PREDICTIONS if name == target else name, values, numeric=False if name in categorical else None
        )
        if found is not None:
            side = Side.OUTPUT if name == target else Side.INPUT
            columns.append(ProfiledColumn.model_validate({"side": side, **found.to_json()}))
    if not columns:
        raise RegistryError(f"{source} has no columns of values", action="Give a table with a value in each cell")
    return session.build(ProfileChange, source=source, rows=max(1, table.rows), columns=columns)


def _read(file: Path) -> Columns:
    try:
        content = file.expanduser().read_bytes()
    except OSError as error:
        detail = f"{file} cannot be read: {error.strerror}"
        raise RegistryError(detail, action="Give a file that you may read") from error
    return _table(file.name, content)


def _table(name: str, content: bytes) -> Columns:
    try:
        if name.lower().endswith(".json"):
            return of_request("invocations", "application/json", content, most=None)
        return of_request("invocations", "text/csv", content, most=None)
    except NotKept as error:
        raise RegistryError(
            f"{name} is not a table: {error}",
            action="Give CSV with a line of names, or JSON as a deployment takes it (dataframe_split, …)",
        ) from error


async def _of_run(client: RegistryClient, registry: str, model: str, number: int) -> tuple[str, Columns]:
    """The data set that a version's run logged: among the run's artifacts, or in a file that is readable here."""
    origin = (await client.version(registry, model, number)).origin
    if origin.run_id is None or origin.project_id is None:
        raise RegistryError(f"{model} {number} came from no run that is known", action="Give the data with --file")
    run = await client.run(origin.project_id, origin.run_id)
    if not run.datasets:
        raise RegistryError(
            f"The run of {model} {number} logged no data set",
            action="Give the data with --file, or log it with mlflow.log_input",
        )
    dataset = run.datasets[0]
    uri = _uri(dataset.source)
    artifacts = run.artifact_uri.rstrip("/") + "/"
    source = f"data set {dataset.name} ({dataset.digest})"
    if uri.startswith(artifacts):
        path = unquote(uri.removeprefix(artifacts))
        return source, _table(path, await client.read_artifact(origin.project_id, origin.run_id, path))
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        raise RegistryError(
            f"The data set {dataset.name} is at {uri or 'an unknown place'}, which this program does not read",
            action="Save it as CSV, and give it with --file",
        )
    return source, _read(Path(unquote(parts.path) if parts.scheme else uri))


def _uri(source: str) -> str:
    """Where a data set comes from, in the JSON that MLflow keeps of its source."""
    try:
        found = json.loads(source)
    except ValueError:
        return source
    if not isinstance(found, dict):
        return ""
    return str(next((found[name] for name in ("uri", "url", "path") if found.get(name)), ""))


async def _of_example(client: RegistryClient, registry: str, model: str, number: int) -> tuple[str, Columns]:
    suggested = await client.suggest_deployment(registry, model, number)
    if not suggested.example_is_logged:
        raise RegistryError(f"{model} {number} has no input example", action="Give the data with --file")
    return "the input example", _table("example.json", suggested.example.encode())
