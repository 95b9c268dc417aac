"""Requests that can share one call of the model, and how its result is split again. Plain functions.

Each request is parsed by itself, as if it were the only one. Only then are tables put together, and only tables with
exactly the same columns and dtypes: no value can change because of another caller's rows.

Functions import MLflow and pandas, which take seconds; in a replica, `load` has imported them by then.
"""

from __future__ import annotations

import io
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry_tui.serving.bodies import decode
from registry_tui.serving.shortcuts import Shortcuts, json_of, plain_types, scoring

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

#: Rows of one request, and of one shared call. Larger requests gain nothing from company.
MAX_ROWS_EACH = 64
MAX_ROWS_TOGETHER = 1024
#: Larger requests are predicted alone: reading a large table twice costs more than company gains.
MAX_BYTES_EACH = 32 * 1024
#: Formats that MLflow parses to tables.
TABLES = ("dataframe_split", "dataframe_records")


@dataclass(frozen=True, eq=False)
class Parsed:
    """One request's own table; requests with equal keys can be predicted together."""

    frame: Any
    key: Hashable
    rows: int
    #: Whether it matches the signature: names, order and types.
    checked: bool = False


def parse(body: bytes, schema: Any, shortcuts: Shortcuts | None = None) -> Parsed | None:
    """The table of a JSON request, parsed by MLflow; None for a request that has to be predicted alone."""
    from mlflow.pyfunc.scoring_server import infer_and_parse_data

    if len(body) > MAX_BYTES_EACH:
        return None
    try:
        decoded = decode(body)
        if not isinstance(decoded, dict) or len(decoded) != 1 or next(iter(decoded)) not in TABLES:
            return None
        with scoring(shortcuts):
            frame = infer_and_parse_data(decoded, schema)
        return _mergeable(frame, schema)
    except Exception:  # MLflow's scoring function words the error when it judges the request alone
        return None


def _mergeable(frame: Any, schema: Any) -> Parsed | None:
    import pandas

    if not isinstance(frame, pandas.DataFrame) or not 0 < len(frame) <= MAX_ROWS_EACH:
        return None
    if not frame.index.equals(pandas.RangeIndex(len(frame))) or not frame.columns.is_unique:
        return None
    if not all(isinstance(column, str) for column in frame.columns):
        return None
    types = _types(schema)
    if not all(_plain(frame[column], types.get(column, "string")) for column in frame.columns):
        return None
    # MLflow converts columns of plain types to them, all that are there.
    checked = list(frame.columns) == list(plain_types(schema) or ())
    return Parsed(frame, (tuple(frame.columns), tuple(frame.dtypes)), len(frame), checked)


def _types(schema: Any) -> dict[str, str]:
    """The type that a signature names for each column."""
    if schema is None or not schema.has_input_names():
        return {}
    return {
        name: getattr(type_, "name", str(type_))
        for name, type_ in zip(schema.input_names(), schema.input_types(), strict=True)
    }


def _plain(column: Any, wanted: str) -> bool:
    """Whether no value of a column can be read otherwise among other rows of the same dtype."""
    import numpy
    import pandas

    if isinstance(column.dtype, numpy.dtype) and column.dtype.kind in "biufM":
        return True
    if column.dtype == object or isinstance(column.dtype, pandas.StringDtype):
        # Texts that MLflow has yet to convert (to dates, for example) would all be converted by the first one's format.
        return wanted == "string" and all(type(value) is str for value in column)
    return False


def predict_together(
    model: PyFuncModel, requests: Sequence[Parsed], shortcuts: Shortcuts | None = None
) -> list[Any] | None:
    """Each request's part of one call's predictions; None unless there is one a row. Raises the model's errors."""
    import pandas

    merged = pandas.concat([request.frame for request in requests], ignore_index=True)
    with scoring(shortcuts):
        if shortcuts is not None and all(request.checked for request in requests):
            shortcuts.is_checked(merged)
        predictions = model.predict(merged)
    return share_out(predictions, [request.rows for request in requests])


def share_out(predictions: Any, rows: Sequence[int]) -> list[Any] | None:
    """Each request's part of the predictions, or None unless there is one a row."""
    if isinstance(predictions, dict | str | bytes):
        return None
    try:
        if len(predictions) != sum(rows):
            return None
    except TypeError:
        return None
    cut = getattr(predictions, "iloc", predictions)
    parts, start = [], 0
    for count in rows:
        part = cut[start : start + count]
        if hasattr(part, "reset_index"):
            part = part.reset_index(drop=True)
        parts.append(part)
        start += count
    return parts


def to_json(predictions: Any, shortcuts: Shortcuts | None = None) -> bytes:
    """The body of a response, as MLflow writes it. Raises TypeError, ValueError, RecursionError, OverflowError."""
    from mlflow.pyfunc.scoring_server import predictions_to_json

    if shortcuts is not None and (body := json_of(predictions)) is not None:
        return body
    text = io.StringIO()
    predictions_to_json(predictions, text)
    return text.getvalue().encode()


def strictly(body: bytes) -> bytes:
    """The same response with null where MLflow writes NaN or an infinity, which JSON does not have."""
    if b"NaN" not in body and b"Infinity" not in body:
        return body
    return json.dumps(json.loads(body, parse_constant=lambda _: None)).encode()
