"""Real models, and the scorer that serves them, in a process that may import MLflow and scikit-learn.

Tests call these functions in another process, which keeps the loaded models.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import numpy
import pandas
import pyarrow
import pyarrow.ipc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema, TensorSpec
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import KNNImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from registry_tui.serving import arrow, open_inference
from registry_tui.serving.answers import JSON, Answer, Watched, _score, score_alone
from registry_tui.serving.company import Decision, decide
from registry_tui.serving.scorer import Scorer
from registry_tui.serving.shortcuts import Shortcuts

NUMBERS = ["a", "b", "c"]
FLOWERS = ["red", "blue", "white"]


def centred(table: Any) -> Any:
    """Makes a prediction depend on the whole table."""
    return table - table.mean(axis=0)


class Dates(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers with the dates that it was given, as text."""

    def predict(self, context: Any, model_input: pandas.DataFrame, params: Any = None) -> list[str]:
        return [str(when) for when in model_input["when"]]


class Echo(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Returns its input."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input


#: A column of each plain type, one that may be missing, and tensors with a name and without.
KINDS = {"d": "double", "f": "float", "l": "long", "i": "integer", "b": "boolean", "s": "string"}
ECHOED: dict[str, Schema] = {
    "kinds": Schema([ColSpec(type_, name) for name, type_ in KINDS.items()] + [ColSpec("double", "o", required=False)]),
    "doubles": Schema([ColSpec("double", name) for name in NUMBERS]),
    "tensor": Schema([TensorSpec(numpy.dtype("float32"), (-1, 3))]),
    "whole tensor": Schema([TensorSpec(numpy.dtype("int64"), (-1, 3))]),
    "named tensors": Schema(
        [TensorSpec(numpy.dtype("float64"), (-1, 3), "a"), TensorSpec(numpy.dtype("int32"), (-1,), "b")]
    ),
}


def _numbers() -> tuple[pandas.DataFrame, Any]:
    chance = numpy.random.default_rng(0)
    table = pandas.DataFrame(chance.normal(size=(80, 3)), columns=NUMBERS)
    return table, table["a"] * 2.3 - table["b"] / 7 + chance.normal(size=80) * 0.1


def _forest() -> tuple[Any, pandas.DataFrame]:
    table, target = _numbers()
    table["colour"] = [FLOWERS[number % 3] for number in range(len(table))]
    encoded = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["colour"]), remainder="passthrough")
    return make_pipeline(encoded, RandomForestClassifier(10, random_state=0)).fit(table, target > 0), table


def _text() -> tuple[Any, pandas.DataFrame]:
    table = pandas.DataFrame({"words": ["good wine", "bad wine", "good", "a bad one"] * 5, "n": numpy.arange(20.0)})
    parts = make_column_transformer((TfidfVectorizer(), "words"), (StandardScaler(), ["n"]))
    return make_pipeline(parts, LogisticRegression()).fit(table, [1, 0, 1, 0] * 5), table


def _on_numbers(model: Any) -> tuple[Any, pandas.DataFrame]:
    table, target = _numbers()
    return model.fit(table, target), table


#: Models that are logged with scikit-learn's flavour.
LEARNT: dict[str, Callable[[], tuple[Any, pandas.DataFrame]]] = {
    "forest": _forest,
    "boosted": lambda: _on_numbers(GradientBoostingRegressor(n_estimators=10)),
    "linear": lambda: _on_numbers(LinearRegression()),
    "text": _text,
    "centred": lambda: _on_numbers(make_pipeline(FunctionTransformer(centred), LinearRegression())),
    "imputed": lambda: _on_numbers(make_pipeline(KNNImputer(), LinearRegression())),
}


