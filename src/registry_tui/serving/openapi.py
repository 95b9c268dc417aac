"""The description of a deployment's endpoint as OpenAPI 3.1, made from its model's signature and input example.

Plain data from plain data: a signature as MLmodel has it, its parts decoded.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry_tui.contracts import event_stream
from registry_tui.contracts.counts import counted
from registry_tui.contracts.replica_spec import Limits

VERSION = "3.1.0"
_JSON = "application/json"
_PROBLEM = "application/problem+json"
_ARROW = "application/vnd.apache.arrow.stream"
#: MLflow's types of columns as JSON's.
_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
}
#: Types of the Open Inference Protocol, by those of columns.
_DATATYPES = {"double": "FP64", "float": "FP32", "long": "INT64", "integer": "INT32", "boolean": "BOOL"}


@dataclass(frozen=True)
class Described:
    """The facts in an endpoint's description."""

    name: str
    version: int
    deployment: str
    #: Columns or tensors, `None` where the model has no signature.
    inputs: Sequence[Mapping[str, Any]] | None = None
    outputs: Sequence[Mapping[str, Any]] | None = None
    params: Sequence[Mapping[str, Any]] = ()
    #: The request that was logged with the model.
    example: Any = None
    streams: bool = False
    #: The path of OpenAI's protocol that the model supports, below `v1`; empty: none.
    chat: str = ""
    #: Whether the signature is that of a Python function, whose values are below `inputs`.
    of_type_hints: bool = False
    limits: Limits = field(default_factory=Limits)


def document(of: Described) -> dict[str, Any]:
    """The description. Its addresses are relative to where it is read."""
    paths: dict[str, Any] = {"/invocations": {"post": _invocations(of)}}
    if of.chat:
        paths |= _chat(of)
    elif not of.of_type_hints:
        paths |= _open_inference(of)
    paths["/ping"] = {"get": _get("ping", "Whether a replica is well", {"type": "string"}, media="text/plain")}
    return {
        "openapi": VERSION,
        "info": {
            "title": of.deployment,
            "version": str(of.version),
            "description": f"{of.name} v{of.version}. A body may be packed with gzip, deflate or zstd; "
            f"an answer takes {counted(of.limits.seconds, 'second')} at most.",
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "schemas": {
                "Problem": {
                    "type": "object",
                    "properties": {
                        "status": {"type": "integer"},
                        "code": {"type": "string"},
                        "detail": {"type": "string"},
                        "action": {"type": "string"},
                    },
                }
            }
        },
    }


# -- MLflow's scoring protocol -------------------------------------------------------------------------


def _invocations(of: Described) -> dict[str, Any]:
    body = {"schema": request_schema(of)}
    if of.example is not None:
        body["example"] = of.example
    content = {_JSON: body}
    if of.inputs and not of.chat and all(each.get("type") in _TYPES and "name" in each for each in of.inputs):
        content["text/csv"] = {"schema": {"type": "string"}}
        content[_ARROW] = {"schema": {"type": "string", "format": "binary"}}
    predictions = {"type": "object", "required": ["predictions"], "properties": {"predictions": _out(of)}}
    return _post("invocations", "MLflow's scoring protocol", content, {} if of.chat else predictions, of)


def request_schema(of: Described) -> dict[str, Any]:
    """The schema of a JSON request to `/invocations`."""
    more: dict[str, Any] = {}
    if of.params:
        more["params"] = _object([{**each, "required": False} for each in of.params])
    if of.streams:
        more["stream"] = {"type": "boolean", "description": "Whether to answer in pieces, as server-sent events"}
    if of.chat:
        found = _object(of.inputs or ())
        return {**found, "properties": {**found["properties"], **more}}
    if of.inputs is None:
        forms: dict[str, Any] = {name: {} for name in ("dataframe_split", "dataframe_records", "inputs", "instances")}
    elif of.of_type_hints:
        forms = {"inputs": {"type": "array", "items": _column(of.inputs[0]) if len(of.inputs) == 1 else {}}}
    elif any(each.get("type") == "tensor" for each in of.inputs):
        named = [each for each in of.inputs if each.get("name")]
        whole = _object(of.inputs) if named else _column(of.inputs[0])
        one = (
            {**_object([{**each, **_row_of(each)} for each in of.inputs])} if named else _column(_row_of(of.inputs[0]))
        )
        forms = {"inputs": whole, "instances": {"type": "array", "items": one}}
    else:
        forms = _tables(of.inputs)
    return {
        "oneOf": [
            {"type": "object", "required": [name], "properties": {name: schema, **more}, "title": name}
            for name, schema in forms.items()
        ]
    }


