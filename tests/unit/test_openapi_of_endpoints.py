"""The description of an endpoint is valid OpenAPI, and its examples fit its schemas, for every kind of model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy
import pytest
from jsonschema import Draft202012Validator
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.llm import CHAT_MODEL_INPUT_SCHEMA, CHAT_MODEL_OUTPUT_SCHEMA
from mlflow.types.schema import AnyType, Array, Map, Object, Property
from openapi_spec_validator import OpenAPIV31SpecValidator

from registry_tui.contracts.replica_spec import Limits
from registry_tui.serving.describing import description
from registry_tui.serving.open_inference import Served


class Model(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [1]


class Streaming(Model):
    def predict_stream(self, context: Any, model_input: Any, params: Any = None) -> Any:
        yield 1


PARAMS = ParamSchema(
    [
        ParamSpec("depth", DataType.long, 3),
        ParamSpec("names", DataType.string, ["a"], shape=(-1,)),
    ]
)
NESTED = Object(
    [
        Property("n", DataType.double),
        Property("tags", Array(DataType.string), required=False),
        Property("more", Map(Array(DataType.long))),
        Property("any", AnyType()),
    ]
)
CASES: dict[str, tuple[Any, Any, Any]] = {
    "no signature": (Model, None, None),
    "columns": (
        Model,
        ModelSignature(
            Schema([ColSpec(type_, type_.name) for type_ in DataType]), Schema([ColSpec(DataType.double)]), PARAMS
        ),
        {
            "dataframe_split": {
                "columns": [type_.name for type_ in DataType],
                "data": [[True, 1, 2, 0.5, 1.5, "x", "eA==", "2026-01-01T00:00:00"]],
            },
            "params": {"depth": 2},
        },
    ),
    "columns without names": (
        Model,
        ModelSignature(Schema([ColSpec(DataType.double), ColSpec(DataType.double)])),
        {"dataframe_split": {"data": [[1.0, 2.0]]}},
    ),
    "nested": (
        Streaming,
        ModelSignature(
            Schema([ColSpec(NESTED, "o"), ColSpec(Array(Array(DataType.long)), "m", required=False)]),
            Schema([ColSpec(DataType.string, "label"), ColSpec(DataType.double, "score")]),
        ),
        {"dataframe_records": [{"o": {"n": 1.0, "more": {"k": [1]}, "any": None}, "m": [[1], [2]]}]},
    ),
    "a tensor": (
        Model,
        ModelSignature(
            Schema([TensorSpec(numpy.dtype("float32"), (-1, 2))]), Schema([TensorSpec(numpy.dtype("int64"), (-1,))])
        ),
        {"inputs": [[1.0, 2.0], [3.0, 4.0]]},
    ),
    "tensors": (
        Model,
        ModelSignature(
            Schema(
                [
                    TensorSpec(numpy.dtype("float64"), (-1, 2), "a"),
                    TensorSpec(numpy.dtype("uint8"), (-1,), "b"),
                    TensorSpec(numpy.dtype("str"), (-1,), "c"),
                ]
            )
        ),
        {"inputs": {"a": [[1.0, 2.0]], "b": [1], "c": ["x"]}},
    ),
    "a chat": (
        Streaming,
        ModelSignature(CHAT_MODEL_INPUT_SCHEMA, CHAT_MODEL_OUTPUT_SCHEMA),
        {"messages": [{"role": "user", "content": "x"}], "temperature": 1.0},
    ),
}


def described(folder: Path, case: str) -> dict[str, Any]:
    kind, signature, example = CASES[case]
    mlflow.pyfunc.save_model(
        folder / "model",
        python_model=kind(),
        signature=signature,
        pip_requirements=["mlflow"],
        streamable=kind is Streaming,
    )
    model = mlflow.pyfunc.load_model(str(folder / "model"))
    text = None if example is None else json.dumps(example).encode()
    found: dict[str, Any] = json.loads(description(model, Served("wine", "wine-api", 3), Limits(), text))
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_description_is_openapi_and_its_examples_are_as_its_schemas_say(tmp_path: Path, case: str) -> None:
    found = described(tmp_path, case)
    OpenAPIV31SpecValidator(found).validate()  # type: ignore[arg-type]
    examples = 0
    for operations in found["paths"].values():
        for operation in operations.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            if "example" in body:
                Draft202012Validator(body["schema"]).validate(body["example"])
                examples += 1
    assert examples >= (CASES[case][2] is not None)


@pytest.mark.parametrize(
    ("case", "paths"),
    [
        ("columns", ["/invocations", "/v2/models/wine", "/v2/models/wine/infer", "/ping"]),
        ("a chat", ["/invocations", "/v1/chat/completions", "/v1/models", "/ping"]),
    ],
)
def test_the_paths_are_those_that_the_model_answers(tmp_path: Path, case: str, paths: list[str]) -> None:
    found = described(tmp_path, case)
    assert list(found["paths"]) == paths
    answers = found["paths"]["/invocations"]["post"]["responses"]["200"]["content"]
    assert ("text/event-stream" in answers) == (case == "a chat")


def test_columns_are_in_the_schema_with_their_types_and_in_the_other_protocol(tmp_path: Path) -> None:
    found = described(tmp_path, "columns")["paths"]
    forms = {
        each["title"]: each
        for each in found["/invocations"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    }
    row = forms["dataframe_records"]["properties"]["dataframe_records"]["items"]
    assert row["properties"]["double"] == {"type": "number", "format": "double"}
    assert row["required"] == [type_.name for type_ in DataType]
    params = forms["inputs"]["properties"]["params"]["properties"]
    assert params["depth"] == {"type": "integer", "format": "int64", "default": 3}
    assert params["names"]["type"] == "array"
    infer = found["/v2/models/wine/infer"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert {"name": "long", "shape": [1], "datatype": "INT64", "data": [2]} in infer["inputs"]


@pytest.mark.parametrize("wrong", [{"messages": "x"}, {"messages": [{"content": "x"}]}, {}])
def test_what_does_not_fit_the_signature_does_not_fit_the_schema(tmp_path: Path, wrong: Any) -> None:
    found = described(tmp_path, "a chat")["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert list(Draft202012Validator(found["application/json"]["schema"]).iter_errors(wrong))
