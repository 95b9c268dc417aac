"""Requests that can share one call of the model, and how its answer is shared out again. Plain functions.

Only requests are merged whose merged table cannot differ from theirs alone: the same format, the same columns and the
same Python types in each column. What cannot be merged is predicted alone.
"""

from __future__ import annotations

import io
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

#: Rows of one request, and of one merged call. Larger requests gain nothing from company.
MAX_ROWS_EACH = 64
MAX_ROWS_TOGETHER = 1024
#: Bytes of a request that is looked at at all: reading a large frame twice costs more than company gains.
MAX_BYTES_EACH = 32 * 1024


@dataclass(frozen=True, eq=False)
class Parsed:
    """A request's JSON with what it may be merged by; `key` is None for one that goes alone."""

    body: dict[str, Any]
    key: Hashable | None
    rows: int


def parse(body: bytes) -> Parsed | None:
    """Looks at a JSON request; None for one that only MLflow's own parser should judge (wrong or unusual input)."""
    if len(body) > MAX_BYTES_EACH:
        return None
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(decoded, dict) or len(decoded) != 1:
        return None
    ((form, data),) = decoded.items()
    if form == "dataframe_split":
        return _split(decoded, data)
    if form == "dataframe_records" or (form == "instances" and isinstance(data, list) and _dicts(data)):
        return _records(decoded, form, data)
    return None


def _split(body: dict[str, Any], data: Any) -> Parsed | None:
    if not isinstance(data, dict) or not {"columns", "data"} <= data.keys() <= {"columns", "data", "index"}:
        return None
    columns, rows = data["columns"], data["data"]
    if not isinstance(columns, list) or not isinstance(rows, list) or not 0 < len(rows) <= MAX_ROWS_EACH:
        return None
    if not all(isinstance(column, str) for column in columns):
        return None
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        return None
    if "index" in data and data["index"] != list(range(len(rows))):
        return None
    kinds = _kinds(zip(*rows, strict=True))
    return None if kinds is None else Parsed(body, ("dataframe_split", tuple(columns), kinds), len(rows))


def _records(body: dict[str, Any], form: str, data: Any) -> Parsed | None:
    if not isinstance(data, list) or not 0 < len(data) <= MAX_ROWS_EACH or not _dicts(data):
        return None
    columns = tuple(data[0])
    if any(tuple(row) != columns for row in data):
        return None
    kinds = _kinds([row[column] for row in data] for column in columns)
    return None if kinds is None else Parsed(body, (form, columns, kinds), len(data))


def _dicts(rows: Sequence[Any]) -> bool:
    return bool(rows) and all(isinstance(row, dict) for row in rows)


def _kinds(columns: Any) -> tuple[type, ...] | None:
    """The one Python type of each column, or None when a column mixes types or holds lists, objects or nulls."""
    found = []
    for column in columns:
        kinds = {type(value) for value in column}
        if len(kinds) != 1 or not kinds <= {int, float, str, bool}:
            return None
        found.append(kinds.pop())
    return tuple(found)


def merge(requests: Sequence[Parsed]) -> dict[str, Any]:
    """One request body with the rows of all, in order; they have the same key."""
    form = next(iter(requests[0].body))
    if form == "dataframe_split":
        rows = [row for request in requests for row in request.body[form]["data"]]
        return {form: {"columns": requests[0].body[form]["columns"], "data": rows}}
    return {form: [row for request in requests for row in request.body[form]]}


def share_out(predictions: Any, rows: Sequence[int]) -> list[Any] | None:
    """Each request's part of the predictions, or None when they are not one a row."""
    try:
        if len(predictions) != sum(rows):
            return None
    except TypeError:
        return None
    cut = getattr(predictions, "iloc", predictions)
    if isinstance(predictions, dict):
        return None
    parts, start = [], 0
    for count in rows:
        part = cut[start : start + count]
        if hasattr(part, "reset_index"):
            part = part.reset_index(drop=True)
        parts.append(part)
        start += count
    return parts


#: Flavours whose models answer each row by itself, whatever other rows come with it.
ROW_BY_ROW = frozenset(
    f"mlflow.{flavour}" for flavour in ("sklearn", "xgboost", "lightgbm", "catboost", "statsmodels", "onnx", "h2o")
)
#: Copies of the model's example that are predicted together when it is tried.
TRIED = (2, 7, 16)


def row_by_row(model: Any, example: bytes | None) -> bool:
    """Whether requests may share one call of this model: its flavour answers row by row, and its own example gets
    the same answer, to the last digit, alone and in company. Without an example the flavour decides."""
    from mlflow.pyfunc.scoring_server import infer_and_parse_data, predictions_to_json

    if model.loader_module not in ROW_BY_ROW:
        return False
    parsed = None if example is None else parse(example)
    if parsed is None or parsed.key is None:
        return example is None
    schema = model.metadata.get_input_schema()

    def answers(copies: int) -> list[str]:
        predictions = model.predict(infer_and_parse_data(merge([parsed] * copies), schema))
        parts = share_out(predictions, [parsed.rows] * copies) or []
        texts = []
        for part in parts:
            text = io.StringIO()
            predictions_to_json(part, text)
            texts.append(text.getvalue())
        return texts

    try:
        alone = answers(1)
        return len(alone) == 1 and all(answers(copies) == alone * copies for copies in TRIED)
    except Exception:  # a model that cannot take its own example is asked one request at a time
        return False
