"""Searches of runs for the service: MLflow's own query for the runs, then only the columns that lists show.

MLflow reads whole rows into objects, then into messages and JSON: a page of 100 runs takes a quarter of a second where
an experiment has 100 000. Which runs are found, and their order, is decided by the query that MLflow builds.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import Any

from flask import Flask, Response, jsonify, request
from mlflow.entities import LifecycleStage, ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.tracking.dbmodels.models import SqlInput, SqlLatestMetric, SqlParam, SqlRun, SqlTag
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.search_utils import SearchUtils
from sqlalchemy import Connection, Engine, Select, inspect, select, type_coerce
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.types import NullType

from registry_tui.contracts.run_rows import (
    MOST_CHARACTERS,
    MOST_RUNS,
    MOST_VALUES,
    PATH,
    SMALL_PAGE,
    RunRow,
    RunRows,
)
from registry_tui.mlflow_plugin import mlflow_private, run_origins, run_pages
from registry_tui.mlflow_plugin.identity import is_administrator

_logger = logging.getLogger(__name__)

#: Columns of the tables that are read here. If others exist, MLflow's own code is used.
KNOWN: Mapping[str, frozenset[str]] = {
    "runs": frozenset(
        (
            *("run_uuid", "name", "experiment_id", "user_id", "status", "lifecycle_stage", "artifact_uri"),
            *("start_time", "end_time", "deleted_time"),
            *("source_type", "source_name", "source_version", "entry_point_name"),
        )
    ),
    "latest_metrics": frozenset(("key", "value", "timestamp", "step", "is_nan", "run_uuid")),
    "params": frozenset(("key", "value", "run_uuid")),
    "tags": frozenset(("key", "value", "run_uuid")),
    "inputs": frozenset(("input_uuid", "source_type", "source_id", "destination_type", "destination_id", "step")),
}
#: Runs whose values are read with one statement.
_BATCH = 500
#: Tables instead of MLflow's classes: SQLAlchemy then makes no objects.
_RUNS, _METRICS, _INPUTS = (each.__table__ for each in (SqlRun, SqlLatestMetric, SqlInput))
_COLUMNS = ("run_uuid", "name", "experiment_id", "user_id", "status", "lifecycle_stage", "start_time", "end_time")


def install(app: Flask, engine: Engine) -> None:
    """Adds the route, for the service's account only: the service first checks whether the caller may see the project.

    `engine` is that of MLflow's tracking store. Raises SQLAlchemyError.
    """
    known = is_known(engine)
    if not known:
        _logger.warning("MLflow's database has other columns than are known: searches of runs are MLflow's own")
    view = partial(_answer, search if known else search_by_mlflow)
    app.add_url_rule(f"/api/2.0/mlflow/{PATH}", "registry_tui_runs", view, methods=["POST"])


def is_known(engine: Engine) -> bool:
    """Whether the tables have exactly the known columns. Raises SQLAlchemyError."""
    looking = inspect(engine)
    try:
        return all({each["name"] for each in looking.get_columns(table)} == known for table, known in KNOWN.items())
    except NoSuchTableError:
        return False


def _answer(find: Any) -> Response | tuple[Response, int]:
    if not is_administrator():
        return jsonify({"error_code": "PERMISSION_DENIED", "message": "Ask the service."}), HTTPStatus.FORBIDDEN
    given = request.get_json(silent=True)
    asked = given if isinstance(given, dict) else {}
    if asked.get("origins") is True:
        within, view = _texts(asked, "experiment_ids"), _view(_text(asked, "run_view_type"))
        tracking = mlflow_private.tracking_store()
        readers_of, start = _texts(asked, "readers_of"), asked.get("start", 0)
        if type(start) is not int or not 0 <= start < 1 << 31:
            raise _wrong("start", "a number from 0 on")
        if len(readers_of) > MOST_RUNS:
            raise _wrong("readers_of", f"a list of at most {MOST_RUNS}")
        return run_origins.answer(
            *(tracking, within, _text(asked, "filter"), view, _number(asked)),
            order_by=_texts(asked, "order_by") if readers_of else [],
            readers_of=readers_of,
            start=start,
        )
    found = find(
        mlflow_private.tracking_store(),
        _texts(asked, "experiment_ids"),
        filter_=_text(asked, "filter"),
        order_by=_texts(asked, "order_by"),
        view=_view(_text(asked, "run_view_type")),
        max_results=_number(asked),
        page_token=_text(asked, "page_token") or None,
    )
    return Response(run_pages.as_json(found), mimetype="application/json")


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name, "")
    if not isinstance(value, str):
        raise _wrong(name, "a string")
    return value


def _texts(asked: Mapping[str, Any], name: str) -> list[str]:
    value = asked.get(name, [])
    if not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise _wrong(name, "a list of strings")
    return value


def _number(asked: Mapping[str, Any]) -> int:
    value = asked.get("max_results")
    if not isinstance(value, int) or not 1 <= value <= MOST_RUNS:
        raise _wrong("max_results", f"a number from 1 to {MOST_RUNS}")
    return value


def _view(name: str) -> int:
    if name not in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL"):
        raise _wrong("run_view_type", "ACTIVE_ONLY, DELETED_ONLY or ALL")
    return int(ViewType.from_string(name.lower()))


def _wrong(name: str, wanted: str) -> MlflowException:
    return MlflowException(f"{name} must be {wanted}", error_code=INVALID_PARAMETER_VALUE)


def search_by_mlflow(
    tracking: Any,
    experiment_ids: list[str],
    *,
    filter_: str,
    order_by: list[str],
    view: int,
    max_results: int,
    page_token: str | None,
) -> RunRows:
    """Like `search`, by MLflow's own code, for any tables. Raises MlflowException."""
    runs = tracking.search_runs(experiment_ids, filter_, view, min(max_results, SMALL_PAGE), order_by, page_token)
    return RunRows([_row_of(run) for run in runs], runs.token)


