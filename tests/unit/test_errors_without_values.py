"""Errors of databases are logged: they show no value of a statement, which may be a secret."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

import registry_tui
from registry_tui.mlflow_plugin.launch import hide_values
from registry_tui.platform.database_urls import Databases
from registry_tui.service.database import dialects
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import InstallationRow
from registry_tui.service.engine import engine as workflows

SECRET = "the-secret-of-a-client"
SOURCES = Path(registry_tui.__file__).parent


def test_an_insert_that_fails_does_not_show_what_it_was_to_keep(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "service.db")
    database.migrate()
    with database.session() as session:
        session.execute(text("DROP TABLE installation"))
    with pytest.raises(SQLAlchemyError) as failed, database.session() as session:
        session.add(InstallationRow(key="sign_in_issuer_secret", value=SECRET))
    database.close()
    assert "INSERT INTO installation" in str(failed.value)
    assert SECRET not in f"{failed.value} {failed.value!r}"


def test_no_engine_of_postgresql_shows_values() -> None:
    url = Databases.on_postgresql("postgresql://ann@db.lab/models").service
    for engine in (dialects.open_engine(url), dialects.open_locking_engine(url)):
        assert engine.hide_parameters
        assert dialects.reading(engine).hide_parameters


def test_the_engine_of_the_workflows_shows_no_values(tmp_path: Path) -> None:
    from dbos import DBOS

    made = DBOS(config=workflows._config(f"sqlite:///{tmp_path}/dbos.db", 1))
    try:
        DBOS.launch()
        assert made._sys_db.engine.hide_parameters
    finally:
        DBOS.destroy(destroy_registry=True)


def test_an_engine_that_mlflow_has_made_shows_no_values_from_then_on() -> None:
    engine = create_engine("sqlite://")
    hide_values(engine)
    with pytest.raises(SQLAlchemyError) as failed, engine.begin() as connection:
        connection.execute(text("INSERT INTO users VALUES (:hash)"), {"hash": SECRET})
    assert SECRET not in str(failed.value)


def test_every_engine_that_the_program_makes_is_asked_to_hide_values() -> None:
    showing = [
        f"{path.relative_to(SOURCES)}:{call.lineno}"
        for path in sorted(SOURCES.rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", getattr(call.func, "attr", "")) == "create_engine"
        and not any(each.arg == "hide_parameters" for each in call.keywords)
    ]
    assert showing == []
