"""Rollouts and canaries in words: durations and shares as people type them, bounds, and the commands that set them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from registry_tui.contracts.counts import counted
from registry_tui.wording.command_parts import Body, Line, Make, Names, Options, line
from registry_tui.wording.joining import joined, said
from registry_tui.wording.words import Cell, duration, milliseconds, percent

if TYPE_CHECKING:
    from registry_tui.schemas.canaries import Canary, Rollout

_STATES = {
    "pending": Cell("○ pending", "dim"),
    "running": Cell("◐ running", "busy"),
    "paused": Cell("‖ paused", "warn"),
    "promoted": Cell("● promoted", "good"),
    "aborted": Cell("✗ aborted", "warn"),
    "rolled back": Cell("✗ rolled back", "bad"),
}
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_seconds(text: str) -> float:
    """Seconds from `250ms`, `60s`, `5m`, `2h` or a number. Raises ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a time like 250ms, 60s or 5m")
    return float(found[1]) * _SECONDS[found[2] or ""]


def parse_share(text: str) -> float:
    """A share of one from `5%` or `0.05`. Raises ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a share like 5% or 0.05")
    return float(found[1]) / (100.0 if found[2] else 1.0)


def parse_steps(text: str) -> list[int]:
    """Percentages from `5,25,50,100`. Raises ValueError."""
    parts = [part.strip().removesuffix("%").strip() for part in text.split(",")]
    if not all(part.isdigit() for part in parts):
        raise ValueError(f"{text!r} is not a list of percentages like 5,25,50,100")
    return [int(part) for part in parts]


def canary_state(state: str) -> Cell:
    """A canary's state as glyph and word."""
    return _STATES.get(state, Cell(f"? {state}", "dim"))


def step(found: Canary) -> str:
    """A canary's current step, and the time and requests left in it."""
    copies = "copies of " if found.strategy == "shadow" else ""
    if not found.step:
        return "waits for its replicas"
    running = found.state == "running"
    waits = joined(
        duration(found.seconds_left) if running and found.seconds_left > 0 else None,
        counted(found.requests_left, "request") if running and found.requests_left > 0 else None,
        between=" and ",
    )
    return joined(
        f"step {found.step} of {len(found.steps)}: {copies}{found.steps[found.step - 1]} %",
        f"{waits} left" if waits else None,
        between=", ",
    )


def bounds(found: Canary) -> str:
    """The bounds that must not be exceeded; empty without any."""
    return joined(
        said(found.max_error_rate, lambda most: f"errors {percent(most)}"),
        said(found.max_p99_seconds, lambda most: f"p99 {milliseconds(most)}"),
        said(found.max_disagreement, lambda most: f"disagreement {percent(most)}"),
        between=", ",
    )


def typed(kept: Rollout) -> dict[str, str]:
    """A rollout as people type it, by the options' names without leading hyphens; defaults are left out."""
    fields = _details(kept.model_dump(mode="json"))
    return {name.removeprefix("--"): str(value) for name, value in fields if value is not None}


def followed(kept: Rollout | None) -> str:
    """The rollout of versions that an alias moves to, to follow its name; empty when all requests move at once."""
    if kept is None or not kept.tries:
        return ""
    shares = ", ".join(map(str, kept.shares))
    what = "copies of " if kept.strategy == "shadow" else ""
    return f" by {kept.strategy.value}: {what}{shares} % of the requests"


def disagreement(found: Canary) -> str:
    """How often both versions' answers differ."""
    if not found.compared:
        return "–"
    dropped = f", {found.dropped} left out" if found.dropped else ""
    return f"{percent(found.disagreement)} of {counted(found.compared, 'answer')}{dropped}"


# -- commands ----------------------------------------------------------------------------------------------


def options(rollout: dict[str, Any] | None, kept: dict[str, Any] | None = None) -> Options:
    """The options of a rollout, and of the `kept` one of versions that the alias moves to."""
    found: list[tuple[str, Any]] = []
    if rollout is not None and rollout["strategy"] != "all-at-once":
        found.append(("--strategy", rollout["strategy"]))
        found += _details(rollout)
    if kept is not None:
        found.append(("--follow-strategy", kept["strategy"]))
        found += _details(kept) if len(found) == 1 and kept["strategy"] != "all-at-once" else []
    return found


def in_one_line(rollout: dict[str, Any] | None, kept: dict[str, Any] | None) -> bool:
    """Whether one command can give both: its options are about each of them that tries a version."""
    tries = [each for each in (rollout, kept) if each is not None and each["strategy"] != "all-at-once"]
    return len(tries) < 2 or _details(tries[0]) == _details(tries[1])


def _details(rollout: dict[str, Any]) -> list[tuple[str, Any]]:
    """The options that differ from their defaults."""
    steps = rollout["steps"]
    return [
        ("--steps", ",".join(map(str, steps)) if steps else None),
        ("--step-duration", f"{rollout['step_seconds']:g}s" if rollout["step_seconds"] != 60 else None),
        ("--pause-after", rollout["pause_after"]),
        ("--max-error-rate", _limit(rollout["max_error_rate"], usual=0.05)),
        ("--max-p99", f"{rollout['max_p99_seconds']:g}s" if rollout["max_p99_seconds"] is not None else None),
        ("--max-disagreement", rollout["max_disagreement"]),
        ("--min-requests", rollout["min_requests"] if rollout["min_requests"] != 20 else None),
        ("--tolerance", f"{rollout['tolerance']:g}" if rollout["tolerance"] != 1e-6 else None),
    ]


def _limit(value: float | None, *, usual: float) -> str | None:
    if value == usual:
        return None
    return "off" if value is None else f"{value:g}"


def _decide(names: Names, query: Body, body: Body) -> list[Line]:
    return [line(f"deployments canary {body['decision']}", names)]


#: Method, address and the function that builds the command.
COMMANDS: tuple[tuple[str, str, Make], ...] = (("POST", "deployments/*/canary", _decide),)
