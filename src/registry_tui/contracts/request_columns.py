"""The columns of requests and answers for the request log: only parsed ones that may be kept."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from registry_tui.contracts import binary_columns, chat_columns

#: Replaces a value that may not be kept.
MASK = "•••"
#: Rows of one request that are kept, and characters of one text.
ROWS, TEXT = 1_000, 1_000
#: The only column of predictions without names, as the Open Inference Protocol calls it here.
PREDICTIONS = "predictions"
#: Paths of chats.
CHATS = ("v1/chat/completions", "v1/responses")


class NotKept(Exception):
    """Why the content of a request or an answer is not kept."""


@dataclass(frozen=True)
class Columns:
    """Columns with their values, and how many rows there were before they were cut to `ROWS`."""

    values: dict[str, list[Any]] = field(default_factory=dict)
    rows: int = 0
    #: Whether columns have names of their own; else their places are their names.
    named: bool = True
    #: Fields of the body that a column's values come from, where they are not called as it is.
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def cut(self, most: int | None) -> Columns:
        """The first rows alone; all for None."""
        if most is None or self.rows <= most:
            return self
        return replace(self, values={name: values[:most] for name, values in self.values.items()})


@dataclass(frozen=True)
class Kept:
    """Which columns may be kept; names are compared without regard to case."""

    leave_out: frozenset[str] = frozenset()
    mask: frozenset[str] = frozenset()

    @classmethod
    def of(cls, leave_out: Collection[str], mask: Collection[str]) -> Kept:
        return cls(frozenset(map(_same, leave_out)), frozenset(map(_same, mask)))

    def of_columns(self, found: Columns) -> dict[str, list[Any]]:
        """The columns that may be kept. Raises NotKept if that is unknown."""
        if not found.named and (self.leave_out or self.mask):
            raise NotKept("its columns have no names, and some may not be kept")
        allowed = {name: each for name, each in found.values.items() if not self._in(found, name, self.leave_out)}
        cleaned = self._cleaned(allowed, 0)
        assert isinstance(cleaned, dict)
        cleaned |= {name: MASK for name in cleaned if self._in(found, name, self.mask)}
        # A masked column stays as long as the others.
        return {name: [MASK] * len(found.values[name]) if value == MASK else value for name, value in cleaned.items()}

    @staticmethod
    def _in(found: Columns, name: str, fields: frozenset[str]) -> bool:
        """Whether a column's values come from one of these fields."""
        return any(_same(each) in fields for each in found.fields.get(name, ()))

    def _cleaned(self, value: Any, depth: int) -> Any:
        """A value without the fields that may not be kept, also inside columns that hold objects."""
        if depth > 20:
            raise NotKept("it is nested too deeply")
        if isinstance(value, Mapping):
            return {
                str(name): MASK if _same(str(name)) in self.mask else self._cleaned(each, depth + 1)
                for name, each in value.items()
                if _same(str(name)) not in self.leave_out
            }
        if isinstance(value, list):
            return [self._cleaned(each, depth + 1) for each in value]
        if isinstance(value, str) and len(value) > TEXT:
            return value[:TEXT] + "…"
        if isinstance(value, float) and not math.isfinite(value):
            return None  # JSON has no such number
        return value


def _same(name: str) -> str:
    return name.strip().casefold()


