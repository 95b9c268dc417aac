"""`deployments`: versions of registered models served as endpoints."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from registry_tui.cli import canaries, drift, lineage, manifests, output, request_logs, session
from registry_tui.cli import deployment_tables as tables
from registry_tui.cli.deployment_options import (
    AUTHENTICATION,
    BATCHING,
    CPU,
    DESCRIPTION,
    GPUS,
    REPLICAS,
    STRICT_JSON,
    DeploymentArgument,
    MaxReplicasOption,
    MemoryOption,
    MinReplicasOption,
    SecretOption,
    TargetRequestsOption,
    VariableOption,
    autoscaling_of,
    bytes_of,
    changed_variables,
    new_autoscaling,
    variables_of,
)
from registry_tui.cli.rollout_options import (
    FollowStrategyOption,
    MaxDisagreementOption,
    MaxErrorRateOption,
    MaxP99Option,
    MinRequestsOption,
    PauseAfterOption,
    StepDurationOption,
    StepsOption,
    StrategyOption,
    ToleranceOption,
    rollouts_of,
)
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.canaries import Strategy
from registry_tui.schemas.deployments import (
    Batching,
    Deployment,
    DeploymentCreate,
    DeploymentUpdate,
    EnvironmentVariable,
    ReplicaStatus,
    ServedAt,
    TestRequest,
)
from registry_tui.schemas.operations import Accepted
from registry_tui.wording import served, text

app = session.new_app("Deployments: versions of registered models served as endpoints.")


async def _finish(client: RegistryClient, accepted: Accepted[Deployment], wait: bool, as_json: bool) -> None:
    """Waits if wanted, then prints the deployment as it is now."""
    if wait:
        await session.wait(client, accepted.workflow)
        tables.print_one(await client.deployment(accepted.resource.id), as_json)
    else:
        output.note(f"Started: registry-tui workflows wait {accepted.workflow.id}")
        tables.print_one(accepted.resource, as_json)


@app.command("list")
def list_(
    project: Annotated[str | None, typer.Option("--project", "-p", help="Only deployments of this project.")] = None,
    model: Annotated[str | None, typer.Option(help="Only versions of this model.")] = None,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List deployments with their replicas and traffic.

    Example: registry-tui deployments list --project wine-quality
    """
    session.ask(
        lambda client: output.print_list(
            partial(client.deployments, project=project, model=model),
            tables.COLUMNS,
            as_json=as_json,
            limit=limit,
            empty="Nothing is deployed; `registry-tui deployments create NAME --model MODEL --version N` deploys",
        )
    )


