"""Faster versions of steps of MLflow's scoring function, where the result is the same.

MLflow's function still reads each request, predicts and words the errors. Five steps of it are replaced in this
process: making a table of JSON and of CSV, making a tensor, comparing a table with the signature, and writing
predictions. Each passes unusual input on to MLflow's own step, as do calls outside `Shortcuts.scoring`: MLflow then
decides and words the error.

Functions import MLflow and pandas, which take seconds; in a replica, `load` has imported them by then.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from registry_tui.serving import bodies, csv_tables

#: Types of a signature whose columns are made here.
PLAIN = frozenset(("double", "float", "long", "integer", "boolean", "string"))
#: Those of numbers and truths, as numpy calls them.
NUMPY = {"double": "float64", "float": "float32", "long": "int64", "integer": "int32", "boolean": "bool"}


class Shortcuts:
    """The replaced steps, with MLflow's own behind them. One in a process, made by `install`."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._original: dict[str, Callable[..., Any]] = {}

    # -- passed from one step of a call to the next, per thread ----------------------------------------

    @contextmanager
    def scoring(self) -> Iterator[Written]:
        """Enables the shortcuts while MLflow handles a request on this thread; yields the written predictions."""
        written = Written()
        self._own.written = written
        try:
            yield written
        finally:
            self._own.written = self._own.checked = None

    @property
    def _active(self) -> bool:
        return getattr(self._own, "written", None) is not None

    def is_checked(self, frame: Any) -> None:
        """Notes that a table matches its signature: names, order and types."""
        self._own.checked = frame

    def fits(self, frame: Any, schema: Any) -> bool:
        """Whether a table matches its signature, so that comparing it once more would change nothing."""
        import pandas

        types = plain_types(schema)
        if types is None or not isinstance(frame, pandas.DataFrame) or list(frame.columns) != list(types):
            return False
        return all(_is_of(type_, dtype) for type_, dtype in zip(types.values(), frame.dtypes, strict=True))

    # -- the steps ---------------------------------------------------------------------------------

    def table(self, decoded_input: Any, pandas_orient: str, schema: Any = None) -> Any:
        """`dataframe_from_parsed_json`."""
        frame = None
        if self._active and (types := plain_types(schema)) is not None:
            frame = _split(decoded_input, types) if pandas_orient == "split" else _records(decoded_input, types)
        if frame is None:
            return self._original["table"](decoded_input, pandas_orient=pandas_orient, schema=schema)
        if frame.columns.tolist() == list(types or ()):
            self.is_checked(frame)
        return frame

    def csv(self, csv_input: Any, schema: Any = None) -> Any:
        """`parse_csv_input`, whose table often needs no further check."""
        frame = self._plain_csv(csv_input, schema) if self._active else None
        if frame is not None:  # made by the signature
            self.is_checked(frame)
            return frame
        frame = self._original["csv"](csv_input, schema)
        if self._active and self.fits(frame, schema):
            self.is_checked(frame)
        return frame

    def _plain_csv(self, csv_input: Any, schema: Any) -> Any:
        types = plain_types(schema)
        if types is None or set(types.values()) != {"double"} or not isinstance(csv_input, io.StringIO):
            return None
        block = csv_tables.doubles(csv_input.getvalue(), list(types))
        return None if block is None else _doubles(list(types), block)

    def tensor(self, inp_dict: Any, schema: Any = None) -> Any:
        """`parse_tf_serving_input`, which copies all lists before it makes an array of them."""
        if self._active and len(inp_dict) == 1 and (found := _array(next(iter(inp_dict.items())), schema)) is not None:
            return found
        return self._original["tensor"](inp_dict, schema)

    def enforce(self, pf_input: Any, *arguments: Any, **named: Any) -> Any:
        """`_enforce_schema`, for which a table that was made by the signature is as it should be."""
        if pf_input is not None and pf_input is getattr(self._own, "checked", None):
            return pf_input
        return self._original["enforce"](pf_input, *arguments, **named)

    def write(self, raw_predictions: Any, output: Any, *arguments: Any, **named: Any) -> Any:
        """`predictions_to_json`, whose text goes through several copies."""
        written = getattr(self._own, "written", None)
        if written is not None and not arguments and not named:
            body = json_of(raw_predictions)
            if body is not None:
                written.body = body
                return None
        return self._original["write"](raw_predictions, output, *arguments, **named)

    def install(self) -> Shortcuts:
        """Replaces MLflow's steps by ours, where this version of it has them."""
        from mlflow import pyfunc
        from mlflow.pyfunc import scoring_server

        if (original := getattr(scoring_server, "dataframe_from_parsed_json", None)) is not None:
            self._original["table"] = original
            scoring_server.dataframe_from_parsed_json = self.table
        if (original := getattr(scoring_server, "parse_csv_input", None)) is not None:
            self._original["csv"] = original
            scoring_server.parse_csv_input = self.csv
        if (original := getattr(scoring_server, "parse_tf_serving_input", None)) is not None:
            self._original["tensor"] = original
            scoring_server.parse_tf_serving_input = self.tensor
        if (original := getattr(scoring_server, "predictions_to_json", None)) is not None:
            self._original["write"] = original
            scoring_server.predictions_to_json = self.write
        if (original := getattr(pyfunc, "_enforce_schema", None)) is not None:
            self._original["enforce"] = original
            pyfunc._enforce_schema = self.enforce
        return self


