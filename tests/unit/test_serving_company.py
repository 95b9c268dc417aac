"""A response does not depend on other callers: the scorer with real models, in another process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registry_tui.serving.company import Decision
from support.apart import other_process

ECHOED = ("kinds", "doubles", "tensor", "whole tensor", "named tensors")
LEARNT = ("forest", "boosted", "linear", "text", "centred", "imputed")

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """`ask(function, *arguments)` calls a function of `support/learnt_models.py` for this module's folder of models."""
    folder = tmp_path_factory.mktemp("models")
    with other_process() as other:
        yield lambda function, *arguments: other.submit(_call, function, folder, arguments).result()


def _call(function: str, folder: Path, arguments: tuple[Any, ...]) -> Any:
    # Imported where it is called: MLflow and scikit-learn take 300 MiB.
    from support import learnt_models

    return getattr(learnt_models, function)(folder, *arguments)


@pytest.mark.slow
def test_requests_share_calls_only_where_a_model_is_known_to_answer_row_by_row(ask: Ask) -> None:
    decisions: dict[str, Decision] = {name: ask("decided", name) for name in [*LEARNT, "dates"]}
    assert [name for name, decision in decisions.items() if decision.together][:2] == ["forest", "boosted"]
    assert "among other rows in a trial" in decisions["forest"].why
    assert "FunctionTransformer is not known" in decisions["centred"].why
    assert "KNNImputer is not known" in decisions["imputed"].why
    assert decisions["dates"] == Decision(True, "the deployment's setting is on")
    assert ask("decided_as", "forest", "off") == Decision(False, "the deployment's setting is off")
    assert "flavour mlflow.pyfunc.model are not known" in ask("decided_as", "dates", "auto").why


@pytest.mark.slow
def test_a_subclass_of_a_known_class_is_not_known(ask: Ask) -> None:
    assert "Centring is not known" in ask("decided_about_a_subclass").why


@pytest.mark.slow
def test_a_known_model_whose_answer_differs_in_company_is_predicted_alone(ask: Ask) -> None:
    decision = ask("decided_where_answers_differ", "boosted")
    assert not decision.together and "an answer differed when" in decision.why


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LEARNT, "dates"])
def test_no_answer_depends_on_who_else_asks(name: str, ask: Ask) -> None:
    compared = ask("compare", name)
    assert not compared.mixed, compared.mixed[:3]
    assert compared.asked > 50 and compared.batch is compared.decided
    # The comparison means something: where requests may share calls, some did.
    assert not compared.decided or compared.together > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["forest", "linear", "text", "dates", *ECHOED])
def test_answers_equal_those_of_mlflows_own_steps(name: str, ask: Ask) -> None:
    differing, good = ask("compare_with_mlflow", name)
    assert not differing, differing[:3]
    assert good >= 10


@pytest.mark.slow
def test_a_table_in_arrow_is_answered_as_the_same_one_in_json(ask: Ask) -> None:
    told = ask("asked_with_arrow", "linear")
    assert told["by arrow"] == told["json"] and len(told["json"]["predictions"]) == 3
    assert told["stream"] == ("application/vnd.apache.arrow.stream", told["json"])
    for what in ("half", "nothing"):
        assert told[what].status == 400 and b"not an Arrow stream" in told[what].body
    assert told["a column too few"].status == 400 and b"missing inputs ['a']" in told["a column too few"].body


def tensor(name: str, datatype: str, shape: list[int], data: Any = None, **parameters: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    return {**found, "data": data} if data is not None else {**found, "parameters": parameters}


@pytest.mark.slow
def test_tensors_of_the_open_inference_protocol_become_what_the_signature_says(ask: Ask) -> None:
    rows = tensor("x", "FP32", [2, 3], [1, 2, 3, 4, 5, 6.5])
    status, answer = ask("inferred", "tensor", {"id": "7", "inputs": [rows]})
    assert status == 200 and (answer["model_name"], answer["model_version"], answer["id"]) == ("tensor", "3", "7")
    (output,) = answer["outputs"]
    assert output["shape"] == [2, 3] and output["datatype"] == "FP32" and output["data"] == [1, 2, 3, 4, 5, 6.5]
    named = [tensor("a", "FP64", [1, 3], [[1, 2, 3]]), tensor("b", "INT32", [1], [4])]
    status, answer = ask("inferred", "named tensors", {"inputs": named, "outputs": [{"name": "b"}]})
    assert (status, answer["outputs"]) == (200, [{"name": "b", "datatype": "INT32", "shape": [1], "data": [4]}])
    # Columns, each a tensor; or a table in one.
    kinds = [
        tensor("d", "FP64", [2], [0.5, 1]),
        tensor("f", "FP32", [2, 1], [0.5, 1]),
        tensor("l", "INT64", [2], [1, 2]),
        tensor("i", "INT32", [2], [1, 2]),
        tensor("b", "BOOL", [2], [True, False]),
        tensor("s", "BYTES", [2], ["é", ""]),
    ]
    status, answer = ask("inferred", "kinds", {"inputs": kinds})
    assert status == 200 and [each["datatype"] for each in answer["outputs"]] == [each["datatype"] for each in kinds]
    assert answer["outputs"][5]["data"] == ["é", ""]
    status, answer = ask("inferred", "linear", {"inputs": [tensor("table", "FP64", [2, 3], [[0.1, 0, 0], [1, 2, 3]])]})
    assert status == 200 and answer["outputs"][0]["shape"] == [2] and answer["outputs"][0]["datatype"] == "FP64"
    told = ask("described", "kinds")
    assert [each["datatype"] for each in told["inputs"]] == ["FP64", "FP32", "INT64", "INT32", "BOOL", "BYTES", "FP64"]


BAD = {
    "no inputs": ({"inputs": []}, b"", "no list `inputs`"),
    "another shape": ({"inputs": [tensor("x", "FP32", [2, 3], [1])]}, b"", "not of the shape [2, 3]"),
    "an odd type": ({"inputs": [tensor("x", "FP8", [1], [1])]}, b"", "datatype of x is not one of"),
    "texts for numbers": ({"inputs": [tensor("x", "FP32", [1], ["1"])]}, b"", "not FP32"),
    "too large": ({"inputs": [tensor("x", "INT8", [1], [300])]}, b"", "do not fit into INT8"),
    "half of the bytes": ({"inputs": [tensor("x", "FP32", [1, 3], binary_data_size=12)]}, b"12345678", "shorter than"),
    "more bytes": ({"inputs": [tensor("x", "FP32", [1, 3], binary_data_size=12)]}, b"1" * 13, "more binary data"),
    "other columns": ({"inputs": [tensor("x", "FP32", [1, 4], [1, 2, 3, 4])]}, b"", "Shape of input"),
    "another output": (
        {"inputs": [tensor("x", "FP32", [1, 3], [1, 2, 3])], "outputs": [{"name": "y"}]},
        b"",
        "no output y",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_with_a_tensor_is_said_as_the_protocol_does(what: str, ask: Ask) -> None:
    document, binary, words = BAD[what]
    status, answer = ask("inferred", "tensor", document, binary)
    assert status == 400 and words in answer["error"], answer


@pytest.mark.slow
def test_each_caller_keeps_the_format_of_own_dates(ask: Ask) -> None:
    alone, found = ask("dates_of_callers", ["13/02/2026", "01/02/2026", "2026-02-01", "01/02/2026"])
    assert found == alone and alone[1] == "2026-01-02 00:00:00" and alone[0] == "2026-02-13 00:00:00"