@app.command()
def show(deployment: DeploymentArgument, as_json: session.JsonOption = False) -> None:
    """Show one deployment with its replicas."""

    async def run(client: RegistryClient) -> tuple[Deployment, list[ReplicaStatus]]:
        return await client.deployment(deployment), await client.replicas(deployment)

    found, replicas = session.ask(run)
    tables.print_one(found, as_json)
    if replicas and not as_json:
        output.write("\n")
        output.Table(tables.REPLICAS).print(replicas)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Lowercase letters, digits and hyphens.")],
    project: session.ProjectOption,
    model: Annotated[str, typer.Option("--model", "-m", help="Name or ID.", autocompletion=session.complete_model)],
    version: Annotated[int | None, typer.Option(min=1, help="Number of the version.")] = None,
    alias: Annotated[str | None, typer.Option(help="Deploys the version that this alias names.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Rolls to the alias's version when it moves.")] = False,
    replicas: Annotated[int, REPLICAS] = 1,
    min_replicas: MinReplicasOption = None,
    max_replicas: MaxReplicasOption = None,
    target_requests: TargetRequestsOption = None,
    gpus: Annotated[int, GPUS] = 0,
    cpu: Annotated[float, CPU] = 1.0,
    memory: MemoryOption = None,
    env: VariableOption = None,
    secret_env: SecretOption = None,
    authentication: Annotated[bool, AUTHENTICATION] = True,
    batching: Annotated[Batching, BATCHING] = Batching.AUTO,
    strict_json: Annotated[bool, STRICT_JSON] = False,
    own_port: Annotated[bool, typer.Option("--own-port", help="Also serve it on a port of its own.")] = False,
    description: Annotated[str, typer.Option(help="A description.")] = "",
    comment: Annotated[str, typer.Option(help="A comment on this revision.")] = "",
    follow_strategy: FollowStrategyOption = None,
    steps: StepsOption = None,
    step_duration: StepDurationOption = None,
    pause_after: PauseAfterOption = None,
    max_error_rate: MaxErrorRateOption = None,
    max_p99: MaxP99Option = None,
    max_disagreement: MaxDisagreementOption = None,
    min_requests: MinRequestsOption = None,
    tolerance: ToleranceOption = None,
    wait: session.WaitOption = True,
    as_json: session.JsonOption = False,
) -> None:
    """Deploy a version of a registered model from a project.

    Example: registry-tui deployments create wine-api -p wine-quality -m ElasticnetWineModel --alias champion --follow
    """
    tried = (pause_after, max_error_rate, max_p99, max_disagreement, min_requests, tolerance)
    _, kept = rollouts_of(Strategy.ALL_AT_ONCE, follow_strategy, steps, step_duration, *tried)
    request = session.build(
        DeploymentCreate,
        name=name,
        project=project,
        model=model,
        version=version,
        alias=alias,
        follow_alias=follow,
        follow_rollout=kept,
        replicas=replicas,
        autoscaling=new_autoscaling(min_replicas, max_replicas, target_requests),
        gpus=gpus,
        cpu=cpu,
        memory_bytes=bytes_of(memory),
        environment=variables_of(env, secret_env),
        authentication=authentication,
        batching=batching,
        strict_json=strict_json,
        own_port=own_port,
        description=description,
        comment=comment,
    )

    async def run(client: RegistryClient) -> None:
        await _finish(client, await client.create_deployment(request), wait, as_json)

    session.ask(run)


def _update(
    deployment: str,
    request: DeploymentUpdate,
    wait: bool,
    as_json: bool,
    variables: Sequence[EnvironmentVariable] = (),
    unset: Sequence[str] = (),
) -> None:
    async def run(client: RegistryClient) -> None:
        wanted = request
        if variables or unset:
            environment = await changed_variables(client, deployment, variables, unset)
            wanted = request.model_copy(update={"environment": environment})
        answer = await client.update_deployment(deployment, wanted)
        if isinstance(answer, Deployment):
            tables.print_one(answer, as_json)
        else:
            await _finish(client, answer, wait, as_json)

    session.ask(run)


@app.command()
def update(
    deployment: DeploymentArgument,
    version: Annotated[int | None, typer.Option(min=1, help="Serve this version.")] = None,
    alias: Annotated[str | None, typer.Option(help="Serve the version that this alias names.")] = None,
    follow: Annotated[bool | None, typer.Option("--follow/--no-follow", help="Follow the alias when it moves.")] = None,
    replicas: Annotated[int | None, REPLICAS] = None,
    min_replicas: MinReplicasOption = None,
    max_replicas: MaxReplicasOption = None,
    target_requests: TargetRequestsOption = None,
    gpus: Annotated[int | None, GPUS] = None,
    cpu: Annotated[float | None, CPU] = None,
    memory: MemoryOption = None,
    env: VariableOption = None,
    secret_env: SecretOption = None,
    unset_env: Annotated[
        list[str] | None, typer.Option("--unset-env", metavar="NAME", help="Remove a variable; repeatable.")
    ] = None,
    authentication: Annotated[bool | None, AUTHENTICATION] = None,
    batching: Annotated[Batching | None, BATCHING] = None,
    strict_json: Annotated[bool | None, STRICT_JSON] = None,
    description: Annotated[str | None, DESCRIPTION] = None,
    comment: Annotated[str, typer.Option(help="A comment on this revision.")] = "",
    strategy: StrategyOption = Strategy.ALL_AT_ONCE,
    follow_strategy: FollowStrategyOption = None,
    steps: StepsOption = None,
    step_duration: StepDurationOption = None,
    pause_after: PauseAfterOption = None,
    max_error_rate: MaxErrorRateOption = None,
    max_p99: MaxP99Option = None,
    max_disagreement: MaxDisagreementOption = None,
    min_requests: MinRequestsOption = None,
    tolerance: ToleranceOption = None,
    wait: session.WaitOption = True,
    as_json: session.JsonOption = False,
) -> None:
    """Change a deployment; new replicas answer before old ones go. Variables that are not given stay.

    Example: registry-tui deployments update wine-api --version 4 --strategy canary --steps 5,25,100 --max-p99 250ms
    """
    tried = (pause_after, max_error_rate, max_p99, max_disagreement, min_requests, tolerance)
    rollout, kept = rollouts_of(strategy, follow_strategy, steps, step_duration, *tried)
    # Variables are put to those that there are, once these are known.
    make = session.build if env or secret_env or unset_env else session.changes
    request = make(
        DeploymentUpdate,
        version=version,
        alias=alias,
        follow_alias=follow,
        follow_rollout=kept,
        replicas=replicas,
        autoscaling=autoscaling_of(min_replicas, max_replicas, target_requests),
        gpus=gpus,
        cpu=cpu,
        memory_bytes=bytes_of(memory),
        authentication=authentication,
        batching=batching,
        strict_json=strict_json,
        description=description,
        rollout=rollout,
        comment=comment,
    )
    _update(deployment, request, wait, as_json, variables_of(env, secret_env), unset_env or [])


