"""A prompt and its project are one: written together, deleted together, also under concurrent changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.store.db.base_sql_model import Base
from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel, SqlRegisteredModelTag
from sqlalchemy import Engine, create_engine, delete, select
from sqlalchemy.orm import Session

from registry_tui.mlflow_plugin import prompt_projects
from registry_tui.mlflow_plugin.prompts import PROMPT


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path / 'mlflow.db'}")
    names = [name for name in Base.metadata.tables if name.startswith(("registered_model", "model_version"))]
    Base.metadata.create_all(made, [Base.metadata.tables[name] for name in names])
    yield made
    made.dispose()


def model(name: str, **tags: str) -> SqlRegisteredModel:
    rows = [SqlRegisteredModelTag(workspace="mr-aws", name=name, key=key, value=tags[key]) for key in tags]
    return SqlRegisteredModel(workspace="mr-aws", name=name, registered_model_tags=rows)


def prompt(name: str) -> SqlRegisteredModel:
    return model(name, **{PROMPT: "true"})


def noted(engine: Engine) -> dict[str, str]:
    table = prompt_projects.prompt_projects
    with engine.connect() as connection:
        rows = connection.execute(select(table).where(table.c.name != ""))
        return {row.name: row.project_id for row in rows}


def test_a_prompt_is_never_there_without_its_project(engine: Engine) -> None:
    prompt_projects.create_table(engine)
    with Session(engine) as session, prompt_projects.made_by("wine"):
        session.add(prompt("words"))
        session.flush()
        assert prompt_projects.project_of(session, "mr-aws", "words") == "wine"
        session.rollback()
    assert noted(engine) == {}
    with prompt_projects.made_by("wine"), Session(engine) as session, session.begin():
        session.add_all([prompt("words"), model("numbers"), model("letters", a="b")])
    assert noted(engine) == {"words": "wine"}


def test_the_project_of_an_earlier_prompt_of_that_name_counts_no_more(engine: Engine) -> None:
    prompt_projects.create_table(engine)
    for project in ("wine", "beer"):
        with prompt_projects.made_by(project), Session(engine) as session, session.begin():
            session.add(prompt("words"))
        assert noted(engine) == {"words": project}
        with Session(engine) as session, session.begin():
            # Behind MLflow's back, as with a database that was put back from a backup.
            session.execute(delete(SqlRegisteredModelTag))
            session.execute(delete(SqlRegisteredModel))
    with Session(engine) as session, session.begin():
        session.add(prompt("words"))
    assert noted(engine) == {}, "outside a project it is nobody's but the administrators'"


def test_what_is_noted_of_a_prompt_goes_with_it(engine: Engine) -> None:
    prompt_projects.create_table(engine)
    with prompt_projects.made_by("wine"), Session(engine) as session, session.begin():
        session.add_all([prompt("words"), prompt("others")])
    with Session(engine) as session, session.begin():
        session.delete(session.get_one(SqlRegisteredModel, ("mr-aws", "words")))
    assert noted(engine) == {"others": "wine"}


def test_only_prompts_from_before_projects_were_noted_are_everybodys(engine: Engine) -> None:
    prompt_projects.create_table(engine)
    with Session(engine) as session, session.begin():
        session.add_all([prompt("older"), model("numbers")])
        session.flush()
        session.execute(delete(prompt_projects.prompt_projects))
    prompt_projects.create_table(engine)
    assert noted(engine) == {"older": prompt_projects.EVERYBODY}
    with Session(engine) as session, session.begin():
        session.add(prompt("foreign"))
    prompt_projects.create_table(engine)
    assert noted(engine) == {"older": prompt_projects.EVERYBODY}, "a later start opens nothing"


def test_a_prompts_project_follows_its_new_name(engine: Engine) -> None:
    prompt_projects.create_table(engine)
    with prompt_projects.made_by("wine"), Session(engine) as session, session.begin():
        session.add(prompt("words"))
    with Session(engine) as session, session.begin():
        prompt_projects.rename(session, "mr-aws", "words", "letters")
    assert noted(engine) == {"letters": "wine"}
