"""Previews of artifacts: each kind is recognised, and nothing breaks them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from registry_tui.widgets.previews import (
    HEAD_BYTES,
    MAX_EXAMPLE_LINES,
    MAX_REQUIREMENTS,
    BinaryPreview,
    EmptyPreview,
    ImagePreview,
    MarkdownPreview,
    ModelPreview,
    TablePreview,
    TextPreview,
    beside_model,
    bytes_wanted,
    preview,
    requirement_lines,
    shortened_example,
)

MLMODEL = """
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.7}
  sklearn: {pickled_model: model.pkl, sklearn_version: 1.9.1}
mlflow_version: 3.17.2
run_id: 0f3a
signature:
  inputs: '[{"type": "double", "name": "alcohol"}, {"type": "long", "name": "age", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]'
  params: null
"""


def show(path: str, text: str) -> object:
    data = text.encode()
    return preview(path, data, len(data))


def test_an_mlmodel_file_is_a_card() -> None:
    found = show("model/MLmodel", MLMODEL)
    assert isinstance(found, ModelPreview)
    assert found.card.flavours == (("python_function", "3.11.7"), ("sklearn", "1.9.1"))
    assert found.card.inputs == (("alcohol", "double"), ("age", "long, optional"))
    assert found.card.outputs == (("", "tensor(float64, (-1))"),)
    assert ("MLflow", "3.17.2") in found.card.facts


def test_a_card_has_requirements_and_example_from_the_files_beside_it() -> None:
    names = ["MLmodel", "input_example.json", "model.pkl", "requirements.txt", "serving_input_example.json"]
    assert beside_model(names) == ("requirements.txt", "serving_input_example.json")
    assert beside_model(["MLmodel", "input_example.json"]) == ("input_example.json",)
    assert beside_model(["MLmodel"]) == ()
    example = json.dumps({"dataframe_split": {"columns": ["a"], "data": [[1.5]]}}).encode()
    data = MLMODEL.encode()
    beside = {"requirements.txt": b"# made\nmlflow==3.17.2\n\nnumpy\n", "serving_input_example.json": example}
    found = preview("model/MLmodel", data, len(data), beside)
    assert isinstance(found, ModelPreview)
    assert found.card.requirements == ("mlflow==3.17.2", "numpy")
    assert found.card.example == '{"dataframe_split": {"columns": ["a"], "data": [[1.5]]}}'


def test_long_requirements_and_examples_say_how_much_more_there_is() -> None:
    many = requirement_lines("\n".join(f"p{number}" for number in range(100)).encode())
    assert len(many) == MAX_REQUIREMENTS + 1 and many[-1] == "and 60 more"
    rows = [[float(place) for place in range(50)] for _ in range(100)]
    text = shortened_example(json.dumps({"inputs": rows, "text": "x" * 500}).encode())
    lines = text.splitlines()
    assert lines[:3] == ["{", '  "inputs": [', "    [0.0, 1.0, 2.0, 3.0, … 46 more],"]
    assert "… 96 more" in text and "… 440 more characters" in text
    deep = shortened_example(json.dumps({f"key {number}": "y" * 50 for number in range(100)}).encode())
    assert len(deep.splitlines()) == MAX_EXAMPLE_LINES + 1
    assert shortened_example(b'{"cut": [1, 2') == '{"cut": [1, 2'
    assert shortened_example(b"\x00\x01") == shortened_example(b"") == ""


@given(st.binary(), st.binary())
def test_any_bytes_beside_a_model_make_a_card(requirements: bytes, example: bytes) -> None:
    data = MLMODEL.encode()
    beside = {"requirements.txt": requirements, "input_example.json": example}
    assert isinstance(preview("MLmodel", data, len(data), beside), ModelPreview)


def test_a_broken_mlmodel_is_text() -> None:
    assert isinstance(show("MLmodel", "flavors: ["), TextPreview)
    assert isinstance(show("MLmodel", "just text"), TextPreview)


def test_json_is_indented_and_bad_json_kept() -> None:
    assert show("a.json", '{"b":[1,2]}') == TextPreview('{\n  "b": [\n    1,\n    2\n  ]\n}', "json")
    assert show("a.json", "{oops") == TextPreview("{oops", "json")


def test_csv_is_a_table_with_even_rows() -> None:
    assert show("m.csv", "a,b\n1,2,3\n") == TablePreview(("a", "b", ""), (("1", "2", "3"),))


def test_a_cut_csv_loses_only_its_last_line() -> None:
    found = preview("m.csv", b"a,b\n1,2\n3,", 10_000)
    assert found == TablePreview(("a", "b"), (("1", "2"),))


def test_the_others() -> None:
    assert isinstance(show("notes.md", "# hi"), MarkdownPreview)
    assert isinstance(preview("plot.png", b"\x89PNG..", 6), ImagePreview)
    assert isinstance(preview("plot.png", b"\x89PNG\0", 10_000_000), BinaryPreview)
    assert isinstance(preview("model.pkl", b"\x80\x04\x95\0", 4), BinaryPreview)
    assert isinstance(preview("x", b"", 0), EmptyPreview)
    assert preview("cut.txt", "naïve €".encode()[:-1], 99) == TextPreview("naïve ")


def test_only_small_images_are_read_whole() -> None:
    assert bytes_wanted("plot.png", 100_000) == 100_000
    assert bytes_wanted("plot.png", 1 << 30) == HEAD_BYTES
    assert bytes_wanted("model.pkl", 1 << 30) == HEAD_BYTES


@given(st.sampled_from(["MLmodel", "a.json", "a.csv", "a.md", "a.txt", "a.png", "a.bin", "a.tsv"]), st.binary())
def test_any_bytes_have_a_preview(path: str, data: bytes) -> None:
    preview(path, data, len(data))
    preview(path, data, len(data) + 1)