@cache
def load(folder: Path, name: str) -> tuple[Any, bytes | None, Decision]:
    """A model, by its name, as a replica loads it, with its example and the decision about it."""
    path = folder / name
    if name == "dates":
        inputs = Schema([ColSpec("datetime", "when"), ColSpec("double", "a")])
        signature = ModelSignature(inputs=inputs)
        mlflow.pyfunc.save_model(path, python_model=Dates(), signature=signature, pip_requirements=["mlflow"])
        wanted = "on"
    elif name in ECHOED:
        signature = ModelSignature(inputs=ECHOED[name])
        mlflow.pyfunc.save_model(path, python_model=Echo(), signature=signature, pip_requirements=["mlflow"])
        wanted = "off"
    else:
        model, table = LEARNT[name]()
        signature = infer_signature(table, model.predict(table))
        # MLflow would start a process to find the requirements.
        options = {"serialization_format": "cloudpickle", "pip_requirements": ["scikit-learn"]}
        mlflow.sklearn.save_model(model, path, signature=signature, input_example=table.head(3), **options)
        wanted = "auto"
    loaded, file = mlflow.pyfunc.load_model(str(path)), path / "serving_input_example.json"
    example = file.read_bytes() if file.exists() else None
    return loaded, example, decide(loaded, example, wanted)


def decided(folder: Path, name: str) -> Decision:
    """The decision about a model as it is."""
    return load(folder, name)[2]


def decided_as(folder: Path, name: str, wanted: str) -> Decision:
    """The decision about a model without an example where a deployment's setting is `wanted`."""
    return decide(load(folder, name)[0], None, wanted)


class Centring(StandardScaler):  # type: ignore[misc]
    """Called as a known class is, and does something else."""

    def transform(self, X: Any, copy: Any = None) -> Any:
        return centred(super().transform(X, copy))


def decided_about_a_subclass(folder: Path) -> Decision:
    """The decision about a model with a subclass of a known class in it."""
    model, table = _on_numbers(make_pipeline(Centring(), LinearRegression()))
    path = folder / "centring"
    options = {"serialization_format": "cloudpickle", "pip_requirements": ["scikit-learn"]}
    mlflow.sklearn.save_model(model, path, signature=infer_signature(table), **options)
    return decide(mlflow.pyfunc.load_model(str(path)), None, "auto")


def decided_where_answers_differ(folder: Path, name: str) -> Decision:
    """The decision about a model whose prediction for a row depends on the other rows."""
    model, example, _ = load(folder, name)
    whole = model.predict
    # A method of the loaded model, as a later release of a library may have it.
    model.predict = lambda data, params=None: whole(data) + (len(data) > 1) * 1e-9
    try:
        return decide(model, example, "auto")
    finally:
        del model.predict


# -- mixed callers --------------------------------------------------------------------------------------


def bodies(columns: list[str], rows: list[list[Any]]) -> list[tuple[str, bytes]]:
    """The same rows in every format, as content type and body."""
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    by_column = {column: [row[place] for row in rows] for place, column in enumerate(columns)}
    split = {"columns": columns, "data": rows}
    documents: list[Any] = [
        {"dataframe_split": split},
        {"dataframe_split": {**split, "index": list(range(len(rows)))}},
        {"dataframe_records": records},
        {"dataframe_records": [dict(reversed(each.items())) for each in records]},
        {"instances": records},
        {"inputs": by_column},
        {"inputs": records},
        {"dataframe_split": split, "params": {}},
        {"dataframe_split": {"columns": columns[1:], "data": [row[1:] for row in rows]}},
    ]
    table = "\n".join([",".join(columns), *(",".join("" if v is None else str(v) for v in row) for row in rows)])
    found = [(JSON, json.dumps(document).encode()) for document in documents]
    # The gateway writes the bodies of `POST /model` without spaces.
    found.append((JSON, json.dumps(documents[0], separators=(",", ":")).encode()))
    found.append((f"{JSON}; charset=utf-8", found[0][1]))
    found.append(("text/csv", table.encode()))
    return found


