"""Request logs in words, and the commands that set and delete them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from registry_tui.contracts.counts import counted
from registry_tui.wording.command_parts import YES, Body, Line, Make, Names, line, simple
from registry_tui.wording.joining import joined
from registry_tui.wording.words import size

if TYPE_CHECKING:
    from registry_tui.schemas.request_log import LoggedRequest, RequestLog, RequestLogRules


def rules_told(rules: RequestLogRules) -> str:
    """The rules in one line."""
    if not rules.share:
        return "no requests are kept"
    most = f"{counted(rules.days, 'day')} and {size(rules.max_bytes)} at most"
    return joined(
        f"{100 * rules.share:g} % of the requests are kept, {most}",
        f"without {', '.join(rules.leave_out)}" if rules.leave_out else None,
        f"{', '.join(rules.mask)} masked" if rules.mask else None,
    )


def counts_told(found: RequestLog) -> str:
    """How many were kept, in one line."""
    return joined(
        f"{found.kept:,} kept since it was deployed, {size(found.bytes)} now",
        f"{found.dropped:,} found no room" if found.dropped else None,
    )


def content(found: LoggedRequest, *, outputs: bool = False) -> str:
    """The first values of a request's columns in one line, or why it has no columns."""
    columns = found.outputs if outputs else found.inputs
    if columns is None:
        return "" if outputs and found.inputs is None else found.note
    return "  ".join(f"{name}={_first(values)}" for name, values in columns.items())


def _first(values: list[Any]) -> str:
    if not values:
        return "–"
    first = values[0]
    if isinstance(first, float):
        return f"{first:.6g}"
    shown = first if isinstance(first, str) else json.dumps(first, ensure_ascii=False)
    return shown if len(shown) <= 40 else f"{shown[:39]}…"


def _keep(names: Names, query: Body, body: Body) -> list[Line]:
    if not body["share"]:
        return [line("deployments requests off", names)]
    options: list[tuple[str, Any]] = [
        ("--share", body["share"]),
        ("--days", f"{body['days']:g}"),
        ("--max-size", body["max_bytes"]),
        *(("--leave-out", each) for each in body["leave_out"]),
        *(("--mask", each) for each in body["mask"]),
    ]
    return [line("deployments requests keep", names, options)]


#: Method, address and the function that builds the command.
COMMANDS: tuple[tuple[str, str, Make], ...] = (
    ("PUT", "deployments/*/request-log", _keep),
    ("DELETE", "deployments/*/requests", simple("deployments requests delete", YES)),
)
