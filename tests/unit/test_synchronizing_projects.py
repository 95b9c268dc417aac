"""Deleting a project while its workspace is synchronized is not a failure of the workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from registry_tui.schemas.operations import WorkflowKind, WorkflowStatus
from registry_tui.schemas.registries import SynchronizeState
from registry_tui.service.adapters.access import Access
from registry_tui.service.core import identity
from registry_tui.service.core.context import Resource, Service
from registry_tui.service.database.tables import DeploymentRow, ProjectRow, WorkspaceSyncRow
from registry_tui.service.engine.engine import Engine
from registry_tui.service.errors import Missing
from registry_tui.service.workflows.catalog import DEFINITIONS
from support.accounts import Accounts
from support.bare import bare_service, make_place
from support.platforms import PATIENCE


class Leaving(Accounts):
    """MLflow without any project; something happens before it answers for one."""

    at_search: Callable[[], None] = staticmethod(lambda: None)

    def call(self, method: str, path: str, json: Mapping[str, Any] | None = None, **given: Any) -> dict[str, Any]:
        if path == "registered-models/search":
            self.at_search()
            raise Missing("There is no such workspace")
        return super().call(method, path, json, **given)


@pytest.fixture
def mlflow() -> Leaving:
    return Leaving()


@pytest.fixture
def service(tmp_path: Path, mlflow: Leaving) -> Iterator[Service]:
    engine = Engine(f"sqlite:///{tmp_path}/workflows.db", DEFINITIONS)
    with bare_service(tmp_path, mlflow=mlflow, workflows=engine) as bare:
        made = replace(bare, access=Access(mlflow, bare.secrets, partial(identity.mlflow_account, bare.database)))  # type: ignore[arg-type]
        engine.attach(made)
        made.home.routes_file.parent.mkdir(parents=True)
        make_place(made, "aws")
        engine.launch()
        yield made
        engine.stop()


@pytest.mark.parametrize("deleted", [True, False])
def test_a_workspace_is_synchronized_without_a_project_that_is_deleted_meanwhile(
    service: Service, mlflow: Leaving, deleted: bool
) -> None:
    def delete() -> None:
        with service.database.session() as session:
            session.execute(sa.delete(DeploymentRow))
            session.execute(sa.delete(ProjectRow))

    if deleted:
        mlflow.at_search = delete
    registry = Resource("registry", "aws-registry", "aws-registry", "aws-registry")
    owner = identity.owner_principal(service)
    begun = service.workflows.start(owner, WorkflowKind.SYNCHRONIZE, resource=registry)
    done = service.workflows.wait(begun.id, PATIENCE)
    with service.database.reading() as session:
        row = session.scalars(sa.select(WorkspaceSyncRow)).one()
    if deleted:
        assert (done.status, row.state) == (WorkflowStatus.SUCCEEDED, SynchronizeState.COMPLETED.value)
    else:
        assert (row.state, row.error) == (SynchronizeState.FAILED.value, "There is no such workspace")