def _tables(columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = [str(each["name"]) for each in columns if "name" in each]
    row = _object(columns) if names else {"type": "array"}
    split = {
        "type": "object",
        "required": ["columns", "data"] if names else ["data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}, **({"examples": [names]} if names else {})},
            "data": {"type": "array", "items": {"type": "array"}},
        },
    }
    lists = {**row, "properties": {name: {"type": "array"} for name in names}} if names else {"type": "array"}
    return {
        "dataframe_split": split,
        "dataframe_records": {"type": "array", "items": row},
        "inputs": {"anyOf": [lists, {"type": "array", "items": row}]},
        "instances": {"type": "array", "items": row},
    }


def _row_of(tensor: Mapping[str, Any]) -> dict[str, Any]:
    """One row of a tensor: its shape without the first length."""
    spec = dict(tensor.get("tensor-spec", {}))
    return {**tensor, "tensor-spec": {**spec, "shape": list(spec.get("shape", ()))[1:]}}


def _object(properties: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    required = [str(each["name"]) for each in properties if each.get("required", True) and "name" in each]
    found: dict[str, Any] = {
        "type": "object",
        "properties": {str(each["name"]): _column(each) for each in properties if "name" in each},
    }
    return {**found, "required": required} if required else found


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    """A column, tensor or parameter as JSON Schema; anything where MLflow has no details."""
    kind = column.get("type")
    if kind == "tensor":
        spec = column.get("tensor-spec", {})
        return _nested(_TYPES.get(_plain(str(spec.get("dtype"))), {}), list(spec.get("shape", ())))
    if kind == "array":
        found: dict[str, Any] = {"type": "array", "items": _column(column.get("items", {}))}
    elif kind == "object":
        own = column.get("properties", {})
        found = _object([{**each, "name": name} for name, each in own.items()])
    elif kind == "map":
        found = {"type": "object", "additionalProperties": _column(column.get("values", {}))}
    else:
        found = dict(_TYPES.get(str(kind), {}))
    if column.get("shape"):
        found = {"type": "array", "items": found}
    if column.get("default") is not None:
        found["default"] = column["default"]
    return found


def _nested(schema: dict[str, Any], shape: list[int]) -> dict[str, Any]:
    for length in reversed(shape):
        exact = {"minItems": length, "maxItems": length} if length >= 0 else {}
        schema = {"type": "array", "items": schema, **exact}
    return schema


def _plain(dtype: str) -> str:
    if dtype.startswith(("int", "uint")):
        return "long"
    return {"float64": "double", "float32": "float", "float16": "float", "bool": "boolean"}.get(dtype, "string")


def _out(of: Described) -> dict[str, Any]:
    """Predictions: a list with one for each row, as far as the signature defines them."""
    outputs = of.outputs or ()
    if len(outputs) == 1 and "name" not in outputs[0]:
        tensor = outputs[0].get("type") == "tensor"
        return _column(outputs[0]) if tensor else {"type": "array", "items": _column(outputs[0])}
    if outputs and all("name" in each and each.get("type") != "tensor" for each in outputs):
        return {"anyOf": [{"type": "array", "items": _object(outputs)}, {}]}
    return {}


# -- the other protocols -------------------------------------------------------------------------------


def _open_inference(of: Described) -> dict[str, Any]:
    tensor = {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"type": "string"},
            "data": {"type": "array"},
        },
    }
    request = {
        "type": "object",
        "required": ["inputs"],
        "properties": {"id": {"type": "string"}, "inputs": {"type": "array", "items": tensor}},
    }
    answer = {
        "type": "object",
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "outputs": {"type": "array", "items": copy.deepcopy(tensor)},
        },
    }
    body: dict[str, Any] = {"schema": request}
    if (example := tensors_of(of)) is not None:
        body["example"] = {"inputs": example}
    path = f"/v2/models/{of.name}"
    title = "Open Inference Protocol (v2)"
    return {
        path: {"get": _get("metadata", f"{title}: the model's metadata", {"type": "object"})},
        f"{path}/infer": {"post": _post("infer", title, {_JSON: body}, answer, of)},
    }


