"""Addresses of databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from registry_tui.platform.database_urls import (
    Databases,
    UnusableAddress,
    for_psycopg,
    is_postgresql,
    schema_of,
    shown,
    with_schema,
)
from registry_tui.platform.paths import Home


def test_each_part_has_a_schema_of_one_database() -> None:
    url = "postgresql://ann:p%40ss@db.lab:5433/models?sslmode=verify-full"
    databases = Databases.on_postgresql(url)
    each = (databases.service, databases.workflows, databases.mlflow, databases.mlflow_auth)
    assert len({schema_of(one) for one in each}) == 4
    for one in map(make_url, each):
        assert (one.drivername, one.host, one.port, one.database) == ("postgresql+psycopg", "db.lab", 5433, "models")
        assert (one.username, one.password, one.query["sslmode"]) == ("ann", "p@ss", "verify-full")


def test_parts_may_have_databases_of_their_own() -> None:
    databases = Databases.on_postgresql("postgresql://h/a", workflows="postgresql://h/b", mlflow="postgresql://h/c")
    each = (databases.service, databases.workflows, databases.mlflow, databases.mlflow_auth)
    assert [make_url(one).database for one in each] == ["a", "b", "c", "c"]


def test_other_options_of_the_session_stay() -> None:
    url = with_schema("postgres://h/a?options=-cstatement_timeout%3D5s", "one")
    assert make_url(url).query["options"] == "-cstatement_timeout=5s -csearch_path=one"
    assert schema_of(url) == "one" and for_psycopg(url).startswith("postgresql://h/a?options=")


def test_connections_of_every_part_notice_a_server_that_is_gone() -> None:
    databases = Databases.on_postgresql("postgresql://h/a", mlflow="postgresql://h/c?tcp_user_timeout=5000")
    for url in (databases.service, databases.workflows, databases.mlflow, databases.mlflow_auth):
        found = conninfo_to_dict(for_psycopg(url))
        assert found["dbname"] in ("a", "c")
        assert found["tcp_user_timeout"] == ("5000" if found["dbname"] == "c" else "30000")
        assert [found[f"keepalives_{name}"] for name in ("idle", "interval", "count")] == ["30", "10", "3"]
        assert make_url(url).query["keepalives_idle"] == "30", "SQLAlchemy hands it to the driver"


@pytest.mark.parametrize(
    "wrong",
    [
        "mysql://h/a",
        "sqlite:///a.db",
        "h/a",
        "postgresql://h",
        "postgresql://h/",
        "postgresql://h/a?options=-csearch_path%3Dx",
    ],
)
def test_an_address_that_cannot_be_used_is_refused(wrong: str) -> None:
    with pytest.raises(UnusableAddress) as refused:
        Databases.on_postgresql(wrong)
    assert refused.value.action


def test_an_address_is_shown_without_its_password() -> None:
    assert shown(with_schema("postgresql://ann:secret@h:1/a?password=secret", "x")) == "postgresql://ann@h:1/a"
    assert repr(Databases.on_postgresql("postgresql://ann:secret@h/a")).count("secret") == 0


def test_a_home_has_a_file_for_each(tmp_path: Path) -> None:
    home = Home.resolve(str(tmp_path))
    databases = Databases.in_home(home)
    assert make_url(databases.service).database == str(home.service_database)
    assert not is_postgresql(databases.mlflow) and shown(databases.mlflow) == str(home.mlflow_database)