NUMBER = st.one_of(st.floats(-1e3, 1e3), st.integers(-5, 5), st.sampled_from([None, "many", True, 0.1, 1e300]))
DATE = st.one_of(
    st.dates().map(lambda day: f"{day.day:02}/{day.month:02}/{day.year:04}"),
    st.dates().map(lambda day: f"{day.month:02}/{day.day:02}/{day.year:04}"),
    st.datetimes().map(lambda when: when.isoformat()),
    st.sampled_from(["01/02/2026", "13/02/2026", "2026-02-01", "February 1, 2026", "2026-02-01T00:00:00+02:00", None]),
)
WORDS = st.one_of(st.sampled_from(["good wine", "bad", "", "13"]), st.text(max_size=8).filter(str.isprintable))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "when": DATE,
    "words": WORDS,
    "colour": st.sampled_from([*FLOWERS, "green", None]),
}
#: Numbers at the limits of each type.
EDGES = st.one_of(
    st.sampled_from(
        [0, -0.0, 1, 1.5, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**25, 1e39, 5e-324, None, True, "7"]
    ),
    st.integers(-(2**70), 2**70),
    st.floats(),
)
VALUES |= {
    "d": st.one_of(st.floats(), EDGES),
    "f": st.one_of(st.floats(width=32), EDGES),
    "l": st.one_of(st.integers(-(2**63), 2**63 - 1), EDGES),
    "i": st.one_of(st.integers(-(2**31), 2**31 - 1), EDGES),
    "b": st.one_of(st.booleans(), st.booleans(), EDGES),
    "s": st.one_of(st.text(max_size=5), st.text(max_size=5), EDGES),
    "o": st.floats(allow_nan=False),
}
COLUMNS = {"kinds": [*KINDS, "o"], "forest": [*NUMBERS, "colour"], "text": ["words", "n"], "dates": ["when", "a"]}


@st.composite
def callers(draw: st.DrawFn, columns: list[str]) -> list[tuple[str, bytes]]:
    """Requests of several callers, each with rows and a format of its own."""
    row = st.tuples(*(VALUES.get(column, NUMBER) for column in columns)).map(list)
    found = []
    for _ in range(draw(st.integers(2, 12))):
        rows = draw(st.lists(row, min_size=1, max_size=3))
        found.append(draw(st.sampled_from(bodies(columns, rows))))
    return found


@st.composite
def tensors(draw: st.DrawFn) -> list[tuple[str, bytes]]:
    """Requests with lists of three numbers, or nearly."""
    value = draw(st.sampled_from([st.floats(-1e3, 1e3), st.integers(-9, 9), EDGES]))
    rows = draw(st.lists(st.lists(value, min_size=2 if draw(st.booleans()) else 3, max_size=3), max_size=4))
    named = {"a": rows, "b": list(range(len(rows)))}
    documents: list[Any] = [{"inputs": rows}, {"instances": rows}, {"inputs": named}, {"inputs": {"a": rows}}]
    documents += [{"instances": [dict(zip("ab", pair, strict=True)) for pair in zip(*named.values(), strict=True)]}]
    return [(JSON, json.dumps(document).encode()) for document in documents]


def answered(scorer: Scorer, requests: list[tuple[str, bytes]]) -> list[Answer]:
    """The scorer's responses when all of these wait together."""

    async def ask() -> list[Answer]:
        asked = [scorer.score(body, content_type) for content_type, body in requests]
        taken: list[Any] = []
        while len(taken) < len(asked):
            await asyncio.sleep(0)
            while not scorer._queue.empty():
                taken.append(scorer._queue.get_nowait())
        await asyncio.to_thread(scorer._answer, taken)
        return await asyncio.gather(*asked)

    return asyncio.run(ask())


def told(answer: Answer) -> tuple[int, bytes]:
    """The comparable part of a response. The order of sets in MLflow's messages, and stack traces, differ by call."""
    return answer.status, answer.body if answer.status == 200 else b""


@dataclass(frozen=True)
class Compared:
    """Responses to callers among others, compared with the same requests alone."""

    #: Requests with their answers alone and among others, where these differ.
    mixed: list[tuple[Any, Any, Any]]
    asked: int
    #: Requests that shared a call with others.
    together: int
    #: Whether the scorer lets requests share calls, and whether that was decided.
    batch: bool
    decided: bool