def of_request(path: str, content_type: str, body: bytes, *, json_length: str = "", most: int | None = ROWS) -> Columns:
    """The columns of a request, `most` rows of them. Raises NotKept.

    `json_length` is the Open Inference Protocol's header of requests with binary tensors.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if path == "invocations" and kind == "text/csv":
        return _of_csv(body).cut(most)
    if path == "invocations" and kind == binary_columns.ARROW:
        return _of_arrow(body, most)
    if path.startswith("v2/") and path.endswith("/infer") and (json_length or kind in ("application/json", "")):
        found, data = _with_tensors(body, json_length)
        return _of_tensors(found.get("inputs"), data).cut(most)
    if kind not in ("application/json", ""):
        raise NotKept(f"the log does not take {kind[:60]} apart")
    found = _json(body)
    if path in CHATS or (path == "invocations" and isinstance(found.get("messages"), list)):
        if not any(found.get(name) for name in chat_columns.REQUEST_FIELDS):
            raise NotKept("it has no messages")
        return _of_chat(chat_columns.of_request(found), chat_columns.REQUEST_FIELDS)
    if path != "invocations":
        raise NotKept(f"the log does not take requests to {path[:60]} apart")
    for name, read in (("dataframe_split", _of_split), ("dataframe_records", _of_list), ("instances", _of_list)):
        if name in found:
            return read(found[name]).cut(most)
    if "inputs" in found:
        return _of_inputs(found["inputs"]).cut(most)
    raise NotKept("it has none of the fields of MLflow's protocol")


def of_answer(path: str, content_type: str, body: bytes, *, json_length: str = "") -> Columns:
    """The columns of an answer. Raises NotKept."""
    if binary_columns.ARROW in content_type:
        return _of_arrow(body, ROWS)
    if path.startswith("v2/") and (json_length or "json" in content_type):
        found, data = _with_tensors(body, json_length)
        return _of_tensors(found.get("outputs"), data).cut(ROWS)
    if "json" not in content_type:
        raise NotKept("the answer is not JSON")
    found = _json(body)
    if PREDICTIONS not in found and chat_columns.is_answer(found):
        return _of_chat(chat_columns.of_answer(found), chat_columns.ANSWER_FIELDS)
    if PREDICTIONS not in found:
        raise NotKept("the answer has no predictions")
    predictions = found[PREDICTIONS]
    if isinstance(predictions, list) and all(not isinstance(each, dict | list) for each in predictions):
        return Columns({PREDICTIONS: predictions}, len(predictions)).cut(ROWS)
    if isinstance(predictions, dict | list):
        return _of_inputs(predictions).cut(ROWS)
    return Columns({PREDICTIONS: [predictions]}, 1)


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotKept("it is not JSON") from error
    if not isinstance(found, dict):
        raise NotKept("it is not a JSON object")
    return found


def _of_split(value: Any) -> Columns:
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise NotKept("its dataframe_split is not valid")
    return _of_rows(value["data"], value.get("columns"))


def _of_rows(rows: Sequence[Any], names: Any) -> Columns:
    width = max((len(row) for row in rows if isinstance(row, list)), default=0)
    if not all(isinstance(row, list) and len(row) == width for row in rows):
        raise NotKept("its rows are not of one length")
    named = isinstance(names, list) and len(names) == width
    columns = [str(name) for name in names] if named else [str(place) for place in range(width)]
    return Columns({name: [row[at] for row in rows] for at, name in enumerate(columns)}, len(rows), named)


def _of_list(value: Any) -> Columns:
    if not isinstance(value, list):
        raise NotKept("its rows are not a list")
    if value and all(isinstance(each, dict) for each in value):
        names = dict.fromkeys(str(name) for each in value for name in each)
        return Columns({name: [each.get(name) for each in value] for name in names}, len(value))
    if value and all(isinstance(each, list) for each in value):
        return _of_rows(value, None)
    return Columns({"0": value}, len(value), named=False)


def _of_inputs(value: Any) -> Columns:
    if not isinstance(value, dict):
        return _of_list(value)
    columns = {str(name): each if isinstance(each, list) else [each] for name, each in value.items()}
    rows = max((len(each) for each in columns.values()), default=0)
    return Columns(columns, rows)


def _of_arrow(body: bytes, most: int | None) -> Columns:
    try:
        columns, rows = binary_columns.of_arrow(body, most)
    except binary_columns.NotColumns as error:
        raise NotKept(str(error)) from error
    return Columns(columns, rows)


def _of_chat(values: dict[str, list[Any]], fields: tuple[str, ...]) -> Columns:
    return Columns(values, 1, fields={chat_columns.TEXT: fields})


def _with_tensors(body: bytes, json_length: str) -> tuple[Mapping[str, Any], bytes]:
    """A body's JSON, and the binary tensors behind it."""
    if not json_length:
        return _json(body), b""
    if not (json_length.isascii() and json_length.isdigit() and int(json_length) <= len(body)):
        raise NotKept("it does not say where its JSON ends")
    return _json(body[: int(json_length)]), body[int(json_length) :]


def _of_tensors(value: Any, binary: bytes) -> Columns:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise NotKept("it has no tensors")
    columns = {}
    for each in value:
        shape, data = each.get("shape"), each.get("data")
        parameters = each.get("parameters")
        size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
        if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
            try:
                data, binary = binary_columns.tensor_values(each.get("datatype"), binary[:size]), binary[size:]
            except binary_columns.NotColumns as error:
                raise NotKept(str(error)) from error
        flat = isinstance(shape, list) and (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1))
        if not flat or not isinstance(data, list):
            raise NotKept("its tensors are not columns of values")
        columns[str(each.get("name"))] = [one[0] if isinstance(one, list) and one else one for one in data]
    rows = max((len(each) for each in columns.values()), default=0)
    return Columns(columns, rows)


def _of_csv(body: bytes) -> Columns:
    try:
        rows = list(csv.reader(io.StringIO(body.decode()), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise NotKept("it is not CSV in UTF-8") from error
    names, rows = (rows[0], [row for row in rows[1:] if row]) if rows else ([], [])
    if not all(len(row) == len(names) for row in rows):
        raise NotKept("its rows are not of one length")
    return Columns({name: [_number(row[at]) for row in rows] for at, name in enumerate(names)}, len(rows))


def _number(text: str) -> Any:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return text
