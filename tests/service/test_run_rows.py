"""Searches of runs by columns have the results of MLflow's REST API, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, ErrorCode
from mlflow.store.tracking.dbmodels import models as tables
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.utils.proto_json_utils import message_to_json
from mlflow.utils.workspace_context import WorkspaceContext
from sqlalchemy import create_engine, insert, inspect, text

from registry_tui.contracts import run_rows as contract
from registry_tui.mlflow_plugin import indexes, run_pages, run_rows
from registry_tui.platform.database_urls import Databases
from registry_tui.platform.postgresql import ensure_schema
from registry_tui.schemas.base import Page
from registry_tui.schemas.tracking import Run
from registry_tui.service.adapters.mlflow_words import fields_of_item, fields_of_run
from support.postgres import PostgresServer

_MIGRATE = """
import sys
from mlflow.store.db import utils
from sqlalchemy import create_engine
for url in sys.argv[1:]:
    utils._initialize_tables(create_engine(url))
"""
#: Experiments: two of the workspace, one of another one.
OURS, ALSO_OURS, ELSEWHERE = "11", "12", "13"
RUNS, WIDE = 90, 500
LARGEST = sys.float_info.max
VALUES = (0.0, -1.5, 2.25, 1e-300, LARGEST, -LARGEST, 7.0, 7.0)


@pytest.fixture(scope="module")
def stores(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """MLflow's tracking stores on both databases, with the same rows."""
    postgresql = Databases.on_postgresql(postgres.new_database()).mlflow
    ensure_schema(postgresql)
    folder = tmp_path_factory.mktemp("rows")
    urls = [f"sqlite:///{folder}/mlflow.db", postgresql]
    # In another process: migrations leave their constraints in MLflow's table objects.
    subprocess.run([sys.executable, "-c", _MIGRATE, *urls], check=True, capture_output=True)
    made = []
    for url in urls:
        store = WorkspaceAwareSqlAlchemyStore(url, str(folder / "artifacts"))
        _fill(store)
        indexes.make(store.engine)
        made.append(store)
    yield made
    for store in made:
        store.engine.dispose()


def _fill(store: Any) -> None:
    """Runs with equal and different times, metrics that are missing, NaN, infinite or many, and all that is rare."""
    choose = random.Random(20)
    rows: dict[Any, list[dict[str, Any]]] = {}

    def add(table: Any, **values: Any) -> None:
        rows.setdefault(table, []).append(values)

    for experiment, workspace in ((OURS, "default"), (ALSO_OURS, "default"), (ELSEWHERE, "other")):
        named = {"name": f"e{experiment}", "workspace": workspace, "lifecycle_stage": "active"}
        add(tables.SqlExperiment, experiment_id=int(experiment), creation_time=1, last_update_time=1, **named)
    for number in range(2):
        described = {"dataset_source_type": "x", "dataset_source": "y", "dataset_schema": None, "dataset_profile": None}
        ids = {
            "dataset_uuid": f"d{number}",
            "experiment_id": int(OURS),
            "name": f"set-{number}",
            "digest": f"g{number}",
        }
        add(tables.SqlDataset, **ids, **described)
    for number in range(RUNS):
        run = f"{choose.getrandbits(128):032x}"
        add(
            tables.SqlRun,
            run_uuid=run,
            name=None if number % 11 == 0 else f"run {choose.randrange(20)}",
            source_type="LOCAL",
            user_id=choose.choice(("ann", "bob")),
            status=choose.choice(("RUNNING", "FINISHED", "FAILED")),
            start_time=1_700_000_000_000 + choose.randrange(6),
            end_time=choose.choice((None, 0, 1_700_000_005_000)),
            lifecycle_stage="deleted" if number % 7 == 0 else "active",
            artifact_uri="mlflow-artifacts:/x",
            experiment_id=int(ELSEWHERE if number % 13 == 0 else ALSO_OURS if number % 5 == 0 else OURS),
        )
        for metric in ("m", "loss", "metric with space"):
            if choose.random() < 0.75:
                nan = choose.random() < 0.2
                value = 0.0 if nan else choose.choice(VALUES)
                measured = {"value": value, "is_nan": nan, "timestamp": 5, "step": 1}
                add(tables.SqlLatestMetric, run_uuid=run, key=metric, **measured)
        for param in ("p", "Größe"):
            if choose.random() < 0.75:
                add(tables.SqlParam, run_uuid=run, key=param, value=choose.choice(("1", "10", "9", "ä", "B", "b")))
        add(tables.SqlTag, run_uuid=run, key="mlflow.runName", value=f"tagged {number % 4}")
        if number % 3 == 0:
            add(tables.SqlTag, run_uuid=run, key="mlflow.parentRunId", value=f"parent {number % 2}")
        if number % 4 == 0:
            add(tables.SqlTag, run_uuid=run, key="team", value="")
        for each in range(number % 3):  # several datasets, so that one filter matches a run twice
            ids = {"input_uuid": f"i{number}-{each}", "source_id": f"d{each}", "destination_id": run, "step": 0}
            add(tables.SqlInput, source_type="DATASET", destination_type="RUN", **ids)
            add(tables.SqlInputTag, input_uuid=f"i{number}-{each}", name="mlflow.data.context", value="train")
        if number % 6 == 0:
            ids = {"input_uuid": f"o{number}", "source_id": run, "destination_id": f"model {number}", "step": 0}
            add(tables.SqlInput, source_type="RUN_OUTPUT", destination_type="MODEL_OUTPUT", **ids)
        if number == 8:
            for each in range(WIDE):
                measured = {"value": each / 7, "is_nan": False, "timestamp": 5, "step": each}
                add(tables.SqlLatestMetric, run_uuid=run, key=f"wide/{each:03}", **measured)
    with store.engine.begin() as connection:
        for table, values in rows.items():
            connection.execute(insert(table), values)


