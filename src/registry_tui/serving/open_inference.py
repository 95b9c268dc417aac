"""The Open Inference Protocol (v2) over HTTP: a model's metadata, and its predictions as tensors.

Inputs are columns of the model's signature, its tensors by name, or one tensor with a column for each of the signature.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry_tui.contracts.counts import counted
from registry_tui.serving import tensors
from registry_tui.serving.answers import JSON, Answer, Unfit, predict, said_in
from registry_tui.serving.bodies import decode
from registry_tui.serving.shortcuts import Shortcuts
from registry_tui.serving.tensors import Tensor

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

#: The header with the number of bytes of JSON in a body, before binary tensors.
LENGTH_HEADER = b"inference-header-content-length"
#: The media type of a response with binary tensors.
BINARY = "application/octet-stream"
#: The name of predictions without one.
PREDICTIONS = "predictions"
#: Types of a signature's columns.
_COLUMNS = {"double": "FP64", "float": "FP32", "long": "INT64", "integer": "INT32", "boolean": "BOOL"}


@dataclass(frozen=True)
class Served:
    """How a model is called: by its own name, or its deployment's."""

    name: str
    deployment: str
    version: int

    @property
    def shown(self) -> str:
        """For people: the model and its version."""
        return f"{self.name} v{self.version}"

    def is_called(self, name: str, version: str = "") -> bool:
        return name in (self.name, self.deployment) and version in ("", str(self.version))


def answer_get(path: Sequence[str], served: Served, model: PyFuncModel, *, ready: bool, mlflow_version: str) -> Answer:
    """The response to `GET /v2/…`; `path` is the part after `v2`."""
    if not path:
        extensions = ["binary_tensor_data"]
        return _json({"name": "registry-tui", "version": f"mlflow {mlflow_version}", "extensions": extensions})
    if path == ("health", "live"):
        return _json({"live": True})
    if path == ("health", "ready"):
        return _json({"ready": ready}, 200 if ready else 503)
    found = _named(path, served)
    if found == ():
        return _json(metadata(served, model))
    if found == ("ready",):
        return _json({"name": served.name, "ready": ready}, 200 if ready else 503)
    return error(404, f"There is no path /{'/'.join(('v2', *path))} for GET")


def is_infer(path: Sequence[str], served: Served) -> bool:
    """Whether `POST` to this path, the part after `v2`, requests predictions."""
    return _named(path, served) == ("infer",)


def _named(path: Sequence[str], served: Served) -> tuple[str, ...] | None:
    """The path after the model's name and version; None for another model."""
    if len(path) < 2 or path[0] != "models":
        return None
    name, rest = path[1], tuple(path[2:])
    version = ""
    if len(rest) >= 2 and rest[0] == "versions":
        version, rest = rest[1], rest[2:]
    return rest if served.is_called(name, version) else None


def metadata(served: Served, model: PyFuncModel) -> dict[str, Any]:
    """A model's metadata in the protocol's format."""
    signature = model.metadata.signature
    return {
        "name": served.name,
        "versions": [str(served.version)],
        "platform": f"mlflow_{str(model.loader_module).rpartition('.')[2]}",
        "inputs": _described(signature.inputs if signature else None),
        "outputs": _described(signature.outputs if signature else None),
    }


def _described(schema: Any) -> list[dict[str, Any]]:
    if schema is None:
        return []
    found = []
    for number, spec in enumerate(schema.inputs):
        if schema.is_tensor_spec():
            datatype, shape = tensors.NAMES.get(str(spec.type), "BYTES"), [int(length) for length in spec.shape]
        else:
            datatype, shape = _COLUMNS.get(getattr(spec.type, "name", ""), "BYTES"), [-1]
        name = spec.name or (PREDICTIONS if len(schema.inputs) == 1 else str(number))
        found.append({"name": name, "datatype": datatype, "shape": shape})
    return found


def infer(
    body: bytes, json_length: str, served: Served, model: PyFuncModel, shortcuts: Shortcuts | None = None
) -> Answer:
    """The response to a request for predictions; errors are `{"error": …}`, as in the protocol."""
    asked: dict[str, Any] = {}

    def read() -> tuple[Any, Any]:
        if json_length and not (json_length.isdigit() and int(json_length) <= len(body)):
            raise Unfit("The header Inference-Header-Content-Length is not a length within the body")
        cut = int(json_length) if json_length else len(body)
        try:
            document = decode(body[:cut])
        except (ValueError, RecursionError) as wrong:
            raise Unfit(f"The body is not valid JSON: {wrong}") from wrong
        if not isinstance(document, dict):
            raise Unfit("The body is not a JSON object")
        asked.update(document)
        return _data(tensors.read(document.get("inputs"), body[cut:]), model.metadata.get_input_schema()), None

    answer = predict(model, read, lambda found: _answer(found, asked, served, model), shortcuts)
    return answer if answer.status == 200 else in_words(answer)


