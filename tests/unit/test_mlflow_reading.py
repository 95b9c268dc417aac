"""Consistency of a search of versions during concurrent changes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from mlflow.store.db.base_sql_model import Base
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag, SqlRegisteredModel
from sqlalchemy import create_engine, event, exists, select
from sqlalchemy.orm import Session

from registry_tui.mlflow_plugin.store import EnvironmentRegistryStore


def test_a_version_keeps_its_tags_when_the_filter_stops_matching_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    engine = create_engine(f"sqlite:///{path}")
    tables = [
        Base.metadata.tables[each.__tablename__] for each in (SqlRegisteredModel, SqlModelVersion, SqlModelVersionTag)
    ]
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
    Base.metadata.create_all(engine, tables=tables)
    keys = {"workspace": "w", "name": "m"}
    with Session(engine) as session, session.begin():
        session.add(SqlRegisteredModel(**keys, creation_time=1, last_updated_time=1))
        session.add(SqlModelVersion(**keys, version=1, creation_time=1, last_updated_time=1, current_stage="None"))
        session.add_all(SqlModelVersionTag(**keys, version=1, key=key, value="x") for key in ("pending", "id"))

    def finished(*_: Any) -> None:
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("DELETE FROM model_version_tags WHERE key = 'pending'")

    pending = exists().where(SqlModelVersionTag.version == SqlModelVersion.version, SqlModelVersionTag.key == "pending")
    with Session(engine) as session:
        event.listen(engine, "after_cursor_execute", finished, once=True)
        options = EnvironmentRegistryStore._get_eager_model_version_query_options()
        [found] = session.scalars(select(SqlModelVersion).where(pending).options(*options)).all()
        assert [tag.key for tag in found.model_version_tags] == ["id"]