def _asked(store: Any, experiments: list[str], **asked: Any) -> tuple[list[dict[str, Any]], str | bytes | None]:
    """The service's output for our route's response."""
    with WorkspaceContext("default"):
        found = run_rows.search(store, experiments, **asked)
    answer = run_pages.as_json(found)
    page = json.loads(answer)
    checked = Page[Run].model_validate_json(answer)
    assert json.loads(checked.model_dump_json()) == page and {*page} == {*Page.model_fields}
    return [fields_of_item(item) for item in page["items"]], found.next_page_token


def _by_rest(store: Any, experiments: list[str], **asked: Any) -> tuple[list[dict[str, Any]], str | None]:
    """The service's output for the JSON of MLflow's REST API."""
    given = (asked["filter_"], asked["view"], asked["max_results"], asked["order_by"], asked["page_token"])
    with WorkspaceContext("default"):
        runs = store.search_runs(experiments, *given)
    return [fields_of_run(json.loads(message_to_json(run.to_proto()))) for run in runs], runs.token


def _same(store: Any, experiments: list[str], **asked: Any) -> list[dict[str, Any]]:
    """Every page of a search, which must be the same on both ways. NaN is compared by its text."""
    everything: list[dict[str, Any]] = []
    token = None
    while True:
        page, following = _asked(store, experiments, **asked, page_token=token)
        other, same_token = _by_rest(store, experiments, **asked, page_token=token)
        assert [run["id"] for run in page] == [run["id"] for run in other]
        assert [_comparable(run) for run in page] == [_comparable(run) for run in other]
        assert following == same_token
        everything += page
        if following is None:
            return everything
        token = following


def _comparable(run: dict[str, Any]) -> dict[str, Any]:
    return {**run, "metrics": {key: repr(value) for key, value in run["metrics"].items()}}