class Written:
    """The JSON of the predictions, when it was made here."""

    body: bytes | None = None


@contextmanager
def scoring(shortcuts: Shortcuts | None) -> Iterator[Written]:
    """`shortcuts.scoring()`; without shortcuts, does nothing."""
    if shortcuts is None:
        yield Written()
    else:
        with shortcuts.scoring() as written:
            yield written


def plain_types(schema: Any) -> Mapping[str, str] | None:
    """The type of each column that a signature names, in its order; None unless all are plain."""
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return None
    types = {
        name: getattr(type_, "name", "") for name, type_ in zip(schema.input_names(), schema.input_types(), strict=True)
    }
    return types if types and all(type_ in PLAIN for type_ in types.values()) else None


def _is_of(type_: str, dtype: Any) -> bool:
    import pandas

    if type_ == "string":
        return str(dtype) == "object" or isinstance(dtype, pandas.StringDtype)
    return str(dtype) == NUMPY[type_]


def _split(decoded: Any, types: Mapping[str, str]) -> Any:
    """The table of `dataframe_split`; None unless it is whole, and has rows."""
    import numpy

    if not isinstance(decoded, dict) or decoded.keys() != {"columns", "data"}:
        return None
    names, rows = decoded["columns"], decoded["data"]
    if not isinstance(names, list) or not isinstance(rows, list) or not rows:
        return None
    if not all(type(name) is str for name in names) or len(set(names)) != len(names):
        return None
    if all(types.get(name) == "double" for name in names):
        try:
            return _doubles(names, numpy.ascontiguousarray(numpy.array(rows).T))
        except ValueError:  # rows of different lengths
            return None
    if not all(type(row) is list and len(row) == len(names) for row in rows):
        return None
    return frame_of(dict(zip(names, zip(*rows, strict=True), strict=True)), types)


def _records(decoded: Any, types: Mapping[str, str]) -> Any:
    """The table of `dataframe_records`; None unless all rows have the same names."""
    if not isinstance(decoded, list) or not decoded or not isinstance(decoded[0], dict):
        return None
    keys = decoded[0].keys()
    if not keys or not all(type(row) is dict and row.keys() == keys for row in decoded):
        return None
    return frame_of({name: [row[name] for row in decoded] for name in keys}, types)


def _doubles(names: Sequence[str], block: Any) -> Any:
    """A table of numbers, a row of the block for each column; None when they are other values.

    The layout is that of MLflow's own table after its checks: linear algebra rounds by it.
    """
    import numpy
    import pandas

    if block.ndim != 2 or len(block) != len(names) or block.dtype.kind not in "fi":
        return None
    return pandas.DataFrame(block.astype(numpy.float64, copy=False).T, columns=_columns(tuple(names)), copy=False)


