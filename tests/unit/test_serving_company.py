"""What a caller is answered does not depend on who else asks: the scorer in this process, with real models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import numpy
import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import KNNImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from registry_tui.serving.answers import JSON, Answer, score_alone
from registry_tui.serving.company import Decision, decide
from registry_tui.serving.scorer import Scorer

NUMBERS = ["a", "b", "c"]
FLOWERS = ["red", "blue", "white"]


def centred(table: Any) -> Any:
    """What makes a prediction depend on the whole table."""
    return table - table.mean(axis=0)


class Dates(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers with the dates that it was given, as text."""

    def predict(self, context: Any, model_input: pandas.DataFrame, params: Any = None) -> list[str]:
        return [str(when) for when in model_input["when"]]


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


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, bytes | None, Decision]]:
    """A model by its name as a replica loads it, with its example and what was decided about it."""

    @cache
    def made(name: str) -> tuple[Any, bytes | None, Decision]:
        path = tmp_path_factory.mktemp(name) / "model"
        if name == "dates":
            inputs = Schema([ColSpec("datetime", "when"), ColSpec("double", "a")])
            mlflow.pyfunc.save_model(path, python_model=Dates(), signature=ModelSignature(inputs=inputs))
            wanted = "on"
        else:
            model, table = LEARNT[name]()
            signature = infer_signature(table, model.predict(table))
            options = {"input_example": table.head(3), "serialization_format": "cloudpickle"}
            mlflow.sklearn.save_model(model, path, signature=signature, **options)
            wanted = "auto"
        loaded, file = mlflow.pyfunc.load_model(str(path)), path / "serving_input_example.json"
        example = file.read_bytes() if file.exists() else None
        return loaded, example, decide(loaded, example, wanted)

    return made


@pytest.mark.slow
def test_requests_share_calls_only_where_a_model_is_known_to_answer_row_by_row(load: Any) -> None:
    decisions = {name: load(name)[2] for name in [*LEARNT, "dates"]}
    assert [name for name, decision in decisions.items() if decision.together][:2] == ["forest", "boosted"]
    assert "among other rows in a trial" in decisions["forest"].why
    assert "FunctionTransformer is not known" in decisions["centred"].why
    assert "KNNImputer is not known" in decisions["imputed"].why
    assert decisions["dates"] == Decision(True, "the deployment's setting is on")
    assert decide(load("forest")[0], None, "off") == Decision(False, "the deployment's setting is off")
    assert "flavour mlflow.pyfunc.model are not known" in decide(load("dates")[0], None, "auto").why


class Centring(StandardScaler):  # type: ignore[misc]
    """Called as a known class is, and does something else."""

    def transform(self, X: Any, copy: Any = None) -> Any:
        return centred(super().transform(X, copy))


@pytest.mark.slow
def test_a_subclass_of_a_known_class_is_not_known(tmp_path: Path) -> None:
    model, table = _on_numbers(make_pipeline(Centring(), LinearRegression()))
    mlflow.sklearn.save_model(
        model, tmp_path / "m", signature=infer_signature(table), serialization_format="cloudpickle"
    )
    assert "Centring is not known" in decide(mlflow.pyfunc.load_model(str(tmp_path / "m")), None, "auto").why


def test_a_known_model_whose_answer_differs_in_company_is_predicted_alone(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, example, _ = load("boosted")
    whole = model.predict
    # A method of the loaded model, as a later release of a library may have it.
    monkeypatch.setattr(model, "predict", lambda data, params=None: whole(data) + (len(data) > 1) * 1e-9)
    decision = decide(model, example, "auto")
    assert not decision.together and "an answer differed when" in decision.why


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
    # The gateway writes what comes by `POST /model` without spaces.
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
VALUES = {"when": DATE, "words": WORDS, "colour": st.sampled_from([*FLOWERS, "green", None])}
COLUMNS = {"forest": [*NUMBERS, "colour"], "text": ["words", "n"], "dates": ["when", "a"]}


@st.composite
def callers(draw: st.DrawFn, columns: list[str]) -> list[tuple[str, bytes]]:
    """Requests of several callers, each with rows and a format of its own."""
    row = st.tuples(*(VALUES.get(column, NUMBER) for column in columns)).map(list)
    found = []
    for _ in range(draw(st.integers(2, 12))):
        rows = draw(st.lists(row, min_size=1, max_size=3))
        found.append(draw(st.sampled_from(bodies(columns, rows))))
    return found


def answered(scorer: Scorer, requests: list[tuple[str, bytes]]) -> list[Answer]:
    """What the scorer answers when all of these wait together."""

    async def ask() -> list[Answer]:
        asked = [asyncio.ensure_future(scorer.score(body, content_type)) for content_type, body in requests]
        taken: list[Any] = []
        while len(taken) < len(asked):
            await asyncio.sleep(0)
            while not scorer._queue.empty():
                taken.append(scorer._queue.get_nowait())
        await asyncio.to_thread(scorer._answer, taken)
        return await asyncio.gather(*asked)

    return asyncio.run(ask())


def told(answer: Answer) -> tuple[int, bytes]:
    """What a caller is told; the order in which MLflow's messages list a set, and stack traces, differ by call."""
    return answer.status, answer.body if answer.status == 200 else b""


@pytest.mark.parametrize("name", [*LEARNT, "dates"])
def test_no_answer_depends_on_who_else_asks(name: str, load: Any) -> None:
    model, _, decision = load(name)
    scorer = Scorer(model, batch=decision.together, queue_length=10_000, threads=0)
    calls: list[int] = []
    whole = model.predict

    def predict(data: Any, params: Any = None) -> Any:
        calls.append(len(data))
        return whole(data, params=params)

    mixed: list[object] = []
    asked, together = 0, 0

    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
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
        mixed.extend(pair for pair in zip(requests, alone, found, strict=True) if pair[1] != pair[2])

    check()
    assert not mixed, mixed[:3]
    assert asked > 50 and scorer.batch is decision.together
    # The comparison means something: where requests may share calls, some did.
    assert not decision.together or together > 0


def test_each_caller_keeps_the_format_of_own_dates(load: Any) -> None:
    model, _, _ = load("dates")
    scorer = Scorer(model, batch=True, queue_length=100, threads=0)
    days = ["13/02/2026", "01/02/2026", "2026-02-01", "01/02/2026"]
    requests = [bodies(["when", "a"], [[day, 1.0]])[0] for day in days]
    found = [json.loads(answer.body)["predictions"][0] for answer in answered(scorer, requests)]
    alone = [json.loads(score_alone(body, kind, model).body)["predictions"][0] for kind, body in requests]
    assert found == alone and alone[1] == "2026-01-02 00:00:00" and alone[0] == "2026-02-13 00:00:00"
