"""Drift in words, and the commands that set its rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_tui.contracts.counts import counted
from registry_tui.wording.command_parts import Body, Line, Make, Names, NoCommand, line
from registry_tui.wording.joining import joined, said
from registry_tui.wording.words import Cell

if TYPE_CHECKING:
    from registry_tui.schemas.drift import ColumnDrift, Drift, DriftRules


def rules_told(rules: DriftRules) -> str:
    """How drift is judged, in one line."""
    window = f"{counted(rules.requests, 'request')} of {counted(rules.hours, 'hour')} at most"
    alerts = "reported by events and webhooks" if rules.watch else "not watched"
    return f"{_judged(rules)}; {window}, {counted(rules.min_rows, 'row')} at least; {alerts}"


def rules_in_short(rules: DriftRules) -> str:
    """The same for a page with little room."""
    return joined(_judged(rules), counted(rules.hours, "hour"), "alerts are sent" if rules.watch else "no alerts")


def _judged(rules: DriftRules) -> str:
    bounds = joined(
        said(rules.max_psi, lambda most: f"PSI above {most:g}"),
        said(rules.max_ks, lambda most: f"KS above {most:g}"),
        between=" or ",
    )
    return f"{bounds} is drift" if bounds else "nothing is judged"


def verdict(found: Drift) -> Cell:
    """Whether any column drifts, or why that is unknown."""
    if found.problem:
        return Cell(f"○ {found.problem}", "warn")
    many = counted(len(found.columns), "column")
    if found.drifted:
        return Cell(f"✗ {len(found.drifted)} of {many} {'drifts' if len(found.drifted) == 1 else 'drift'}", "bad")
    return Cell(f"● none of {many} drifts", "good")


def compared(found: Drift) -> str:
    """The number of compared rows and requests, and the profile that they are compared with."""
    beside = "" if found.profile_source is None else f" beside {found.profile_source}"
    return f"{counted(found.rows, 'row')} of {counted(found.requests, 'request')}{beside}"


def left_out(found: Drift) -> str:
    """Requests and answers that are not compared, and why."""
    return "; ".join(f"{counted(each.requests, 'request')}: {each.why}" for each in found.not_compared)


def drift_told(found: Drift) -> str:
    """The outcome in one line, with the figures."""
    where = f"{counted(found.rows, 'row')} of {counted(found.requests, 'request')}"
    if not found.drifted:
        return f"no column of version {found.version} drifts; {where}"
    columns = "; ".join(f"{each.side.value} {each.name}: {figures(each)}" for each in found.drifted[:20])
    return f"version {found.version} drifts from {found.profile_source}: {columns}; {where}"


def figures(column: ColumnDrift) -> str:
    """PSI, and KS with its probability, as short as a cell."""
    text = f"PSI {column.psi:.3f}"
    return text if column.ks is None else f"{text}, KS {column.ks:.3f} (p {column.p_value:.2g})"


def state(column: ColumnDrift) -> Cell:
    """Whether a column drifts, as glyph and word."""
    if not column.count:
        return Cell("○ no values", "dim")
    return Cell("✗ drifts", "bad") if column.drifted else Cell("● as trained", "good")


def headline(found: Drift) -> str:
    """Which requests are compared with which profile."""
    requests = f"{counted(found.requests, 'request')} with {counted(found.rows, 'row')}"
    source = "no profile" if found.profile_source is None else found.profile_source
    text = f"{requests} beside {source} of {found.model_name} v{found.version}"
    return f"{text}\n{found.problem}" if found.problem else text


def _rules(names: Names, query: Body, body: Body) -> list[Line]:
    options: list[tuple[str, Any]] = [
        ("--max-psi", "off" if body["max_psi"] is None else f"{body['max_psi']:g}"),
        ("--max-ks", "off" if body["max_ks"] is None else f"{body['max_ks']:g}"),
        ("--hours", f"{body['hours']:g}"),
        ("--requests", body["requests"]),
        ("--min-rows", body["min_rows"]),
        ("--watch" if body["watch"] else "--no-watch", True),
    ]
    return [line("deployments watch", names, options)]


def _profile(names: Names, query: Body, body: Body) -> list[Line]:
    raise NoCommand("a profile is made from its data: `registry-tui models profile NAME VERSION --file DATA.csv`")


#: Method, address and the function that builds the command.
COMMANDS: tuple[tuple[str, str, Make], ...] = (
    ("PUT", "deployments/*/drift", _rules),
    ("PUT", "registries/*/models/*/versions/*/profile", _profile),
)
