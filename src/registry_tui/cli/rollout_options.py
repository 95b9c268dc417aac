"""Options of `deployments update` for moving callers to a new version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from registry_tui.cli import session
from registry_tui.schemas.canaries import Rollout, Strategy
from registry_tui.wording import rollouts

Value = TypeVar("Value")

StrategyOption = Annotated[
    Strategy,
    typer.Option(
        help="How callers move to it: all at once; canary: a growing share of them; shadow: copies of requests first."
    ),
]
FollowStrategyOption = Annotated[
    Strategy | None,
    typer.Option("--follow-strategy", help="How callers come to versions that the followed alias moves to."),
]
StepsOption = Annotated[
    str | None, typer.Option("--steps", metavar="PERCENT,…", help="Shares; default: 5,25,50,100, of a shadow 100.")
]
StepDurationOption = Annotated[
    str | None, typer.Option("--step-duration", metavar="TIME", help="Least duration of each step: 60s (default), 5m …")
]
PauseAfterOption = Annotated[
    int | None, typer.Option("--pause-after", metavar="PERCENT", help="The step after which you decide.")
]
MaxErrorRateOption = Annotated[
    str | None, typer.Option("--max-error-rate", metavar="SHARE", help="Rolls back above it: 5% (default), off …")
]
MaxP99Option = Annotated[
    str | None, typer.Option("--max-p99", metavar="TIME", help="Rolls back when the slowest hundredth takes longer.")
]
MaxDisagreementOption = Annotated[
    str | None,
    typer.Option("--max-disagreement", metavar="SHARE", help="Rolls back when more answers differ from the old ones."),
]
MinRequestsOption = Annotated[
    int | None,
    typer.Option("--min-requests", min=0, help="Requests in each step before it is judged or ends; default: 20."),
]
ToleranceOption = Annotated[
    float | None,
    typer.Option("--tolerance", min=0, help="Permitted difference of numbers in responses; default: 1e-6."),
]


def rollouts_of(strategy: Strategy, following: Strategy | None, *details: Any) -> tuple[Rollout | None, Rollout | None]:
    """The rollout of these options now, and the one of versions that the alias moves to. Raises typer.BadParameter.

    The details are those of `rollout_of`, and about each of both that tries a version.
    """
    kept = None if following is None else Rollout()
    if following in (None, Strategy.ALL_AT_ONCE):
        return rollout_of(strategy, *details), kept
    now = None if strategy is Strategy.ALL_AT_ONCE else rollout_of(strategy, *details)
    return now, rollout_of(following, *details)


def rollout_of(
    strategy: Strategy,
    steps: str | None,
    step_duration: str | None,
    pause_after: int | None,
    max_error_rate: str | None,
    max_p99: str | None,
    max_disagreement: str | None,
    min_requests: int | None,
    tolerance: float | None,
) -> Rollout | None:
    """The rollout of these options; None for all at once. Raises typer.BadParameter."""
    fields: dict[str, Any] = {
        "steps": _read(steps, rollouts.parse_steps, "--steps"),
        "step_seconds": _read(step_duration, rollouts.parse_seconds, "--step-duration"),
        "pause_after": pause_after,
        "max_error_rate": _read(max_error_rate, _share_or_off, "--max-error-rate"),
        "max_p99_seconds": _read(max_p99, rollouts.parse_seconds, "--max-p99"),
        "max_disagreement": _read(max_disagreement, rollouts.parse_share, "--max-disagreement"),
        "min_requests": min_requests,
        "tolerance": tolerance,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    if strategy is Strategy.ALL_AT_ONCE:
        if given:
            raise typer.BadParameter("this is about canaries and shadows: add `--strategy canary` or shadow")
        return None
    if given.get("max_error_rate") == "off":
        given["max_error_rate"] = None
    return session.build(Rollout, strategy=strategy, **given)


def _share_or_off(text: str) -> float | str:
    return "off" if text == "off" else rollouts.parse_share(text)


def _read(given: str | None, parse: Callable[[str], Value], option: str) -> Value | None:
    try:
        return None if given is None else parse(given)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
