"""10 000 versions in stages and their approvals: each page is bounded, regardless of filters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.store.db.base_sql_model import Base
from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlModelVersionTag,
    SqlRegisteredModel,
    SqlRegisteredModelTag,
)
from sqlalchemy import Engine, create_engine, delete, event, select, update
from sqlalchemy.orm import Session

from registry_tui.mlflow_plugin import version_rows
from registry_tui.mlflow_plugin.searching import versions_with
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.promotion import Approval
from registry_tui.schemas.stages import Stage
from registry_tui.service.core.context import Principal
from registry_tui.service.promotion import approvals, stages
from support.bare import bare_service, make_place, set_roles
from support.many_approvals import ask_for_all
from support.many_models import MANY, RARE, fill_models, put_in_stages

VERSIONS = 10_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    path = tmp_path_factory.mktemp("many") / "mlflow.db"
    engine = create_engine(f"sqlite:///{path}")
    names = (SqlRegisteredModel, SqlRegisteredModelTag, SqlModelVersion, SqlModelVersionTag)
    Base.metadata.create_all(engine, tables=[Base.metadata.tables[each.__tablename__] for each in names])
    fill_models(path, 1, VERSIONS, workspace="w")
    put_in_stages(path)
    with Session(engine) as session, session.begin():
        # Leftovers of MLflow's older calls: a tag that does not count any more, and versions that never had one.
        for number, stage in ((300, "Staging"), (301, "None"), (302, "Deleted_Internal")):
            session.execute(
                update(SqlModelVersion).where(SqlModelVersion.version == number).values(current_stage=stage)
            )
        tag = SqlModelVersionTag
        session.execute(delete(tag).where(tag.version == 400, tag.key == mlflow_tags.STAGE))
        session.execute(update(SqlModelVersion).where(SqlModelVersion.version == 400).values(current_stage="None"))
    return engine


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """The statements executed by a database meanwhile."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.slow
def test_a_stage_finds_the_versions_that_are_in_it(filled: Engine) -> None:
    known: dict[Stage, set[int]] = {stage: set() for stage in Stage}
    with Session(filled) as session:
        tagged = {
            tag.version: tag.value
            for tag in session.scalars(select(SqlModelVersionTag).where(SqlModelVersionTag.key == mlflow_tags.STAGE))
        }
        for number, stage in session.execute(select(SqlModelVersion.version, SqlModelVersion.current_stage)):
            if stage != "Deleted_Internal":
                tags = {mlflow_tags.STAGE: tagged[number]} if number in tagged else {}
                known[stages.stage_of(tags, {"current_stage": stage}).stage].add(number)
        for stage, numbers in known.items():
            asked = select(SqlModelVersion.version).where(versions_with(mlflow_tags.STAGE, stage.value))
            assert set(session.scalars(asked)) == numbers, stage
    assert known[Stage.NONE] == {301, 400} and known[Stage.PRE_PRODUCTION] == {300}
    assert len(known[Stage.QA]) == VERSIONS // RARE - 2


@pytest.mark.slow
def test_the_rows_of_a_lineage_are_pages_of_one_question(filled: Engine) -> None:
    store = SimpleNamespace(registry_workspace=lambda: "w", ManagedSessionMaker=lambda: Session(filled))
    found = list[int]()
    while True:
        with statements(filled) as asked:
            page = version_rows.rows(store, MANY, len(found), 2000)
        assert len(asked) == 1
        if not page:
            break
        found += [each.version for each in page]
    assert found == [number for number in range(VERSIONS, 0, -1) if number != 302]
    [one] = version_rows.rows(store, MANY, 0, 10, 7)
    assert (one.version, one.status, one.run_id) == (7, "READY", "") and "local" in one.origin
    assert version_rows.rows(store, MANY, 0, 10, 302) == [] == version_rows.rows(store, "other", 0, 10)


@pytest.mark.slow
def test_an_inbox_of_thousands_is_read_in_pages(tmp_path: Path) -> None:
    with bare_service(tmp_path) as service:
        make_place(service, "prod")
        chief: Principal = set_roles(service, "chief", "prod", "EnvironmentUser", "MLAdmin")
        ask_for_all(Path(service.database.engine.url.database or ""), "prod-registry", VERSIONS)
        found, token, most = list[Approval](), None, 0
        while True:
            with statements(service.database.engine) as asked:
                page = approvals.list_approvals(service, chief, waiting=True, page_size=500, page_token=token)
            most = max(most, len(asked))
            assert page.total == approvals.COUNTED_UP_TO and len(page.items) <= 500
            found += page.items
            if (token := page.next_page_token) is None:
                break
        assert [each.version for each in found] == list(range(VERSIONS - 1, 0, -2))
        assert most <= 20, most