@app.command()
def scale(
    deployment: DeploymentArgument,
    replicas: Annotated[int, typer.Argument(min=1, help="Processes that serve.")],
    wait: session.WaitOption = True,
    as_json: session.JsonOption = False,
) -> None:
    """Change the number of replicas; those that stay are not restarted. A stopped deployment starts.

    In a Ray cluster, `update --max-replicas` has it find the number.
    """
    request = session.build(DeploymentUpdate, replicas=replicas, comment=f"scaled to {replicas}")
    _update(deployment, request, wait, as_json)


@app.command()
def rollback(
    deployment: DeploymentArgument,
    revision: Annotated[
        int | None, typer.Option(min=1, help="The revision; default: the one that served before.")
    ] = None,
    wait: session.WaitOption = True,
    as_json: session.JsonOption = False,
) -> None:
    """Go back to an earlier revision."""

    async def run(client: RegistryClient) -> None:
        await _finish(client, await client.roll_back_deployment(deployment, revision), wait, as_json)

    session.ask(run)


@app.command()
def restart(
    deployment: DeploymentArgument, wait: session.WaitOption = True, as_json: session.JsonOption = False
) -> None:
    """Replace all replicas by new ones, or start a stopped deployment."""

    async def run(client: RegistryClient) -> None:
        await _finish(client, await client.restart_deployment(deployment), wait, as_json)

    session.ask(run)


@app.command()
def stop(deployment: DeploymentArgument, wait: session.WaitOption = True, as_json: session.JsonOption = False) -> None:
    """Stop a deployment once it has answered the requests in progress."""

    async def run(client: RegistryClient) -> None:
        await _finish(client, await client.stop_deployment(deployment), wait, as_json)

    session.ask(run)


@app.command()
def delete(
    deployment: DeploymentArgument,
    force: Annotated[bool, typer.Option("--force", help="Stop it first.")] = False,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
    wait: session.WaitOption = True,
) -> None:
    """Delete a stopped deployment with its history; the files of its logs stay in the home, under logs/deployments."""
    found = session.ask(lambda client: client.deployment(deployment))
    question = f"Delete the deployment {found.name} of {found.model_name} v{found.version}?"
    session.confirm_deletion(question, reference("deployment", found.id), yes=yes, dry_run=dry_run)

    async def run(client: RegistryClient) -> None:
        accepted = await client.delete_deployment(found.id, force=force)
        if wait:
            await session.wait(client, accepted.workflow)
            output.note(f"Deployment {found.name} is deleted")
        else:
            output.note(f"Started: registry-tui workflows wait {accepted.workflow.id}")

    session.ask(run)


