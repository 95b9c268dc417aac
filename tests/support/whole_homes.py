"""Homes with rows in each of their databases, without a platform that ran."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import select

from registry_tui.platform.database_choice import Choice
from registry_tui.platform.paths import Home
from registry_tui.service import moving
from registry_tui.service.database.tables import EventRow, LogLineRow, WorkflowRow
from registry_tui.service.engine.engine import make_tables
from support.bare import bare_service, make_place
from support.many_runs import create_schema, fill
from support.platforms import temporary_folder


@contextmanager
def filled_home() -> Iterator[Home]:
    """The home of a platform that is stopped, with rows in each of its databases."""
    with temporary_folder() as folder:
        home = Home(folder)
        home.create()
        with bare_service(home.service) as service:
            make_place(service, "lab")
            with service.database.session() as session:
                session.add(event("zwölf ☃"))
                session.add(event("gone"))
                session.add(LogLineRow(request_id="r", text="a\ttab\nand a line \\N"))
                session.add(_workflow({"deep": [1, 2.5, None, "é"], "no": {}}))
            with service.database.session() as session:
                session.delete(session.scalars(select(EventRow).where(EventRow.resource_name == "gone")).one())
        make_tables(f"sqlite:///{home.workflows_database}")
        create_schema(home.mlflow_database)
        moving._make_mlflow(f"sqlite:///{home.mlflow_database}")
        fill(home.mlflow_database, 300, metrics=3)
        moving._make_mlflow_auth(f"sqlite:///{home.mlflow_auth_database}")
        with closing(sqlite3.connect(home.mlflow_auth_database)) as database, database:
            database.execute("INSERT INTO users (username, password_hash, is_admin) VALUES ('ann', 'x', 1)")
        yield home


@contextmanager
def copied(filled: Home) -> Iterator[Home]:
    """A copy of such a home, which a test may change."""
    with temporary_folder() as folder:
        copy = Home(folder / "home")
        shutil.copytree(filled.root, copy.root, ignore=shutil.ignore_patterns("*.sock"))
        yield copy


@contextmanager
def on_postgresql(filled: Home, choice: Choice) -> Iterator[Home]:
    """A copy whose rows were moved to PostgreSQL; its files of SQLite have them, too."""
    with copied(filled) as home:
        list(moving.bring_rows(home, choice))
        yield home


def event(name: str) -> EventRow:
    return EventRow(
        actor="ann",
        actor_crn="c",
        action="model.create",
        resource_type="model",
        resource_id="m",
        resource_name=name,
        outcome="succeeded",
        request_id="r",
    )


def _workflow(state: dict[str, object]) -> WorkflowRow:
    return WorkflowRow(
        kind="provision",
        status="succeeded",
        resource_type="registry",
        resource_id="r",
        resource_name="r",
        actor="ann",
        actor_crn="c",
        actor_administrator=True,
        request_id="r",
        arguments={},
        state=state,
        steps=["one"],
        progress={},
    )
