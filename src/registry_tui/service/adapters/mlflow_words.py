"""MLflow's formats: its filter language, orders, times, page tokens and numbers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from registry_tui.contracts.run_rows import LARGEST, LOGGED_BY_MLFLOW_2
from registry_tui.schemas.base import FieldProblem
from registry_tui.service.errors import InvalidInput


def moment(milliseconds: Any) -> datetime:
    """MLflow's time: milliseconds since 1970."""
    return datetime.fromtimestamp(int(milliseconds or 0) / 1000, UTC)


def offset_token(offset: int) -> str:
    """MLflow's page token for a place in a list of models or versions (`SearchUtils.create_page_token`)."""
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def mlflow_order(order_by: str, fields: Mapping[str, str]) -> str:
    """`-field` as MLflow's `column DESC`. Raises InvalidInput for a field that `fields` does not have."""
    name = order_by.removeprefix("-")
    if name not in fields:
        message = f"{name!r} is not one of: {', '.join(fields)} (with - in front: descending)"
        raise InvalidInput(
            f"It cannot be sorted so: {message}", errors=[FieldProblem(field="order_by", message=message)]
        )
    return f"{fields[name]} {'DESC' if order_by.startswith('-') else 'ASC'}"


def quoted(text: str) -> str:
    """A string in MLflow's filter language, without escapes: a quote that cannot be written becomes a wildcard."""
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "_") + "'"


def unquotable(text: str) -> bool:
    """Whether `quoted` matches more than this text, so that the filter needs LIKE and results must be checked again."""
    return "'" in text and '"' in text


def metric_value(value: Any) -> float:
    """A metric's value from JSON: a number, "NaN", "Infinity", "-Infinity"; MLflow's largest floats are infinities."""
    number = float(value)
    if number >= LARGEST:
        return float("inf")
    return float("-inf") if number <= -LARGEST else number


def moment_or_none(milliseconds: Any) -> datetime | None:
    """MLflow's time (milliseconds since 1970) as a datetime; None for 0 and values out of range."""
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None
    except (OverflowError, ValueError, OSError):
        return None


def pairs(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {entry["key"]: entry.get("value", "") for entry in entries}


def fields_of_run(found: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `schemas.tracking.Run` from MLflow's `Run` object."""
    info, data = found["info"], found.get("data", {})
    tags = pairs(data.get("tags", ()))
    return {
        "id": info["run_id"],
        "name": info.get("run_name", ""),
        "experiment_id": info.get("experiment_id", ""),
        "user": info.get("user_id", ""),
        "status": info.get("status", ""),
        "lifecycle_stage": info.get("lifecycle_stage", ""),
        "started_at": moment_or_none(info.get("start_time")),
        "ended_at": moment_or_none(info.get("end_time")),
        "metrics": {entry["key"]: metric_value(entry.get("value", 0.0)) for entry in data.get("metrics", ())},
        "params": pairs(data.get("params", ())),
        "tags": tags,
        "holds_model": bool(found.get("outputs", {}).get("model_outputs")) or LOGGED_BY_MLFLOW_2 in tags,
    }


def fields_of_item(item: dict[str, Any]) -> dict[str, Any]:
    """The fields of `schemas.tracking.Run` from an item of our route in MLflow's server."""
    return {
        **item,
        "started_at": _read_moment(item["started_at"]),
        "ended_at": _read_moment(item["ended_at"]),
        "metrics": {key: float(value) for key, value in item["metrics"].items()},
    }


def _read_moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