FILTERS = (
    "",
    "metrics.m > 0",
    "metrics.m != 7",
    "metrics.`metric with space` <= 7 and params.p = '10'",
    "params.`Größe` LIKE '%b%'",
    "params.p ILIKE 'B'",
    "tags.team = '' and metrics.loss >= -1.5",
    "tags.`mlflow.parentRunId` IS NULL",
    "tags.`mlflow.parentRunId` IS NOT NULL and params.p != '1'",
    "params.p IS NULL and metrics.loss > -100",
    "attributes.run_name LIKE 'tagged %' and attributes.status = 'FINISHED'",
    "attributes.start_time > 1700000000002 and attributes.user_id = 'ann'",
    "datasets.name LIKE 'set-%'",
    "datasets.context = 'train' and metrics.m < 100",
    "datasets.digest IN ('g0', 'g1')",
    "datasets.name = 'none'",
)
ORDERS = (
    "metrics.m DESC",
    "metrics.m ASC",
    "metrics.`metric with space` DESC",
    "metrics.missing DESC",
    "params.p ASC",
    "params.`Größe` DESC",
    "tags.team DESC",
    "attributes.start_time ASC",
    "attributes.start_time DESC",
    "attributes.end_time DESC",
    "attributes.run_name ASC",
    "attributes.status DESC",
    "attributes.run_id DESC",
)


@settings(max_examples=25)
@given(
    filter_=st.sampled_from(FILTERS),
    order_by=st.lists(st.sampled_from(ORDERS), max_size=3),
    view=st.sampled_from((ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL)),
    max_results=st.sampled_from((9, 30, 1000)),
    experiments=st.sampled_from(([OURS], [OURS, ALSO_OURS], [ELSEWHERE], [OURS, ELSEWHERE], ["99"])),
)
def test_the_runs_their_order_and_values_are_those_of_mlflow(
    stores: list[Any], filter_: str, order_by: list[str], view: int, max_results: int, experiments: list[str]
) -> None:
    for store in stores:
        asked = {"filter_": filter_, "order_by": order_by, "view": view, "max_results": max_results}
        try:
            found = _same(store, experiments, **asked)
        except MlflowException as error:  # an order that names a field twice
            with pytest.raises(MlflowException, match="duplicate fields"):
                _by_rest(store, experiments, **asked, page_token=None)
            assert "duplicate fields" in error.message
            continue
        assert len({run["id"] for run in found}) == len(found)


def test_every_run_and_value_is_found(stores: list[Any]) -> None:
    for store in stores:
        found = _same(store, [OURS, ALSO_OURS], filter_="", order_by=[], view=ViewType.ALL, max_results=40)
        values = [value for run in found for value in run["metrics"].values()]
        assert len(found) == RUNS - 7 and max(len(run["metrics"]) for run in found) >= WIDE
        assert float("inf") in values and float("-inf") in values and any(value != value for value in values)
        assert any(run["holds_model"] for run in found) and not all(run["holds_model"] for run in found)
        assert any(run["name"].startswith("tagged") for run in found), "runs without a name have the tag's"
        times = [(run["started_at"], run["id"]) for run in found]
        assert times == sorted(times, key=lambda each: (-each[0].timestamp(), each[1])), "newest first, then by ID"


