"""The columns of a list of runs before anybody chose."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from registry_tui.schemas.tracking import Run
from registry_tui.screens.tracking.run_columns import SAME, first_columns
from registry_tui.screens.tracking.run_varying import varying
from registry_tui.service.adapters.mlflow_words import fields_of_run

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def _run(number: int, **changes: object) -> Run:
    known = {
        "id": str(number),
        "name": f"run {number}",
        "experiment_id": "1",
        "user": "ada",
        "status": "FINISHED",
        "lifecycle_stage": "active",
        "started_at": BEGAN + timedelta(minutes=number),
        "ended_at": BEGAN + timedelta(minutes=number, seconds=5),
        "params": {"alpha": str(number), "epochs": "60", "a-constant": "1", "b-constant": "2"},
        "metrics": {"rmse": float(number), "accuracy": 1.0},
    }
    return Run.model_validate(known | changes)


def _keys(runs: list[Run]) -> list[str]:
    params, metrics = Counter[str](), Counter[str]()
    for run in runs:
        params.update(run.params.keys())
        metrics.update(run.metrics.keys())
    return [column.key for column in first_columns(params, metrics, varying(runs))]


def test_columns_that_vary_come_before_those_that_are_the_same() -> None:
    assert _keys([_run(1), _run(2), _run(3)]) == [
        "name",
        "attribute started",
        "param alpha",
        "metric rmse",
        "attribute status",
        "param a-constant",
        "param b-constant",
        "metric accuracy",
        "attribute took",
        "attribute user",
    ]


def test_a_state_or_a_person_that_differs_comes_first_too() -> None:
    keys = _keys([_run(1), _run(2, status="FAILED", user="grace")])
    assert keys.index("attribute status") < keys.index("param a-constant")
    assert keys.index("attribute user") < keys.index("param a-constant")


def test_a_param_that_only_some_runs_have_varies() -> None:
    assert "param depth" in varying([_run(1, params={}), _run(2, params={"depth": "3"})])


def test_one_run_alone_has_the_usual_order() -> None:
    assert varying([_run(1)]) == set()
    assert _keys([_run(1)])[:3] == ["name", "attribute status", "attribute started"]


def test_what_is_the_same_leaves_first_where_it_is_narrow() -> None:
    columns = {column.key: column for column in first_columns(Counter("ab"), Counter(), {"param b"})}
    assert columns["param a"].priority > SAME > columns["param b"].priority


def test_a_param_that_varies_is_shown_rather_than_one_that_more_runs_have() -> None:
    params = Counter({"a": 9, "b": 9, "c": 9, "z": 2})
    assert "param z" in [column.key for column in first_columns(params, Counter(), {"param z"})]


def test_models_of_every_generation_of_clients_are_seen() -> None:
    bare = {"info": {"run_id": "1"}, "data": {}}
    assert fields_of_run(bare)["holds_model"] is False
    assert fields_of_run(bare | {"outputs": {"model_outputs": [{"model_id": "m-1"}]}})["holds_model"] is True
    noted = {"data": {"tags": [{"key": "mlflow.log-model.history", "value": "[]"}]}}
    assert fields_of_run(bare | noted)["holds_model"] is True
