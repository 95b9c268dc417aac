"""Databases of the service for tests: migrated once for each process, then copied."""

from __future__ import annotations

import os
import uuid
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from registry_tui.platform import database_choice
from registry_tui.platform.database_urls import Databases, is_postgresql
from registry_tui.platform.paths import Home
from registry_tui.service.database.database import Database

#: The address of a PostgreSQL server's database `postgres`: tests of rules then run on it instead of on SQLite.
POSTGRESQL = "REGISTRY_TUI_TEST_POSTGRESQL"


def new_database(folder: Path) -> Database:
    """A database with today's tables and no rows, in this folder's `service.db` unless `POSTGRESQL` is set."""
    if server := os.environ.get(POSTGRESQL):
        return Database(Databases.on_postgresql(_copied(server)).service)
    path = folder / "service.db"
    path.write_bytes(_migrated())
    return Database.at(path)


def keep_on_postgresql(home: Home) -> None:
    """Has a new platform keep its rows in a new database of the server that `POSTGRESQL` names, when it is set."""
    if (server := os.environ.get(POSTGRESQL)) and not home.databases_file.exists() and not home.service.exists():
        home.create()
        name = f"platform_{uuid.uuid4().hex}"
        _execute(server, f"CREATE DATABASE {name}")
        database_choice.keep(home, database_choice.Choice(_named(server, name)))


def workflows_url(database: Database, folder: Path) -> str:
    """Where DBOS keeps finished steps beside a database of `new_database`."""
    if is_postgresql(database.url):
        return database.url.replace("registry_tui_service", "registry_tui_workflows")
    return f"sqlite:///{folder}/workflows.db"


@cache
def _migrated() -> bytes:
    """The file of a migrated database: all migrations take 0.1 s of a processor, and a copy takes none."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "service.db"
        database = Database.at(path)
        database.migrate()
        database.close()  # the last connection that closes brings everything into the one file
        return path.read_bytes()


def _copied(server: str) -> str:
    """The address of a copy of a migrated database."""
    name = f"copy_{uuid.uuid4().hex}"
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {_template(server)}")
    return _named(server, name)


@cache
def _template(server: str) -> str:
    name = f"migrated_{uuid.uuid4().hex}"
    _execute(server, f"CREATE DATABASE {name}")
    database = Database(Databases.on_postgresql(_named(server, name)).service)
    database.migrate()
    database.close()
    return name


def _named(server: str, name: str) -> str:
    return f"{server.rpartition('/')[0]}/{name}"


def _execute(server: str, statement: str) -> None:
    import psycopg  # only where such a server is used

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())
