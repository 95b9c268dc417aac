"""`deployments canary`: a new version that is tried on callers' requests."""

from __future__ import annotations

from registry_tui.cli import output, session
from registry_tui.cli.deployment_options import DeploymentArgument
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.schemas.canaries import Canary, Decision, Generation
from registry_tui.wording import rollouts, words

app = session.new_app("A new version that is tried on callers' requests before all of them reach it.")

_SIDES = [
    Column[Generation]("VERSION", lambda each: each.version, right=True),
    Column[Generation]("REVISION", lambda each: each.revision, right=True),
    Column[Generation]("SHARE", lambda each: f"{each.share:g} %", right=True),
    Column[Generation]("REQUESTS", lambda each: each.requests, right=True),
    Column[Generation]("ERRORS", lambda each: f"{each.errors} ({words.percent(each.error_rate)})", right=True),
    Column[Generation]("P99", lambda each: words.milliseconds(each.p99), right=True),
]


def _print(found: Canary, as_json: bool) -> None:
    fields: dict[str, object] = {
        "deployment": found.deployment_name,
        "strategy": found.strategy.value,
        "state": found.state.value + (f": {found.reason}" if found.reason else ""),
        "step": rollouts.step(found),
        "bounds": rollouts.bounds(found) or "none",
        "disagreement": rollouts.disagreement(found),
        "begun": output.cell(found.created_at),
        "ended": output.cell(found.ended_at) if found.ended_at is not None else None,
        "workflow": found.workflow_id,
    }
    output.print_one(found, {name: value for name, value in fields.items() if value is not None}, as_json=as_json)
    if not as_json:
        output.write("\n")
        output.Table(_SIDES).print([found.old, found.new])


@app.command()
def status(deployment: DeploymentArgument, as_json: session.JsonOption = False) -> None:
    """Show the progress of a canary and the results of both versions; for a finished one, its outcome.

    Example: registry-tui deployments canary status wine-api
    """
    _print(session.ask(lambda client: client.canary(deployment)), as_json)


def _decide(deployment: str, decision: Decision, wait: bool, as_json: bool) -> None:
    async def run(client: RegistryClient) -> Canary:
        found = await client.decide_canary(deployment, decision)
        if wait and found.workflow_id is not None:
            await client.wait_for_workflow(found.workflow_id)
            return await client.canary(found.deployment_id)
        return found

    _print(session.ask(run), as_json)


@app.command()
def pause(deployment: DeploymentArgument, as_json: session.JsonOption = False) -> None:
    """Let the canary stay at its share; its bounds are watched on."""
    _decide(deployment, Decision.PAUSE, False, as_json)


@app.command()
def resume(deployment: DeploymentArgument, as_json: session.JsonOption = False) -> None:
    """Go on with a canary that is paused."""
    _decide(deployment, Decision.RESUME, False, as_json)


@app.command()
def promote(
    deployment: DeploymentArgument, wait: session.WaitOption = True, as_json: session.JsonOption = False
) -> None:
    """Let all callers reach the new version now."""
    _decide(deployment, Decision.PROMOTE, wait, as_json)


@app.command()
def abort(deployment: DeploymentArgument, wait: session.WaitOption = True, as_json: session.JsonOption = False) -> None:
    """Go back to the old version, which never stopped."""
    _decide(deployment, Decision.ABORT, wait, as_json)
