"""Names and numbers of imported models: deleted or renamed ones do not come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.db.base_sql_model import Base
from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

from registry_tui.mlflow_plugin import numbers


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    engine = create_engine(f"sqlite:///{tmp_path / 'mlflow.db'}")
    names = [name for name in Base.metadata.tables if name.startswith(("registered_model", "model_version"))]
    Base.metadata.create_all(engine, [Base.metadata.tables[name] for name in names])
    numbers.create_table(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


def _retire(session: Session, name: str, last: int) -> None:
    row = {"workspace": "mr-aws", "name": name, "model_id": "m-1", "last_version": last}
    session.execute(insert(numbers.retired_names).values(row))


@pytest.mark.parametrize("highest", [0, 1, 3])
def test_a_model_whose_versions_were_all_deleted_here_does_not_come_again(session: Session, highest: int) -> None:
    _retire(session, "churn", 3)
    with pytest.raises(MlflowException, match="deleted or renamed here, with its versions up to 3") as raised:
        numbers.require_free_name(session, "mr-aws", "churn", highest)
    assert raised.value.error_code == "RESOURCE_ALREADY_EXISTS"


def test_a_model_with_newer_versions_comes(session: Session) -> None:
    _retire(session, "churn", 3)
    numbers.require_free_name(session, "mr-aws", "churn", 4)
    assert numbers.free_number(session, "mr-aws", "churn", 4) == 4


def test_a_new_model_comes_with_and_without_versions(session: Session) -> None:
    _retire(session, "fraud", 3)
    session.add(SqlRegisteredModel(workspace="mr-aws", name="other"))
    numbers.require_free_name(session, "mr-aws", "churn", 0)
    numbers.require_free_name(session, "mr-aws", "churn", 1)
