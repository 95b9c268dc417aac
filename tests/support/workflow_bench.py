"""A workflow engine in the test's process, without the rest of a service."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from registry_tui.schemas.operations import Workflow, WorkflowKind
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.database import Database
from registry_tui.service.engine.engine import Engine
from registry_tui.service.engine.steps import Definition, Step
from registry_tui.service.operations import workflows as queries
from support.databases import new_database, workflows_url
from support.platforms import PATIENCE

ANN = Principal("ann", "crn:ann", "request-1", administrator=True)
WINE = Resource("registry", "r1", "wine", "r1")


class Bench:
    """An engine in this process, whose one kind of workflow a test chooses."""

    def __init__(
        self, folder: Path, patience: float = PATIENCE, after: Bench | None = None, database: Database | None = None
    ) -> None:
        """`after`: the life before this one, whose database it goes on with."""
        self.database: Database = database or (new_database(folder) if after is None else Database(after.database.url))
        self.definitions: dict[WorkflowKind, Definition] = {}
        self.engine = Engine(workflows_url(self.database, folder), self.definitions, patience=patience)
        self.workflows = self.engine
        self.engine.attach(cast(Service, self))

    @property
    def service(self) -> Service:
        return cast(Service, self)

    def define(self, *steps: Step, **hooks: Any) -> Definition:
        definition = Definition(WorkflowKind.PROVISION, steps, **hooks)
        self.definitions[definition.kind] = definition
        return definition

    def texts(self, workflow: Workflow) -> list[str]:
        return [line.text for line in queries.workflow_logs(self.service, ANN, workflow.id).items]

    def get(self, workflow: Workflow) -> Workflow:
        return queries.get_workflow(self.service, ANN, workflow.id)