def frame_of(columns: Mapping[str, Sequence[Any]], types: Mapping[str, str]) -> Any:
    """A table with the signature's types; None when a value would have to be converted, or a name is not known."""
    import numpy
    import pandas

    if not all(name in types for name in columns):
        return None
    if all(types[name] == "double" for name in columns):
        return _doubles(list(columns), numpy.array(list(columns.values())))
    made: dict[str, Any] = {}
    for name, values in columns.items():
        column = _column(values, types[name])
        if column is None:
            return None
        made[name] = column
    frame = pandas.DataFrame(made)
    frame.columns = _columns(tuple(made))
    return frame


def _columns(names: tuple[str, ...]) -> Any:
    """The names of a table's columns, with the lookup tables that were made for an earlier table where that is safe."""
    kept = _kept_columns(names)
    # A view, because a model may name the index.
    return list(names) if kept is None else kept.view()


@lru_cache(maxsize=64)
def _kept_columns(names: tuple[str, ...]) -> Any:
    """An index of the names that cannot be changed in place; None where pandas' indexes of texts can be."""
    import pandas

    index = pandas.Index(list(names))
    if index.dtype == object:
        return None
    index.get_indexer_for(index[:1])  # makes its lookup tables
    return index


def _column(values: Sequence[Any], type_: str) -> Any:
    import numpy

    if type_ == "string":
        # pandas finds the type of texts itself: another one in each of its generations.
        return list(values) if all(type(value) is str for value in values) else None
    if type_ == "boolean":
        return numpy.array(values) if all(type(value) is bool for value in values) else None
    found = numpy.array(values)
    if found.ndim != 1:
        return None
    if type_ in ("double", "float"):
        wanted = numpy.float64 if type_ == "double" else numpy.float32
        return found.astype(wanted, copy=False) if found.dtype.kind in "fi" else None
    if found.dtype != numpy.int64:
        return None
    if type_ == "integer":
        bounds = numpy.iinfo(numpy.int32)
        return found.astype(numpy.int32) if bounds.min <= found.min() and found.max() <= bounds.max else None
    return found


def _array(field: tuple[str, Any], schema: Any) -> Any:
    """The tensor of a signature with one tensor, or all that it names; None when that is not plain."""
    if schema is None or not schema.is_tensor_spec():
        return None
    name, value = field
    types = schema.input_types()
    if not schema.has_input_names():
        return _numbers(value, types[0]) if _is_list(value) else None
    names = schema.input_names()
    if len(names) == 1 and _is_list(value):
        value = {names[0]: value}
    elif name != "inputs" or not isinstance(value, dict) or set(value) != set(names):
        return None
    wanted = dict(zip(names, types, strict=True))
    made = {each: _numbers(values, wanted[each]) for each, values in value.items()}
    return None if any(array is None for array in made.values()) else made


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and not any(isinstance(each, dict) for each in value)


def _numbers(value: Any, type_: Any) -> Any:
    """A list as an array; None when MLflow's own step has to raise the error."""
    import numpy

    try:
        return numpy.array(value, dtype=type_) if isinstance(value, list) else None
    except (ValueError, TypeError, OverflowError):
        return None


def json_of(predictions: Any) -> bytes | None:
    """`{"predictions": …}` of plain numbers, truths and texts; None when MLflow has to write it."""
    import numpy
    import pandas

    if isinstance(predictions, pandas.DataFrame):
        value = _rows_of(predictions)
    elif isinstance(predictions, pandas.Series):
        value = _rows_of(pandas.DataFrame(predictions))
    elif isinstance(predictions, numpy.ndarray):
        value = predictions.tolist() if _is_plain(predictions) else None
    else:
        value = None
    return None if value is None else bodies.encode({"predictions": value})


def _rows_of(frame: Any) -> list[dict[str, Any]] | None:
    """The rows of a table of plain columns, as dictionaries with their names as JSON has them."""
    import numpy

    names = [str(name) for name in frame.columns if type(name) in (str, int)]
    if len(set(names)) != frame.shape[1]:
        return None
    columns = []
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        if not isinstance(column.dtype, numpy.dtype) or not _is_plain(column.to_numpy()):
            return None
        columns.append(column.tolist())
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _is_plain(array: Any) -> bool:
    """Whether JSON has all values of an array: whole numbers, truths, and finite numbers."""
    import numpy

    if array.dtype.kind in "iub":
        return True
    return bool(array.dtype.kind == "f" and array.dtype.itemsize <= 8 and numpy.isfinite(array).all())