def in_words(answer: Answer) -> Answer:
    """An error response in the protocol's format."""
    sentence, _ = said_in(answer)
    return error(answer.status, sentence, failure=answer.failure)


def error(status: int, words: str, *, failure: str = "") -> Answer:
    """An error in the protocol's format."""
    return Answer(status, json.dumps({"error": words}).encode(), JSON, failure)


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode())


def _data(inputs: list[Tensor], schema: Any) -> Any:
    """The model's input."""
    import pandas

    by_name = {each.name: each.array for each in inputs}
    if len(by_name) != len(inputs):
        raise Unfit("Two inputs have the same name")
    only = inputs[0].array if len(inputs) == 1 else None
    if schema is not None and schema.is_tensor_spec():
        if schema.has_input_names():
            return by_name
        if only is None:
            raise Unfit("The model takes one tensor")
        return only
    names = schema.input_names() if schema is not None and schema.has_input_names() else []
    if only is not None and only.ndim == 2 and inputs[0].name not in names:
        # A table in one tensor, as clients often call scikit-learn's models.
        if names and only.shape[1] != len(names):
            raise Unfit(
                f"The input {inputs[0].name} has {counted(only.shape[1], 'column')}, and the model takes {len(names)}"
            )
        return pandas.DataFrame(only, columns=names or None) if schema is not None else only
    if schema is None and only is not None:
        return only
    columns = {}
    for name, array in by_name.items():
        flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
        if flat.ndim != 1:
            raise Unfit(f"The column {name} has the shape {list(array.shape)}, and takes [-1] or [-1, 1]")
        columns[name] = list(flat) if flat.dtype.kind == "O" else flat
    if len({len(column) for column in columns.values()}) != 1:
        raise Unfit("The inputs have different numbers of rows")
    return pandas.DataFrame(columns)


def _answer(found: Any, asked: dict[str, Any], served: Served, model: PyFuncModel) -> Answer:
    outputs = _outputs(found, model)
    wanted = asked.get("outputs") or []
    if not isinstance(wanted, list) or not all(isinstance(each, dict) and "name" in each for each in wanted):
        raise Unfit("The field `outputs` is not a list of objects with names")
    parameters = asked.get("parameters")
    everything = bool(isinstance(parameters, dict) and parameters.get("binary_data_output"))
    chosen = {each["name"]: (each.get("parameters") or {}) for each in wanted} or {each: {} for each in outputs}
    if missing := [name for name in chosen if name not in outputs]:
        raise Unfit(f"The model has no output {missing[0]}; it has {', '.join(outputs)}")
    documents, pieces = [], []
    for name, options in chosen.items():
        document, data = tensors.written(name, outputs[name], binary=bool(options.get("binary_data", everything)))
        documents.append(document)
        pieces.append(data)
    head: dict[str, Any] = {"model_name": served.name, "model_version": str(served.version)}
    if "id" in asked:
        head["id"] = str(asked["id"])
    written = json.dumps({**head, "outputs": documents}).encode()
    if not any("parameters" in document for document in documents):
        return Answer(200, written)
    length = str(len(written)).encode()
    return Answer(200, b"".join([written, *pieces]), BINARY, headers=((LENGTH_HEADER, length),))


def _outputs(found: Any, model: PyFuncModel) -> dict[str, Any]:
    """Predictions by name: columns of a table, tensors by name, or one array."""
    import numpy
    import pandas

    if isinstance(found, pandas.DataFrame):
        return {str(name): _array(found[name]) for name in found.columns}
    if isinstance(found, dict):
        return {str(name): _array(value) for name, value in found.items()}
    schema = model.metadata.get_output_schema()
    names = schema.input_names() if schema is not None and schema.has_input_names() else []
    name = names[0] if len(names) == 1 else PREDICTIONS
    return {name: _array(numpy.atleast_1d(_array(found)))}


def _array(value: Any) -> Any:
    import numpy

    found = value.to_numpy() if hasattr(value, "to_numpy") else numpy.asarray(value)
    if found.dtype.kind == "M":
        found = numpy.datetime_as_string(found).astype(object)
    return found