def tensors_of(of: Described) -> list[dict[str, Any]] | None:
    """The example's columns as inputs of the protocol; None unless it is a table of the signature's columns."""
    split = of.example.get("dataframe_split") if isinstance(of.example, dict) else None
    if not isinstance(split, dict) or not of.inputs:
        return None
    types = {str(each.get("name")): str(each.get("type")) for each in of.inputs}
    names, rows = split.get("columns"), split.get("data")
    if not isinstance(names, list) or not isinstance(rows, list) or not set(map(str, names)) <= types.keys():
        return None
    return [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": _DATATYPES.get(types[str(name)], "BYTES"),
            "data": [row[place] for row in rows],
        }
        for place, name in enumerate(names)
    ]


def _chat(of: Described) -> dict[str, Any]:
    message = {
        "type": "object",
        "required": ["role", "content"],
        "properties": {"role": {"type": "string"}, "content": {"type": "string"}},
    }
    example = dict(of.example) if isinstance(of.example, dict) else {}
    asked = example.pop("messages", None) or example.pop("input", None) or [{"role": "user", "content": "Hello!"}]
    example = {name: value for name, value in example.items() if value is not None and name != "stream"}
    stream = {"stream": {"type": "boolean"}} if of.streams else {}
    completions = {
        "type": "object",
        "required": ["messages"],
        "properties": {"model": {"type": "string"}, "messages": {"type": "array", "items": message}, **stream},
    }
    body = {"schema": completions, "example": {"model": of.name, "messages": asked, **example}}
    found = {
        "/v1/chat/completions": {
            "post": _post("chat", "OpenAI's chat", {_JSON: body}, {"type": "object"}, of),
        },
        "/v1/models": {"get": _get("models", "OpenAI's list of models", {"type": "object"})},
    }
    if of.chat == "responses":
        asks = {
            "type": "object",
            "required": ["input"],
            "properties": {"model": {"type": "string"}, "input": {"type": ["array", "string"]}, **stream},
        }
        responses = {"schema": asks, "example": {"model": of.name, "input": asked}}
        title = "OpenAI's responses"
        found["/v1/responses"] = {"post": _post("responses", title, {_JSON: responses}, {"type": "object"}, of)}
    return found


# -- operations ----------------------------------------------------------------------------------------


def _get(name: str, summary: str, schema: dict[str, Any], *, media: str = _JSON) -> dict[str, Any]:
    answers = {"200": {"description": "As asked", "content": {media: {"schema": schema}}}, **_problems("503")}
    return {"operationId": name, "summary": summary, "responses": answers}


def _post(name: str, summary: str, content: dict[str, Any], answer: dict[str, Any], of: Described) -> dict[str, Any]:
    given: dict[str, Any] = {_JSON: {"schema": answer}}
    if of.streams and name != "infer":
        given[event_stream.MEDIA_TYPE] = {"schema": {"type": "string"}}
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {"description": "The answer", "content": given},
            **_problems("400", "413", "415", "429", "500", "503", "504"),
        },
    }


_MEANING = {
    "400": "The request does not fit the model",
    "413": "The body is too large",
    "415": "The body's type or encoding is not known",
    "429": "Too many requests wait",
    "500": "The model failed",
    "503": "No replica answers",
    "504": "The model did not answer in time",
}


def _problems(*statuses: str) -> dict[str, Any]:
    content = {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _MEANING[status], "content": content} for status in statuses}
