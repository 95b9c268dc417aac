"""`runs` of a project: lists in MLflow's filter language, one run, its metric histories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from registry_tui.cli import artifacts, changing_runs, lineage, output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.counts import counted
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.base import Page
from registry_tui.schemas.tracking import MetricPoint, Run, RunDetails, RunPurge, RunSearch
from registry_tui.wording import words

app = session.new_app("Runs of a project, with their parameters and metrics.")
app.add_typer(artifacts.app, name="artifacts")

#: Metrics shown by default: those that most runs of the first page have.
SHOWN_METRICS = 4
RunArgument = Annotated[str, typer.Argument(help="ID of the run.")]
POINTS = [
    Column[MetricPoint]("STEP", lambda each: each.step, right=True),
    Column[MetricPoint]("VALUE", lambda each: each.value, right=True),
    Column[MetricPoint]("TIME", lambda each: each.timestamp),
]


def _took(run: Run) -> str:
    if run.started_at is None or run.ended_at is None:
        return ""
    return words.duration((run.ended_at - run.started_at).total_seconds())


def _columns(metrics: list[str], params: list[str], runs: Sequence[Run]) -> list[Column[Run]]:
    if not metrics:
        counted = Counter(name for run in runs for name in sorted(run.metrics) if not name.startswith("system/"))
        metrics = [name for name, _ in counted.most_common(SHOWN_METRICS)]

    def metric(name: str) -> Column[Run]:
        return Column(output.cell(name), lambda run: run.metrics.get(name), right=True)

    def param(name: str) -> Column[Run]:
        return Column(output.cell(name), lambda run: run.params.get(name), flexible=True)

    return [
        Column("ID", lambda run: run.id),
        Column("NAME", lambda run: run.name, flexible=True),
        Column("STATUS", lambda run: run.status.lower()),
        Column("USER", lambda run: run.user, flexible=True),
        Column("STARTED", lambda run: run.started_at),
        Column("TOOK", _took, right=True),
        *map(param, params),
        *map(metric, metrics),
    ]


@app.command("list")
def list_(
    project: session.ProjectOption,
    experiment: Annotated[
        list[str] | None, typer.Option("--experiment", help="Name or ID; repeatable. Default: all experiments.")
    ] = None,
    filter_: Annotated[str, typer.Option("--filter", help="A filter in MLflow's language.")] = "",
    order_by: Annotated[list[str] | None, typer.Option(help="An order in MLflow's language; repeatable.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="A metric's column; repeatable.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="A parameter's column; repeatable.")] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted runs instead.")] = False,
    limit: session.FirstOption = 100,
    all_: session.AllOption = False,
    as_json: session.JsonOption = False,
) -> None:
    """List runs, newest first unless ordered otherwise.

    Example: registry-tui runs list -p default --filter "metrics.rmse < 0.6 and params.alpha = '0.05'"
    --order-by "metrics.rmse ASC"
    """

    async def run(client: RegistryClient) -> None:
        if experiment:
            ids = [(await client.experiment(project, each)).id for each in experiment]
        else:
            ids = [each.id async for each in client.every(client.experiments, project)]

        async def fetch(*, page_size: int, page_token: str | None) -> Page[Run]:
            if not ids:
                return Page(items=[])
            request = session.build(
                RunSearch,
                experiment_ids=ids,
                filter=filter_,
                order_by=order_by or [],
                deleted=deleted,
                page_size=page_size,
                page_token=page_token,
            )
            return await client.search_runs(project, request)

        columns = partial(_columns, metric or [], param or [])
        await output.print_list(fetch, columns, as_json=as_json, limit=None if all_ else limit, empty="No run found")

    session.ask(run)


@app.command()
def purge(
    project: session.ProjectOption,
    runs: Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="IDs of deleted runs.")] = None,
    older_than: Annotated[
        float, typer.Option(metavar="DAYS", min=0, help="Only runs that were deleted at least so many days ago.")
    ] = 0,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
    wait: session.WaitOption = True,
) -> None:
    """Remove deleted runs for good, with their artifacts and logged models: all, or those that are named.

    Versions that were registered from them keep their archives. The disk space is freed at the end; the
    workflow's log has the number of bytes.

    Example: registry-tui runs purge --project default --older-than 30
    """
    request = session.build(RunPurge, run_ids=runs or [], older_than_days=older_than)
    chosen = counted(len(runs), "deleted run") if runs else "all deleted runs"
    since = f" that were deleted at least {counted(older_than, 'day')} ago" if older_than else ""
    question = f"Remove {chosen} of project {project}{since} for good?"
    named = [reference("run", project, run) for run in runs or ()]
    about = named or reference("deleted-runs", project, f"{older_than}")
    session.confirm_deletion(question, about, yes=yes, dry_run=dry_run)

    async def run(client: RegistryClient) -> None:
        accepted = await client.purge_runs(project, request)
        if not wait:
            output.note(f"Started: registry-tui workflows wait {accepted.workflow.id}")
            return
        await session.wait(client, accepted.workflow)
        for line in (await client.workflow_logs(accepted.workflow.id)).items:
            output.note(line.text)

    session.ask(run)


@app.command()
def show(run: RunArgument, project: session.ProjectOption, as_json: session.JsonOption = False) -> None:
    """Show one run: parameters, metrics, tags, datasets, and the versions registered from it."""
    found = session.ask(lambda client: client.run(project, run))
    fields: dict[str, object] = {
        "ID": found.id,
        "name": found.name,
        "experiment": found.experiment_id,
        "status": found.status.lower() + ("" if found.lifecycle_stage == "active" else f" ({found.lifecycle_stage})"),
        "user": found.user,
        "started": found.started_at,
        "took": _took(found),
        "artifacts": found.artifact_uri,
        "registered as": ", ".join(f"{each.model_name} v{each.version}" for each in found.registered_as),
    }
    output.print_one(found, fields, as_json=as_json)
    if not as_json:
        _print_details(found)


def _print_details(found: RunDetails) -> None:
    tags = {name: value for name, value in found.tags.items() if not name.startswith("mlflow.")}
    datasets = {each.name: f"{each.digest}, {each.source_type}" for each in found.datasets}
    tables = (("PARAMETER", found.params), ("METRIC", found.metrics), ("TAG", tags), ("DATASET", datasets))
    for title, values in tables:
        if values:
            output.write("\n")
            output.Table(
                [
                    Column[tuple[str, object]](title, lambda pair: pair[0]),
                    Column[tuple[str, object]]("VALUE", lambda pair: pair[1], flexible=True),
                ]
            ).print(sorted(values.items()))


@app.command()
def metrics(
    run: RunArgument,
    metric: Annotated[str, typer.Argument(help="Name of the metric.")],
    project: session.ProjectOption,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List every value of one metric of a run.

    Example: registry-tui runs metrics RUN loss --project default --json
    """
    session.ask(
        lambda client: output.print_list(
            partial(client.metric_history, project, run, metric),
            POINTS,
            as_json=as_json,
            limit=limit,
            empty=f"The run has no metric {metric!r}",
        )
    )


changing_runs.add_to(app)


app.command("lineage")(lineage.of_run)
