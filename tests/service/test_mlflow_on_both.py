"""The plugin's own queries of MLflow's database, on SQLite and on PostgreSQL: the results are the same."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag, SqlRegisteredModel
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlMetric, SqlRun
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, create_engine, insert, select
from sqlalchemy.orm import Session

from registry_tui.mlflow_plugin import curves, indexes
from registry_tui.mlflow_plugin.dialects import by_bytes, insert_unless_there
from registry_tui.mlflow_plugin.mlflow_private import RegistryStore
from registry_tui.mlflow_plugin.visibility import note_projects
from registry_tui.platform.database_urls import Databases
from registry_tui.platform.postgresql import ensure_schema
from registry_tui.schemas import mlflow_tags as tags_
from support.postgres import PostgresServer

_MAKE = """
import sys
from mlflow.store.db.base_sql_model import Base
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag, SqlRegisteredModel
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlMetric, SqlRun
from sqlalchemy import create_engine

classes = (SqlExperiment, SqlRun, SqlMetric, SqlRegisteredModel, SqlModelVersion, SqlModelVersionTag)
for url in sys.argv[1:]:
    tables = [Base.metadata.tables[each.__tablename__] for each in classes]
    Base.metadata.create_all(create_engine(url), tables=tables)
"""


@pytest.fixture(scope="module")
def engines(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Engine]]:
    """MLflow's tables on each."""
    url = Databases.on_postgresql(postgres.new_database()).mlflow
    ensure_schema(url)
    made = [create_engine(f"sqlite:///{tmp_path_factory.mktemp('both')}/mlflow.db"), create_engine(url)]
    # In another process: MLflow's migrations, where another test ran them, leave their constraints in these tables.
    subprocess.run([sys.executable, "-c", _MAKE, *(each.url.render_as_string(False) for each in made)], check=True)
    yield made
    for engine in made:
        engine.dispose()


def _both(engines: list[Engine], **asked: Any) -> dict[str, Any]:
    """The curve on either, which must be the same."""
    found = []
    for engine in engines:
        with engine.connect() as connection:
            found.append(curves.curve(connection, "run", "loss", **asked))
    assert found[0] == found[1]
    return found[0]


def test_curves_are_reduced_alike(engines: list[Engine]) -> None:
    choose = random.Random(11)
    largest = sys.float_info.max
    points = [{"step": step, "value": choose.gauss(0, 3), "is_nan": False} for step in range(0, 3000, 3)]
    points += [{"step": 7, "value": 0.0, "is_nan": True}, {"step": 8, "value": largest, "is_nan": False}]
    points += [{"step": 11, "value": -largest, "is_nan": False}, {"step": 1501, "value": 99.5, "is_nan": False}]
    rows = [{**point, "run_uuid": "run", "key": "loss", "timestamp": 10**12 + 7 * point["step"]} for point in points]
    for engine in engines:
        with engine.begin() as connection:
            connection.execute(insert(SqlExperiment), {"experiment_id": 1, "name": "e", "lifecycle_stage": "active"})
            connection.execute(insert(SqlRun), {"run_uuid": "run", "experiment_id": 1, "status": "RUNNING"})
            connection.execute(insert(SqlMetric), rows)
    whole = _both(engines, buckets=5000)
    assert len(whole["points"]) == 1001 and (whole["count"], whole["not_finite"]) == (1004, 3)
    for axis in ("step", "time"):
        reduced = _both(engines, buckets=40, x=curves._COLUMNS[axis])
        assert 40 <= len(reduced["points"]) <= 82 and max(point[2] for point in reduced["points"]) == 99.5
    part = _both(engines, buckets=10, low=1500.5, high=1800)
    assert part["points"][0][0] == 1501 and part["count"] == 101 and part["began"] == 10**12 + 7 * 1501
    assert _both(engines, buckets=10, low=5000)["points"] == []


def test_texts_are_compared_by_their_bytes(engines: list[Engine]) -> None:
    for engine in engines:
        table = Table("texts", MetaData(), Column("text", String(50), primary_key=True), Column("number", Integer))
        table.create(engine)
        with Session(engine) as session, session.begin():
            for text in ("0a-b", "0ab", "0A", "0a\u00e9"):
                insert_unless_there(session, table, {"text": text, "number": 1})
                insert_unless_there(session, table, {"text": text, "number": 2})
        with engine.connect() as connection:
            id_ = by_bytes(table.c.text)
            query = select(table.c.text, table.c.number).where(id_ >= "0a", id_ < "0a\U0010ffff").order_by(id_)
            assert connection.execute(query).all() == [("0a-b", 1), ("0ab", 1), ("0a\u00e9", 1)]


def test_versions_of_before_get_their_project(engines: list[Engine]) -> None:
    origins = {1: json.dumps({"project_id": "p"}), 2: "no JSON", 3: "[]", 4: json.dumps({"project_id": None})}
    keys = {"workspace": "w", "name": "m"}
    for engine in engines:
        with Session(engine) as session, session.begin():
            session.add(SqlRegisteredModel(**keys, creation_time=1, last_updated_time=1))
            for number, origin in origins.items():
                session.add(SqlModelVersion(**keys, version=number, creation_time=1, last_updated_time=1))
                session.add(SqlModelVersionTag(**keys, version=number, key=tags_.ORIGIN, value=origin))
        for _ in range(2):
            note_projects(engine)
        with engine.connect() as connection:
            tag = SqlModelVersionTag
            found = connection.execute(select(tag.version, tag.value).where(tag.key == tags_.PROJECT)).all()
            assert found == [(1, "p")]


class _Store(RegistryStore):
    """MLflow's store in one workspace, where version 25 is not seen."""

    def registry_workspace(self) -> str:
        return "newest"

    def row_conditions(self, table: Any) -> list[Any]:
        return [] if table is not SqlModelVersion else [SqlModelVersion.version != 25]


def test_the_newest_version_in_each_stage_is_mlflows(engines: list[Engine]) -> None:
    choose = random.Random(5)
    stages = ("None", "Staging", "Production", "Archived", "Deleted_Internal")
    versions = [(name, number, choose.choice(stages)) for name in ("a", "b", "c") for number in range(1, 26)]
    names = ["a", "b", "none"]
    store = object.__new__(_Store)
    for engine in engines:
        indexes.make(engine)
        with Session(engine) as session, session.begin():
            for workspace in ("newest", "other"):
                for name in ("a", "b", "c"):
                    keys = {"workspace": workspace, "name": name}
                    session.add(SqlRegisteredModel(**keys, creation_time=1, last_updated_time=1))
                for name, number, stage in versions:
                    keys = {"workspace": workspace, "name": name}
                    number += 100 if workspace == "other" else 0
                    session.add(SqlModelVersion(**keys, version=number, current_stage=stage, creation_time=1))
        with Session(engine) as session:
            ours = store._get_latest_versions_for_models(session, names)
            theirs = super(RegistryStore, store)._get_latest_versions_for_models(session, names)
            found, wanted = (
                {name: sorted((each.current_stage, each.version) for each in of) for name, of in each.items()}
                for each in (ours, theirs)
            )
        assert found == wanted and found["none"] == [] and 3 <= len(found["a"]) <= 4
        assert all(number <= 24 for of in found.values() for _, number in of)