def compare(folder: Path, name: str) -> Compared:
    """Asks a model in many companies that hypothesis chooses."""
    model, _, decision = load(folder, name)
    scorer = Scorer(model, batch=decision.together, queue_length=10_000, threads=0)
    calls: list[int] = []
    whole = model.predict

    def predict(data: Any, params: Any = None) -> Any:
        calls.append(len(data))
        return whole(data, params=params)

    mixed: list[tuple[Any, Any, Any]] = []
    asked, together = 0, 0

    @settings(max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(callers(COLUMNS.get(name, NUMBERS)))
    def check(requests: list[tuple[str, bytes]]) -> None:
        nonlocal asked, together
        alone = [told(score_alone(body, content_type, model)) for content_type, body in requests]
        calls.clear()
        model.predict = predict
        try:
            found = [told(answer) for answer in answered(scorer, requests)]
        finally:
            del model.predict
        asked += len(requests)
        together += max(0, len(requests) - len(calls))
        mixed.extend(
            (request, one, other) for request, one, other in zip(requests, alone, found, strict=True) if one != other
        )

    check()
    return Compared(mixed, asked, together, scorer.batch, decision.together)


@cache
def shortcuts() -> Shortcuts:
    """Those of this process."""
    return Shortcuts().install()


def compare_with_mlflow(folder: Path, name: str) -> tuple[list[tuple[Any, Any, Any]], int]:
    """Requests with MLflow's own answer and ours, where these differ; and how many were answered with predictions."""
    model, _, _ = load(folder, name)
    differing: list[tuple[Any, Any, Any]] = []
    good = 0

    @settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(tensors() if "tensor" in name else callers(COLUMNS.get(name, NUMBERS)))
    def check(requests: list[tuple[str, bytes]]) -> None:
        nonlocal good
        for content_type, body in requests:
            own = whole(_score(body, content_type, Watched(model), None))
            ours = whole(score_alone(body, content_type, model, shortcuts()))
            good += own[0] == 200
            if own != ours:
                differing.append(((content_type, body), own, ours))

    check()
    return differing, good


def asked_with_arrow(folder: Path, name: str) -> dict[str, Any]:
    """A model's response to its example in Arrow, and to the same as JSON."""
    model, example, _ = load(folder, name)
    table = pandas.DataFrame(**json.loads(example or b"")["dataframe_split"])
    sent = pyarrow.Table.from_pandas(table, preserve_index=False)
    body = _stream(sent)
    told = arrow.score(body, arrow.STREAM, model, shortcuts())
    with pyarrow.ipc.open_stream(told.body) as stream:
        found = stream.read_all().to_pydict()
    return {
        "json": json.loads(score_alone(example or b"", JSON, model, shortcuts()).body),
        "by arrow": json.loads(arrow.score(body, "", model, shortcuts()).body),
        "stream": (told.media_type, found),
        "half": arrow.score(body[: len(body) // 2], "", model, shortcuts()),
        "nothing": arrow.score(b"", "", model, shortcuts()),
        "a column too few": arrow.score(_stream(sent.drop_columns(["a"])), "", model, shortcuts()),
    }


def inferred(folder: Path, name: str, document: dict[str, Any], binary: bytes = b"") -> tuple[int, dict[str, Any]]:
    """The status and the document of an answer by the Open Inference Protocol."""
    head = json.dumps(document).encode()
    length = str(len(head)) if binary else ""
    served = open_inference.Served(name, "deployment", 3)
    answer = open_inference.infer(head + binary, length, served, load(folder, name)[0], shortcuts())
    size = dict(answer.headers).get(open_inference.LENGTH_HEADER)
    return answer.status, json.loads(answer.body[: int(size)] if size else answer.body)


def described(folder: Path, name: str) -> dict[str, Any]:
    """A model's metadata by the Open Inference Protocol."""
    return open_inference.metadata(open_inference.Served(name, "deployment", 3), load(folder, name)[0])


def _stream(table: Any) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def whole(answer: Answer) -> tuple[int, Any]:
    """An answer as a client reads it; the order in which messages list a set differs by call, as stack traces do."""
    try:
        found = json.loads(answer.body)
    except ValueError:
        return answer.status, answer.body
    if isinstance(found, dict):
        found.pop("stack_trace", None)
        if "message" in found:
            found["message"] = sorted(re.findall(r"\w+", found["message"]))
    # NaNs are equal here.
    return answer.status, repr(found)


def dates_of_callers(folder: Path, days: list[str]) -> tuple[list[str], list[str]]:
    """The responses to callers with these days alone, and when all call together."""
    model, _, _ = load(folder, "dates")
    scorer = Scorer(model, batch=True, queue_length=100, threads=0)
    requests = [bodies(["when", "a"], [[day, 1.0]])[0] for day in days]
    found = [json.loads(answer.body)["predictions"][0] for answer in answered(scorer, requests)]
    alone = [json.loads(score_alone(body, kind, model).body)["predictions"][0] for kind, body in requests]
    return alone, found