def _row_of(run: Any) -> RunRow:
    info, data = run.info, run.data
    return RunRow(
        id=info.run_id,
        name=info.run_name or "",
        experiment_id=str(info.experiment_id),
        user=info.user_id or "",
        status=info.status,
        stage=info.lifecycle_stage,
        started=info.start_time,
        ended=info.end_time,
        metrics=dict(data.metrics),
        params=dict(data.params),
        tags=dict(data.tags),
        has_model_outputs=bool(run.outputs.model_outputs),
    )


def search(
    tracking: Any,
    experiment_ids: list[str],
    *,
    filter_: str,
    order_by: list[str],
    view: int,
    max_results: int,
    page_token: str | None,
) -> RunRows:
    """One page of runs of the request's workspace, with the results of MLflow's `search_runs`.

    Raises MlflowException.
    """
    stages = set(LifecycleStage.view_type_to_stages(view))
    start = SearchUtils.parse_start_offset_from_page_token(page_token)
    with tracking.ManagedSessionMaker() as session:
        query = mlflow_private.found_runs(
            tracking, session, experiment_ids, filter_, stages, max_results, list(order_by)
        )
        ids = [row[0] for row in session.connection().execute(query.offset(start).limit(max_results + 1)).all()]
        more = len(ids) > max_results
        rows: list[RunRow] = []
        asked = values = characters = 0
        wanted = iter(ids[:max_results])
        while batch := list(islice(wanted, _BATCH)):
            if asked >= SMALL_PAGE and (values > MOST_VALUES or characters > MOST_CHARACTERS):
                more = True
                break
            found = list(_rows(session.connection(), batch))
            values += sum(len(row.metrics) + len(row.params) + len(row.tags) for row in found)
            characters += sum(map(_characters, found))
            asked += len(batch)
            rows += found
    return RunRows(rows, SearchUtils.create_page_token(start + asked) if more else None)


def _rows(database: Connection, ids: Sequence[str]) -> Iterator[RunRow]:
    """Runs in the order of their IDs, without those that were removed meanwhile."""
    named = [_RUNS.c[each] for each in _COLUMNS]
    runs = {row[0]: row for row in _tuples(database, select(*named).where(_RUNS.c.run_uuid.in_(ids)))}
    metrics: defaultdict[str, dict[str, float]] = defaultdict(dict)
    c = _METRICS.c
    measured = select(c.run_uuid, c.key, type_coerce(c.value, NullType), type_coerce(c.is_nan, NullType))
    for run, key, value, not_a_number in _tuples(database, measured.where(c.run_uuid.in_(ids))):
        metrics[run][key] = math.nan if not_a_number else value
    params, tags = (_texts_of(database, table, ids) for table in (SqlParam.__table__, SqlTag.__table__))
    outputs = select(_INPUTS.c.source_id).where(
        _INPUTS.c.source_type == "RUN_OUTPUT",
        _INPUTS.c.source_id.in_(ids),
        _INPUTS.c.destination_type == "MODEL_OUTPUT",
    )
    with_models = set(database.scalars(outputs))
    for id_ in ids:
        if (row := runs.get(id_)) is not None:
            _, name, experiment, user, status, stage, started, ended = row
            yield RunRow(
                id_,
                name or tags[id_].get(MLFLOW_RUN_NAME, ""),
                str(experiment),
                user or "",
                status,
                stage,
                started,
                ended,
                metrics[id_],
                params[id_],
                tags[id_],
                id_ in with_models,
            )


def _tuples(database: Connection, statement: Select[Any]) -> Sequence[Sequence[Any]]:
    """Rows as the driver makes them, of columns that need no conversion: SQLAlchemy's take twice as long."""
    found = database.execute(statement)
    assert found.cursor is not None, "a SELECT has rows"
    rows = found.cursor.fetchall()
    found.close()
    return rows


def _characters(row: RunRow) -> int:
    """How long the keys and texts of a run are."""
    texts = sum(len(key) + len(value) for each in (row.params, row.tags) for key, value in each.items())
    return texts + sum(map(len, row.metrics))


def _texts_of(database: Connection, table: Any, ids: Sequence[str]) -> defaultdict[str, dict[str, str]]:
    """Values by key and run of the tables of params and tags."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    c = table.c
    for run, key, value in _tuples(database, select(c.run_uuid, c.key, c.value).where(c.run_uuid.in_(ids))):
        found[run][key] = value or ""
    return found
