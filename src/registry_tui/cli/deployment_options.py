"""Arguments and options of `deployments`, and their parsing: sizes in bytes, variables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from registry_tui.cli import session
from registry_tui.client.client import RegistryClient
from registry_tui.schemas.deployments import EnvironmentVariable
from registry_tui.schemas.scaling import TARGET_REQUESTS, Autoscaling, AutoscalingChange
from registry_tui.wording import words

DeploymentArgument = Annotated[
    str,
    typer.Argument(
        help="Name, ID, PROJECT/NAME or WORKSPACE/PROJECT/NAME of a deployment.",
        autocompletion=session.completes(lambda client: _names(client)),
    ),
]
MemoryOption = Annotated[
    str | None,
    typer.Option("--memory", metavar="SIZE", help="Memory of each replica: 512M, 2G …; default: as suggested."),
]
VariableOption = Annotated[
    list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="A variable of the replicas; repeatable.")
]
SecretOption = Annotated[
    list[str] | None,
    typer.Option(
        "--secret-env", metavar="NAME=VALUE", help="A variable whose value is never shown again; NAME=@FILE reads it."
    ),
]
#: These are values with a default in one command, and left out where nothing is to change in another.
REPLICAS = typer.Option("--replicas", min=1, help="Processes that serve.")
MinReplicasOption = Annotated[
    int | None,
    typer.Option(
        "--min-replicas", min=1, help="Smallest number of replicas that a Ray cluster may choose; default: 1."
    ),
]
MaxReplicasOption = Annotated[
    int | None, typer.Option("--max-replicas", min=1, help="Largest number of replicas that a Ray cluster may choose.")
]
TargetRequestsOption = Annotated[
    float | None,
    typer.Option("--target-requests", help=f"Requests in progress at each replica; default: {TARGET_REQUESTS:g}."),
]
GPUS = typer.Option("--gpus", min=0, help="GPUs of each replica, in a Ray cluster.")
CPU = typer.Option("--cpu", help="CPUs of each replica: its threads of numerical libraries.")
AUTHENTICATION = typer.Option("--authentication/--no-authentication", help="Whether callers need an API key.")
BATCHING = typer.Option(
    "--batching",
    help="Whether requests that wait together share a call of the model; auto: where no answer can differ by it.",
)
STRICT_JSON = typer.Option(
    "--strict-json/--no-strict-json", help="Return null where MLflow returns NaN or an infinity."
)
DESCRIPTION = typer.Option("--description", help="A description.")


def autoscaling_of(least: int | None, most: int | None, requests: float | None) -> AutoscalingChange | None:
    """The given limits and target of autoscaling; None without any."""
    if least is None and most is None and requests is None:
        return None
    return session.build(AutoscalingChange, min_replicas=least, max_replicas=most, target_requests=requests)


def new_autoscaling(least: int | None, most: int | None, requests: float | None) -> Autoscaling | None:
    """The same for a new deployment, which requires the maximum. Raises BadParameter."""
    given = autoscaling_of(least, most, requests)
    if given is None:
        return None
    if most is None:
        raise typer.BadParameter("say how many replicas there may be", param_hint="--max-replicas")
    return session.build(Autoscaling, **given.model_dump(exclude_none=True))


async def _names(client: RegistryClient) -> list[str]:
    return [each.name for each in (await client.deployments()).items]


def bytes_of(given: str | None) -> int | None:
    """Bytes from `512M`, `1.5 GiB` or a plain number."""
    if given is None:
        return None
    try:
        return words.parse_size(given)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--memory") from error


def variables_of(plain: list[str] | None, secret: list[str] | None) -> list[EnvironmentVariable]:
    """The variables of `--env` and `--secret-env`. Raises typer.BadParameter, OSError."""
    found = []
    for given, is_secret in [*((each, False) for each in plain or []), *((each, True) for each in secret or [])]:
        name, equals, value = given.partition("=")
        if not equals:
            raise typer.BadParameter(
                f"{given!r} is not NAME=VALUE", param_hint="--secret-env" if is_secret else "--env"
            )
        if is_secret and value.startswith("@"):
            # A command line can be seen by others of this machine; a file of one's own cannot.
            value = Path(value[1:]).read_text(encoding="utf-8").rstrip("\n")
        found.append(session.build(EnvironmentVariable, name=name, value=value, secret=is_secret))
    return found


async def changed_variables(
    client: RegistryClient, deployment: str, given: Sequence[EnvironmentVariable], unset: Sequence[str]
) -> list[EnvironmentVariable]:
    """The deployment's current variables with the given ones set; other values are kept, also secret ones."""
    found, history = await client.deployment(deployment), await client.revisions(deployment)
    kept = {each.name: each for each in found.among(history).environment}
    if unknown := sorted(set(unset) - kept.keys()):
        raise typer.BadParameter(f"no variable is named {', '.join(unknown)}", param_hint="--unset-env")
    wanted = {**kept, **{each.name: each for each in given}}
    return [each for name, each in wanted.items() if name not in unset]