@app.command()
def history(deployment: DeploymentArgument, as_json: session.JsonOption = False) -> None:
    """List a deployment's revisions with their builds, newest first."""
    found = session.ask(lambda client: client.revisions(deployment))
    if as_json:
        output.print_json(found)
    else:
        output.Table(tables.REVISIONS).print(found)


@app.command()
def at(
    deployment: DeploymentArgument,
    time: Annotated[str, typer.Argument(help="Local time, or with a zone: 2026-11-20 14:03, 2026-11-20T14:03:00Z.")],
    as_json: session.JsonOption = False,
) -> None:
    """Show the version that served at a time, who deployed it, and the ones before and after; also if deleted since.

    Example: registry-tui deployments at wine-api "2026-11-20 14:03"
    """
    when = session.moment(time)

    async def run(client: RegistryClient) -> ServedAt:
        moment = await session.by_the_service(client, when)
        assert moment is not None
        return await client.served_at(deployment, moment)

    found = session.ask(run)
    if as_json:
        output.print_json(found)
    else:
        output.write("".join(f"{text.safe(line, 1000)}\n" for line in served.sentences(found)))
        output.flush()


@app.command()
def logs(
    deployment: DeploymentArgument,
    replica: Annotated[str, typer.Option("--replica", help="Number or name; default: the first.")] = "0",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new lines.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=5000, help="Number of last lines.")] = 200,
    match: Annotated[str, typer.Option("--match", help="Only lines that contain this text.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="List the logs there are, also of replicas gone.")] = False,
) -> None:
    """Print a replica's log; it is kept over restarts, and when the replica is gone."""

    async def run(client: RegistryClient) -> None:
        if list_:
            output.Table(tables.LOGS).print(await client.replica_logs(deployment))
            return
        offset = None
        while True:
            found = await client.replica_log(
                deployment, replica, offset=offset, lines=lines if offset is None else 5000
            )
            for line in found.lines:
                if match in line:
                    output.write(f"{text.safe(line, 10_000)}\n")
            output.flush()
            if not follow and (offset is None or not found.lines):
                return
            offset = found.next_offset
            await asyncio.sleep(0.5)

    session.ask(run)


@app.command("test")
def test_(
    deployment: DeploymentArgument,
    body: Annotated[
        str | None,
        typer.Option(
            "--body", metavar="JSON|@FILE|-", help="The request's body; default: the model's own input example."
        ),
    ] = None,
    content_type: Annotated[str, typer.Option(help="The body's content type.")] = "application/json",
    path: Annotated[str, typer.Option(help="The path of another protocol, as in the endpoint's openapi.json.")] = "",
    as_json: session.JsonOption = False,
) -> None:
    """Send a request to a replica, and print its answer. Exits with 1 unless the answer's status is 200.

    Example: registry-tui deployments test wine-api --body @request.json
    """

    given = body
    if given == "-":
        given = sys.stdin.read()
    elif given is not None and given.startswith("@"):
        given = Path(given[1:]).read_text(encoding="utf-8")

    async def run(client: RegistryClient) -> None:
        wanted, where = given, path or "/invocations"
        if wanted is None:
            suggestion = await client.deployment_example(deployment)
            bodies = {each.path: each.body for each in suggestion.requests}
            wanted = bodies.get(where, suggestion.example if not path else "")
        request = session.build(TestRequest, body=wanted, content_type=content_type, path=where)
        answer = await client.test_deployment(deployment, request)
        if as_json:
            output.print_json(answer)
        else:
            output.note(f"{answer.status} in {answer.seconds * 1000:.0f} ms from {answer.replica}")
            output.write(f"{text.safe_lines(answer.body)}\n")
            output.flush()
        if answer.status != 200:
            raise RegistryError(f"The answer's status is {answer.status}", action="Read its message about the request")

    session.ask(run)


app.add_typer(canaries.app, name="canary")
app.add_typer(request_logs.app, name="requests")
app.command("drift")(drift.drift)
app.command("watch")(drift.watch)
app.command("lineage")(lineage.of_deployment)
app.command("manifest")(manifests.manifest)