def test_another_workspaces_runs_are_not_found(stores: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")  # as the platform's server is started
    for store in stores:
        asked: dict[str, Any] = {"filter_": "", "order_by": [], "view": ViewType.ALL, "max_results": 5}
        assert _asked(store, [ELSEWHERE], **asked, page_token=None) == ([], None)
        with WorkspaceContext("other"):
            assert run_rows.search(store, [ELSEWHERE], **asked, page_token=None).runs


@pytest.mark.parametrize(
    "wrong",
    [
        {"filter_": "metrics.m >"},
        {"filter_": "nothing.m = 1"},
        {"order_by": ["metrics.m SIDEWAYS"]},
        {"page_token": "odd"},
    ],
)
def test_what_mlflow_refuses_is_refused_in_its_words(stores: list[Any], wrong: dict[str, Any]) -> None:
    plain = {"filter_": "", "order_by": [], "view": ViewType.ACTIVE_ONLY, "max_results": 5, "page_token": None}
    for store in stores:
        with pytest.raises(MlflowException) as ours:
            _asked(store, [OURS], **{**plain, **wrong})
        with pytest.raises(MlflowException) as theirs:
            _by_rest(store, [OURS], **{**plain, **wrong})
        assert (ours.value.message, ours.value.error_code) == (theirs.value.message, theirs.value.error_code)
        assert ours.value.error_code == ErrorCode.Name(INVALID_PARAMETER_VALUE)


@pytest.mark.parametrize("bound", ["MOST_VALUES", "MOST_CHARACTERS"])
def test_runs_with_very_many_or_long_values_come_in_smaller_pages(
    stores: list[Any], monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    for name, number in {"SMALL_PAGE": 4, "_BATCH": 2, bound: 10}.items():
        monkeypatch.setattr(run_rows, name, number)
    asked: dict[str, Any] = {"filter_": "", "order_by": [], "view": ViewType.ALL, "max_results": 1000}
    for store in stores:
        seen: list[str] = []
        token, pages = None, 0
        while pages == 0 or token is not None:
            page, token = _asked(store, [OURS], **asked, page_token=token)
            seen += [run["id"] for run in page]
            pages += 1
            assert len(page) >= 4 or token is None
        whole, _ = _by_rest(store, [OURS], **asked, page_token=None)
        assert seen == [run["id"] for run in whole] and pages > 5


def test_other_columns_are_noticed_and_mlflows_own_search_answers(stores: list[Any]) -> None:
    asked: dict[str, Any] = {"filter_": "metrics.m > 0", "order_by": ["metrics.m DESC"], "view": ViewType.ALL}
    asked |= {"max_results": 9, "page_token": None}
    for store in stores:
        assert run_rows.is_known(store.engine)
        with WorkspaceContext("default"):
            ours = run_rows.search(store, [OURS], **asked)
            assert repr(ours) == repr(run_rows.search_by_mlflow(store, [OURS], **asked))
        for table in run_rows.KNOWN:
            with store.engine.begin() as connection:
                connection.execute(text(f"ALTER TABLE {table} ADD COLUMN later INTEGER"))
            assert not run_rows.is_known(store.engine), table
            with store.engine.begin() as connection:
                connection.execute(text(f"ALTER TABLE {table} DROP COLUMN later"))
            assert run_rows.is_known(store.engine)


QUERIES = {
    "registry_tui_newest_runs": (
        "SELECT run_uuid FROM runs WHERE experiment_id = 11 AND lifecycle_stage = 'active' "
        "ORDER BY start_time DESC, run_uuid LIMIT 5"
    ),
    "registry_tui_newest_versions": (
        "SELECT workspace, name, max(version) FROM model_versions WHERE workspace = 'w' AND name IN ('m') AND "
        "current_stage != 'Deleted_Internal' GROUP BY workspace, name, current_stage"
    ),
}


@pytest.mark.parametrize("name", indexes.INDEXES)
def test_what_lists_ask_first_is_found_by_an_index(stores: list[Any], name: str) -> None:
    table, _ = indexes.INDEXES[name]
    for store in stores:
        indexes.make(store.engine)  # a server that starts again finds it made
        assert name in {each["name"] for each in inspect(store.engine).get_indexes(table)}
    with stores[0].engine.connect() as connection:
        plan = " ".join(row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {QUERIES[name]}")))
    assert name in plan and "TEMP B-TREE" not in plan


def test_a_table_without_the_columns_gets_no_index(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/odd.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE runs (run_uuid TEXT, start_time INTEGER)"))
    indexes.make(engine)
    assert inspect(engine).get_indexes("runs") == []


def test_a_table_that_is_missing_is_noticed(tmp_path: Path) -> None:
    assert not run_rows.is_known(create_engine(f"sqlite:///{tmp_path}/empty.db"))


def test_the_most_runs_of_a_page_are_those_that_the_service_takes() -> None:
    from registry_tui.schemas.tracking import RunSearch

    assert RunSearch(experiment_ids=["1"], page_size=contract.MOST_RUNS).page_size == contract.MOST_RUNS
    with pytest.raises(ValueError, match="page_size"):
        RunSearch(experiment_ids=["1"], page_size=contract.MOST_RUNS + 1)
