"""Columns of bodies that are not text: streams of Arrow, and binary tensors of the Open Inference Protocol."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

#: The media type of tables as streams of Arrow.
ARROW = "application/vnd.apache.arrow.stream"
#: Types of the protocol's tensors as `struct` has them; `BYTES` are values with their lengths before them.
_FORMATS: Mapping[str, str] = {
    "BOOL": "?",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}


class NotColumns(ValueError):
    """Why a body has no columns."""


def of_arrow(body: bytes, most: int | None) -> tuple[dict[str, list[Any]], int]:
    """The columns of a stream, `most` rows of them, and how many rows there are. Raises NotColumns."""
    try:
        # Not with the module: a gateway that keeps no such request never pays for it, and the command line may lack it.
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise NotColumns("pyarrow, which reads Arrow, is not installed here") from error
    try:
        with pyarrow.ipc.open_stream(pyarrow.py_buffer(body)) as stream:
            table = stream.read_all()
        first = table if most is None else table.slice(0, most)
        columns = {
            str(name): column.to_pylist() for name, column in zip(table.column_names, first.columns, strict=True)
        }
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise NotColumns("it is not a stream of Arrow") from error
    return columns, table.num_rows


def tensor_values(datatype: object, data: bytes) -> list[Any]:
    """The values of a binary tensor, in the order of its elements. Raises NotColumns."""
    if datatype == "BYTES":
        return _texts(data)
    letter = _FORMATS.get(str(datatype))
    if letter is None:
        raise NotColumns(f"its tensors have the type {str(datatype)[:20]}")
    count, rest = divmod(len(data), struct.calcsize(f"<{letter}"))
    if rest:
        raise NotColumns("its binary tensors are not of their type's length")
    return list(struct.unpack(f"<{count}{letter}", data))


def _texts(data: bytes) -> list[Any]:
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at) if at + 4 <= len(data) else (len(data),)
        value = data[at + 4 : at + 4 + length]
        if len(value) != length:
            raise NotColumns("its binary tensors are not of their type's length")
        found.append(value.decode(errors="replace"))
        at += 4 + length
    return found
