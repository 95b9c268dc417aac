"""Tensors of the Open Inference Protocol (v2): datatypes, JSON and the binary extension. Plain functions.

https://github.com/kserve/open-inference-protocol, https://github.com/triton-inference-server/server (binary tensor data
extension). Functions import numpy, which MLflow brings along.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from registry_tui.serving.answers import Unfit

#: Datatypes of the protocol as numpy calls them; BYTES are texts and bytes of any length.
DATATYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
#: By the names that numpy has for them.
NAMES = {name: datatype for datatype, name in DATATYPES.items()}


@dataclass(frozen=True)
class Tensor:
    """A tensor that is sent: its values in `array`, as texts where the datatype is BYTES."""

    name: str
    array: Any
    parameters: dict[str, Any] = field(default_factory=dict)


def read(documents: Any, rest: bytes) -> list[Tensor]:
    """The tensors that a request names, in order; binary ones follow each other in `rest`. Raises Unfit."""
    if not isinstance(documents, list) or not documents:
        raise Unfit("The request has no list `inputs` with tensors")
    found, place = [], 0
    for document in documents:
        if not isinstance(document, dict) or not isinstance(document.get("name"), str):
            raise Unfit("An input is not an object with a name")
        name, parameters = document["name"], document.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise Unfit(f"The parameters of {name} are not an object")
        size = parameters.get("binary_data_size")
        if size is None:
            array = _of_json(name, document)
        else:
            if type(size) is not int or size < 0 or place + size > len(rest):
                raise Unfit(f"The binary data of {name} is shorter than its binary_data_size")
            array = _of_bytes(name, document, rest[place : place + size])
            place += size
        found.append(Tensor(name, array, parameters))
    if place != len(rest):
        raise Unfit("The request has more binary data than its inputs name")
    return found


def _shape(name: str, document: dict[str, Any]) -> tuple[int, ...]:
    shape = document.get("shape")
    if not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise Unfit(f"The shape of {name} is not a list of lengths")
    return tuple(shape)


def _datatype(name: str, document: dict[str, Any]) -> str:
    datatype = document.get("datatype")
    if datatype != "BYTES" and datatype not in DATATYPES:
        raise Unfit(f"The datatype of {name} is not one of: {', '.join(DATATYPES)}, BYTES")
    return str(datatype)


def _of_json(name: str, document: dict[str, Any]) -> Any:
    import numpy

    datatype, shape = _datatype(name, document), _shape(name, document)
    data = document.get("data")
    if not isinstance(data, list):
        raise Unfit(f"The input {name} has no data")
    try:
        if datatype == "BYTES":
            array = numpy.array(data, dtype=object)
            if not all(isinstance(value, str) for value in array.ravel()):
                raise Unfit(f"The data of {name} are not texts")
        else:
            array = numpy.array(data)
            kinds = {"BOOL": "b"}.get(datatype, "fiu" if datatype.startswith("FP") else "iu")
            if array.size and array.dtype.kind not in kinds:
                raise Unfit(f"The data of {name} are not {datatype}")
            wanted = array.astype(DATATYPES[datatype])
            if array.dtype.kind in "iu" and not datatype.startswith("FP") and not (wanted == array).all():
                raise Unfit(f"The data of {name} do not fit into {datatype}")
            array = wanted
        return array.reshape(shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise Unfit(f"The data of {name} are not of the shape {list(shape)} and {datatype}") from error


def _of_bytes(name: str, document: dict[str, Any], data: bytes) -> Any:
    import numpy

    datatype, shape = _datatype(name, document), _shape(name, document)
    try:
        if datatype == "BYTES":
            return numpy.array(_texts(name, data), dtype=object).reshape(shape)
        found = numpy.frombuffer(data, dtype=numpy.dtype(DATATYPES[datatype]).newbyteorder("<"))
        # Models may change their input in place; a view of the body is read-only.
        return found.astype(DATATYPES[datatype]).reshape(shape)
    except ValueError as error:
        raise Unfit(f"The binary data of {name} are not of the shape {list(shape)} and {datatype}") from error


def _texts(name: str, data: bytes) -> list[str]:
    found, place = [], 0
    while place < len(data):
        if place + 4 > len(data):
            raise Unfit(f"The binary data of {name} end within a length")
        (length,) = struct.unpack_from("<I", data, place)
        place += 4
        if place + length > len(data):
            raise Unfit(f"The binary data of {name} end within a text")
        try:
            found.append(data[place : place + length].decode())
        except UnicodeDecodeError as error:
            raise Unfit(f"A text of {name} is not UTF-8") from error
        place += length
    return found


def datatype_of(array: Any) -> str:
    """The datatype of an array. Raises Unfit for one that the protocol has no datatype for."""
    if array.dtype.kind in "OUS":
        return "BYTES"
    if (found := NAMES.get(array.dtype.name)) is None:
        raise Unfit(f"An answer of the type {array.dtype.name} has no datatype", status=500, code="answer-no-tensor")
    return found


def written(name: str, array: Any, *, binary: bool) -> tuple[dict[str, Any], bytes]:
    """A tensor of a response: its document, and its data where it is sent in binary. Raises Unfit."""
    import numpy

    datatype = datatype_of(array)
    document: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
    flat = array.ravel()
    if datatype == "BYTES" and not all(isinstance(value, str | bytes) for value in flat):
        raise Unfit(f"The output {name} holds values that are not texts", status=500, code="answer-no-tensor")
    if not binary:
        if array.dtype.kind == "f" and not numpy.isfinite(flat).all():
            raise Unfit(
                f"The output {name} has values that JSON does not have; ask for it with `binary_data`",
                status=500,
                code="answer-not-json",
            )
        document["data"] = [_text(value) for value in flat] if datatype == "BYTES" else flat.tolist()
        return document, b""
    data = _packed(flat) if datatype == "BYTES" else numpy.ascontiguousarray(_little(flat)).tobytes()
    document["parameters"] = {"binary_data_size": len(data)}
    return document, data


def _little(array: Any) -> Any:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _packed(values: Sequence[str | bytes]) -> bytes:
    pieces = []
    for value in values:
        data = value.encode() if isinstance(value, str) else bytes(value)
        pieces += [struct.pack("<I", len(data)), data]
    return b"".join(pieces)
