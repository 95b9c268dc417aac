"""Tables as Arrow streams (`application/vnd.apache.arrow.stream`), which MLflow's scoring server does not support.

Functions import pyarrow and pandas, which take seconds; a model's environment may have no pyarrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_tui.serving.answers import Answer, Unfit, predict
from registry_tui.serving.batching import to_json
from registry_tui.serving.shortcuts import Shortcuts

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

STREAM = "application/vnd.apache.arrow.stream"


def score(body: bytes, accept: str, model: PyFuncModel, shortcuts: Shortcuts | None = None) -> Answer:
    """The response to a table: JSON as for any request, or a stream if `accept` requests one and the result is a table.

    Predictions without names are the column `predictions`, or columns `0`, `1` and so on.
    """
    return predict(model, lambda: (_read(body), None), lambda found: _answer(found, accept, shortcuts), shortcuts)


def _read(body: bytes) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise Unfit(
            "The model's environment has no pyarrow; send JSON or CSV, or log the model with pyarrow",
            status=415,
            code="arrow-missing",
        ) from error
    try:
        with pyarrow.ipc.open_stream(pyarrow.py_buffer(body)) as stream:
            return stream.read_all().to_pandas()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise Unfit(f"The body is not an Arrow stream: {error}") from error


def _answer(found: Any, accept: str, shortcuts: Shortcuts | None) -> Answer:
    if STREAM in accept and (table := _table(found)) is not None:
        import pyarrow

        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return Answer(200, sink.getvalue().to_pybytes(), STREAM)
    return Answer(200, to_json(found, shortcuts))


def _table(found: Any) -> Any:
    """Predictions as a table; None if they are not a table."""
    import numpy
    import pandas
    import pyarrow

    if isinstance(found, pandas.Series) or (isinstance(found, numpy.ndarray | list) and numpy.ndim(found) == 1):
        found = pandas.DataFrame({"predictions": found})
    elif isinstance(found, numpy.ndarray) and found.ndim == 2:
        found = pandas.DataFrame(found, columns=[str(number) for number in range(found.shape[1])])
    if not isinstance(found, pandas.DataFrame):
        return None
    try:
        return pyarrow.Table.from_pandas(found, preserve_index=False)
    except (pyarrow.ArrowException, TypeError, ValueError):
        return None
