"""Origins of runs, for the service's lineage: data sets, git commits and logged models of many runs at once.

Which runs are found is decided by the query that MLflow builds, as in `run_rows.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from flask import Response
from mlflow.entities import LifecycleStage
from mlflow.store.tracking.dbmodels.models import SqlDataset, SqlInput, SqlLoggedModel, SqlRun, SqlTag
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_RUN_NAME
from pydantic_core import to_json
from sqlalchemy import Connection, Select, select

from registry_tui.contracts.run_origins import MOST_RUNS, OriginRow
from registry_tui.mlflow_plugin import mlflow_private

#: Tables instead of MLflow's classes: SQLAlchemy then makes no objects.
_RUNS, _INPUTS, _TAGS = SqlRun.__table__, SqlInput.__table__, SqlTag.__table__
_DATASETS, _MODELS = SqlDataset.__table__, SqlLoggedModel.__table__


def answer(
    tracking: Any,
    experiment_ids: list[str],
    filter_: str,
    view: int,
    max_results: int,
    *,
    order_by: list[str],
    readers_of: list[str],
    start: int,
) -> Response:
    """The runs that a filter finds, as JSON of `OriginRow`: `max_results` after the first `start`.

    `readers_of`: only runs that read one of these logged models. Raises MlflowException.
    """
    stages = set(LifecycleStage.view_type_to_stages(view))
    most = min(max_results, MOST_RUNS)
    with tracking.ManagedSessionMaker() as session:
        query = mlflow_private.found_runs(tracking, session, experiment_ids, filter_, stages, most, order_by)
        if readers_of:
            query = query.where(SqlRun.run_uuid.in_(_readers(readers_of)))
        ids = [row[0] for row in session.connection().execute(query.offset(start).limit(most)).all()]
        rows = list(_rows(session.connection(), ids))
    return Response(to_json({"runs": rows}), mimetype="application/json")


def _readers(models: Sequence[str]) -> Select[Any]:
    """The IDs of runs that read logged models."""
    return select(_INPUTS.c.source_id).where(
        _INPUTS.c.source_type == "RUN_INPUT",
        _INPUTS.c.destination_type == "MODEL_INPUT",
        _INPUTS.c.destination_id.in_(models),
    )


def _rows(database: Connection, ids: Sequence[str]) -> Iterator[OriginRow]:
    named = [_RUNS.c[each] for each in ("run_uuid", "name", "experiment_id", "status", "lifecycle_stage")]
    runs = {row[0]: row for row in database.execute(select(*named).where(_RUNS.c.run_uuid.in_(ids))).all()}
    tags: defaultdict[str, dict[str, str]] = defaultdict(dict)
    kept = select(_TAGS.c.run_uuid, _TAGS.c.key, _TAGS.c.value).where(
        _TAGS.c.run_uuid.in_(ids), _TAGS.c.key.in_((MLFLOW_GIT_COMMIT, MLFLOW_RUN_NAME))
    )
    for run, key, value in database.execute(kept).all():
        tags[run][key] = value or ""
    datasets: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
    read = (
        select(_INPUTS.c.destination_id, _DATASETS.c.name, _DATASETS.c.digest, _DATASETS.c.dataset_source_type)
        .join(_DATASETS, _DATASETS.c.dataset_uuid == _INPUTS.c.source_id)
        .where(
            _INPUTS.c.source_type == "DATASET",
            _INPUTS.c.destination_type == "RUN",
            _INPUTS.c.destination_id.in_(ids),
        )
        .order_by(_DATASETS.c.name, _DATASETS.c.digest)
    )
    for run, *dataset in database.execute(read).all():
        datasets[run].append((dataset[0], dataset[1], dataset[2]))
    models: defaultdict[str, list[tuple[str, str, bool]]] = defaultdict(list)
    logged = (
        select(_INPUTS.c.source_id, _MODELS.c.model_id, _MODELS.c.name, _INPUTS.c.source_type)
        .join(_MODELS, _MODELS.c.model_id == _INPUTS.c.destination_id)
        .where(
            _INPUTS.c.source_type.in_(("RUN_INPUT", "RUN_OUTPUT")),
            _INPUTS.c.source_id.in_(ids),
            _INPUTS.c.destination_type.in_(("MODEL_INPUT", "MODEL_OUTPUT")),
        )
        .order_by(_MODELS.c.name, _MODELS.c.model_id)
    )
    for run, id_, name, way in database.execute(logged).all():
        models[run].append((id_, name, way == "RUN_INPUT"))
    for id_ in ids:
        if (row := runs.get(id_)) is not None:
            _, name, experiment, status, stage = row
            known = name or tags[id_].get(MLFLOW_RUN_NAME, "")
            commit = tags[id_].get(MLFLOW_GIT_COMMIT, "")
            yield OriginRow(id_, known, str(experiment), status, stage, commit, datasets[id_], models[id_])
