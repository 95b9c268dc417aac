"""Request logs in words, and the commands that set and delete them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry_tui.contracts.counts import counted
from registry_tui.wording.command_parts import YES, Body, Line, Make, Names, line, simple
from registry_tui.wording.joining import joined
from registry_tui.wording.words import both, milliseconds, size

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


def facts_of(found: LoggedRequest) -> list[tuple[str, str]]:
    """Everything about a request but its columns, as names with their values."""
    key = None if found.key_id is None else found.key_id or "none was asked for"
    by = joined(None if found.version is None else f"version {found.version}", f"replica {found.replica}")
    return [
        ("time", both(found.at)),
        ("path", f"/{found.path}"),
        ("answered", f"{found.status} in {milliseconds(found.seconds)}"),
        ("by", by if found.replica else ""),
        ("API key", key or ""),
        ("rows", rows_told(found)),
        ("note", found.note),
    ]


@dataclass(frozen=True)
class KeptRow:
    """A row of a request with its answer's; `number` begins at 1."""

    number: int
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    def kept(self, side: str, name: str) -> Any:
        """A value of `inputs` or `outputs` as it was kept; None if the side has no such row or column."""
        return (self.inputs if side == "inputs" else self.outputs).get(name)

    def value(self, side: str, name: str) -> str:
        """The same in one text."""
        found = self.kept(side, name)
        return "" if found is None else found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    def short(self, side: str, name: str) -> str:
        """The same for a narrow column: of a number the first six digits."""
        found = self.kept(side, name)
        return f"{found:.6g}" if isinstance(found, float) else self.value(side, name)


def rows_of(found: LoggedRequest) -> list[KeptRow]:
    """The rows that were kept, with the answer's in the same places. A side may have more rows than the other."""
    inputs, outputs = found.inputs or {}, found.outputs or {}
    count = max((len(values) for values in (*inputs.values(), *outputs.values())), default=0)
    return [KeptRow(at + 1, _row(inputs, at), _row(outputs, at)) for at in range(count)]


def _row(columns: Mapping[str, Sequence[Any]], at: int) -> dict[str, Any]:
    return {name: values[at] for name, values in columns.items() if at < len(values)}


def rows_told(found: LoggedRequest) -> str:
    """How many rows there were and how many are kept; empty without columns."""
    if found.rows is None:
        return ""
    kept = max((len(values) for values in (found.inputs or {}).values()), default=found.rows)
    return joined(
        f"{found.rows:,}",
        f"the first {kept:,} are kept" if kept < found.rows else None,
        None if found.inputs is None else counted(len(found.inputs), "column"),
        None if found.outputs is None else f"{counted(len(found.outputs), 'column')} of the answer",
    )


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
