"""Differences between runs, or between versions of a model, line by line: plain functions, no terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry_tui.wording.words import NOTHING, Cell, absolute, number, size

if TYPE_CHECKING:
    from registry_tui.client.version_sides import Side
    from registry_tui.schemas.deployments import DeploymentSuggestion
    from registry_tui.schemas.models import Manifest


class Line:
    """A row of the comparison: its subject, and for each side the value, and how that is shown."""

    def __init__(
        self, kind: str, key: str, cells: Sequence[Cell], same: bool, values: Sequence[str | float | None]
    ) -> None:
        self.kind, self.key, self.cells, self.same, self.values = kind, key, cells, same, values

    def fields(self, titles: Sequence[str]) -> dict[str, object]:
        """For files and programs: kind, key and the exact values under these titles; equal ones get a number."""
        found: dict[str, object] = {"kind": self.kind, "key": self.key}
        for place, (title, value) in enumerate(zip(titles, self.values, strict=True), 1):
            found[title if title not in found else f"{title} ({place})"] = value
        return found


def texts_line(kind: str, key: str, values: Sequence[str | None]) -> Line:
    """A line of texts; dimmed when all are the same."""
    same = len(set(values)) <= 1
    cells = [NOTHING if value is None else Cell(value, "dim" if same else "") for value in values]
    return Line(kind, key, cells, same, values)


def change(value: float, first: float) -> str:
    """A value as its difference to the first, with its percentage where the first is not 0.

    Unchanged if the difference is undefined: one of them is NaN or infinite.
    """
    apart = value - first
    if not math.isfinite(apart):
        return number(value)
    if apart == 0:
        return "±0"
    sign = "+" if apart > 0 else ""
    share = 100 * apart / abs(first) if first else math.inf
    if not math.isfinite(share):
        return f"{sign}{number(apart)}"
    return f"{sign}{number(apart)} ({f'{share:+.1f}' if abs(share) < 1000 else f'{share:+.2g}'}%)"


def numbers_line(key: str, values: Sequence[float | None], *, to_first: bool = False) -> Line:
    """A metric: the lowest and highest are marked, since which of them is better depends on the metric.

    `to_first` shows the others as their difference to the first value, when there is one.
    """
    known = [value for value in values if value is not None and value == value]
    same = len(set(values)) <= 1
    cells = []
    first = values[0] if to_first and values else None
    for place, value in enumerate(values):
        if value is None:
            cells.append(NOTHING)
            continue
        mark = ""
        if not same and known and value == max(known):
            mark = " ▲"
        elif not same and known and value == min(known):
            mark = " ▼"
        text = number(value) if first is None or not place else change(value, first)
        cells.append(Cell(f"{text}{mark}", "dim" if same else "accent" if mark else ""))
    return Line("metric", key, cells, same, values)


def difference(sides: Sequence[Side]) -> list[Line]:
    """Every line of the comparison; within each kind the differences come first."""
    versions = [side.version for side in sides]
    lines = [
        texts_line("version", "status", [each.status.value for each in versions]),
        texts_line("version", "created", [absolute(each.created_at) for each in versions]),
        texts_line("version", "creator", [each.creator for each in versions]),
        texts_line("version", "aliases", [", ".join(each.aliases) or None for each in versions]),
        texts_line("version", "notes", [each.notes or None for each in versions]),
        texts_line("version", "run", [each.origin.run_name or each.origin.run_id for each in versions]),
        texts_line("version", "archive", [size(each.archive_bytes) for each in versions]),
    ]
    lines += _texts("tag", [each.tags for each in versions])
    lines += _texts("param", [{} if side.run is None else side.run.params for side in sides])
    metrics = [{} if side.run is None else side.run.metrics for side in sides]
    keys = sorted({key for each in metrics for key in each})
    lines += _differing_first([numbers_line(key, [each.get(key) for each in metrics]) for key in keys])
    for part in ("inputs", "outputs", "params"):
        lines += _texts(f"signature {part}", [_columns(side.described, part) for side in sides])
    lines += _texts("requirement", [_requirements(side.described) for side in sides])
    lines += _texts("file", [_files(side.manifest) for side in sides])
    return lines


def _texts(kind: str, values: Sequence[Mapping[str, str]]) -> list[Line]:
    keys = sorted({key for each in values for key in each})
    return _differing_first([texts_line(kind, key, [each.get(key) for each in values]) for key in keys])


def _differing_first(lines: list[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: line.same)


def _columns(described: DeploymentSuggestion | None, part: str) -> dict[str, str]:
    """A signature's columns by name, or by position where they have none."""
    columns = None if described is None else (described.signature or {}).get(part)
    if not isinstance(columns, list):
        return {}
    found = {}
    for place, each in enumerate(columns):
        named = isinstance(each, dict) and "name" in each
        found[str(each["name"]) if named else f"[{place}]"] = column_text(each, named=False)
    return found


def _requirements(described: DeploymentSuggestion | None) -> dict[str, str]:
    """Requirement lines by package."""
    found = {}
    for line in () if described is None else described.requirements:
        name = next((line[:place] for place, sign in enumerate(line) if sign in "=<>!~;[ @"), line)
        found[name] = line.removeprefix(name).strip() or "any"
    return found


def _files(manifest: Manifest | None) -> dict[str, str]:
    """Files with the beginning of their checksum and their size."""
    return {} if manifest is None else {each.path: f"{each.sha256[:12]}  {size(each.size)}" for each in manifest.files}


def column_text(column: Any, *, named: bool = True) -> str:
    """A column of a signature: its name and type."""
    if not isinstance(column, dict):
        return str(column)
    kind = str(column.get("type", ""))
    if kind == "tensor":
        spec = column.get("tensor-spec", {})
        kind = f"tensor({spec.get('dtype', '')}, {spec.get('shape', '')})"
    return f"{column['name']} {kind}" if named and "name" in column else kind
