"""The datasets of a run as text: where each came from, how large it is, its columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textual.content import Content

from registry_tui.widgets.facts import facts
from registry_tui.wording.differences import column_text
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import DatasetInput

#: MLflow's tag for a dataset's purpose.
CONTEXT = "mlflow.data.context"
MAX_DATASETS = 100
MAX_COLUMNS = 100


def datasets_text(datasets: Sequence[DatasetInput], room: int) -> Content:
    """The details of each dataset. Sources, profiles and schemas are MLflow's JSON; other text is shown unchanged."""
    if not datasets:
        return Content.assemble(("This run names no datasets", "$foreground-muted"))
    parts: list[tuple[str, str]] = []
    for each in datasets[:MAX_DATASETS]:
        parts += [(safe(each.name, 200), "bold"), (f"  {safe(each.tags.get(CONTEXT, ''), 80)}\n", "$accent")]
        known = (
            ("Digest", each.digest),
            ("Source", f"{each.source_type}  {_source(each.source)}".strip()),
            ("Size", _pairs(_read(each.profile or ""))),
            ("Columns", _columns(_read(each.dataset_schema or ""))),
        )
        parts += facts(((f"  {name}", value) for name, value in known), 11, room)
        parts.append(("\n", ""))
    if len(datasets) > MAX_DATASETS:
        parts.append((f"and {len(datasets) - MAX_DATASETS} more; y shows all\n", "$foreground-muted"))
    return Content.assemble(*parts)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # the user may have logged any text
        return text


def _source(text: str) -> str:
    """An address, or for data from code: which file, at which commit."""
    source = _read(text)
    tags = source.get("tags") if isinstance(source, Mapping) else None
    if not isinstance(tags, Mapping):
        return _pairs(source)
    name, commit = tags.get("mlflow.source.name", ""), tags.get("mlflow.source.git.commit")
    return f"{name} at {str(commit)[:12]}" if commit else str(name)


def _pairs(value: Any) -> str:
    """`rows 124, elements 1612` of MLflow's `{"num_rows": 124, "num_elements": 1612}`."""
    if not isinstance(value, Mapping):
        return "" if value is None else str(value)
    return ", ".join(f"{str(key).removeprefix('num_')} {inner}" for key, inner in value.items() if inner is not None)


def _columns(schema: Any) -> str:
    """Names and types; for other kinds of schema, all their values."""
    columns = schema.get("mlflow_colspec") if isinstance(schema, Mapping) else None
    if not isinstance(columns, list):
        return _pairs(schema)
    shown = ", ".join(column_text(each) for each in columns[:MAX_COLUMNS] if isinstance(each, Mapping))
    return shown + (f", and {len(columns) - MAX_COLUMNS} more" if len(columns) > MAX_COLUMNS else "")
