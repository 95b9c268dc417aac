"""Permission to retry a workflow: for people who may begin it today, by today's roles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import sqlalchemy as sa

from registry_tui.contracts.mlflow_routes import ProjectRoute, Routes
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.operations import EventOutcome, WorkflowKind, WorkflowStatus
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import EventRow, WorkflowRow
from registry_tui.service.engine.engine import Engine
from registry_tui.service.engine.steps import StepContext
from registry_tui.service.errors import Missing
from registry_tui.service.workflows.catalog import DEFINITIONS
from support.bare import acting, asking, bare_service, make_place, set_roles

VERSION = {
    "registry_id": "aws-registry",
    "model": "wine",
    "model_id": "aaaa-bbbb-cccc-dddd",
    "version": 1,
    "version_id": "eeee-bbbb-cccc-dddd",
    "source": "mlflow-artifacts:/workspaces/aws-wine/1/models/m-1/artifacts",
}
REGISTRY = Resource("registry", "aws-registry", "aws-registry", "aws-registry")
ARCHIVE = Resource("version", "eeee-bbbb-cccc-dddd", "wine v1", "aws-registry")
DEPLOYED = Resource("deployment", "aws-deployment", "taster", "aws-registry")
#: Each kind of work as rules start it, and the least that one needs for it: roles in the environment, in the project.
WORK: Mapping[WorkflowKind, tuple[Resource, dict[str, Any], tuple[str, ...], str]] = {
    WorkflowKind.PROVISION: (REGISTRY, {}, ("EnvironmentAdmin", "MLAdmin"), ""),
    WorkflowKind.SYNCHRONIZE: (REGISTRY, {}, ("MLAdmin",), ""),
    WorkflowKind.DEPROVISION: (REGISTRY, {"force": True, "delete_archives": True}, ("MLAdmin",), ""),
    WorkflowKind.CLEAN_UP: (REGISTRY, {"archives": [], "versions": []}, ("MLAdmin",), ""),
    WorkflowKind.ARCHIVE: (ARCHIVE, VERSION, (), "contributor"),
    WorkflowKind.PROMOTE: (ARCHIVE, VERSION, ("EnvironmentUser", "MLUser"), ""),
    WorkflowKind.DELETE_ARCHIVE: (ARCHIVE, VERSION, ("EnvironmentUser", "MLUser"), ""),
    WorkflowKind.VERIFY: (ARCHIVE, VERSION, (), "viewer"),
    WorkflowKind.DEPLOY: (DEPLOYED, {"revision": 1}, (), "contributor"),
    WorkflowKind.STOP: (DEPLOYED, {}, (), "contributor"),
    WorkflowKind.UNDEPLOY: (DEPLOYED, {}, (), "contributor"),
    WorkflowKind.PURGE_RUNS: (Resource("project", "aws-project", "wine"), {"run_ids": []}, (), "admin"),
    WorkflowKind.IMPORT: (Resource("project", "aws-project", "wine"), {"models": []}, (), "contributor"),
}
#: Work that users of the environment may begin.
BY_ENVIRONMENT = (WorkflowKind.DELETE_ARCHIVE, WorkflowKind.VERIFY, WorkflowKind.PROMOTE)
#: Roles that see the place, but may not begin the work.
LESS: Mapping[str, str] = {"contributor": "viewer", "admin": "contributor"}


class Models:
    """MLflow's responses about the one model, for people who may see it; None: it is gone."""

    def __init__(self) -> None:
        self.owner: str | None = "bob"
        self.version: str | None = "bob"
        self.id = VERSION["model_id"]
        self.asked: list[str] = []

    def call(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        self.asked.append(f"{method} {path}")
        if path == "registered-models/search":
            if self.owner is None:
                return {}
            tags = {mlflow_tags.MODEL_ID: self.id, mlflow_tags.OWNER: self.owner}
            model = {"name": "wine", "tags": [{"key": key, "value": value} for key, value in tags.items()]}
            return {"registered_models": [model]}
        if path in ("model-versions/search", "model-versions/delete"):
            return {}
        assert path == "model-versions/get", path
        if self.version is None:
            raise Missing("There is no such version")
        tags = {mlflow_tags.VERSION_ID: VERSION["version_id"], mlflow_tags.CREATOR: self.version}
        tagged = [{"key": key, "value": value} for key, value in tags.items()]
        return {"model_version": {"name": "wine", "version": "1", "status": "READY", "tags": tagged}}


@dataclass(frozen=True)
class Stage:
    service: Service
    models: Models

    def person(self, name: str, environment: tuple[str, ...] = (), project: str = "") -> Principal:
        """A person with these current roles, and no others."""
        return set_roles(self.service, name, "aws", *environment, project=project)

    def cancelled(self, principal: Principal, kind: WorkflowKind) -> str:
        """A workflow that the person began and cancelled."""
        resource, arguments, _, _ = WORK[kind]
        id_ = self.service.workflows.start(principal, kind, resource=resource, arguments=arguments).id
        with self.service.database.session() as session:
            row = session.get_one(WorkflowRow, id_)
            row.status, row.lock = WorkflowStatus.CANCELLED.value, None
        return id_

    def release(self) -> None:
        """Lets another workflow work on each resource."""
        with self.service.database.session() as session:
            session.execute(sa.update(WorkflowRow).values(lock=None))

    def workflows(self) -> int:
        with self.service.database.reading() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(WorkflowRow)) or 0

    def refused(self) -> list[tuple[str, str]]:
        """Actor and outcome of the events about retries that were refused."""
        query = sa.select(EventRow.actor, EventRow.outcome).where(EventRow.action == "workflow.retry")
        with self.service.database.reading() as session:
            return [(actor, outcome) for actor, outcome in session.execute(query)]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    models = Models()
    engine = Engine(f"sqlite:///{tmp_path}/workflows.db", DEFINITIONS)  # not launched: workflows stay queued
    with bare_service(tmp_path, mlflow=models, workflows=engine) as service:
        engine.attach(service)
        make_place(service, "aws")
        route = ProjectRoute("aws-project", "wine", "team", "aws", bucket="b", registry="mr-aws")
        service.home.routes_file.parent.mkdir(parents=True)
        service.home.routes_file.write_text(Routes({"aws-wine": route}).to_json(), encoding="utf-8")
        yield Stage(service, models)


@pytest.fixture
async def http(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(stage.service) as client:
        client.headers.update(acting("bob"))
        yield client


def test_every_kind_of_work_is_tried_here() -> None:
    assert set(WORK) == set(WorkflowKind) == set(DEFINITIONS)


@pytest.mark.parametrize("kind", WORK)
async def test_work_is_begun_again_by_the_roles_of_today(
    stage: Stage, http: httpx.AsyncClient, kind: WorkflowKind
) -> None:
    _, _, environment, project = WORK[kind]
    bob = stage.person("bob", environment, project)
    workflow = stage.cancelled(bob, kind)
    if kind is WorkflowKind.DELETE_ARCHIVE:
        stage.models.owner = stage.models.version = "eve"  # it was handed over meanwhile
    less = [("EnvironmentUser", "MLUser")] if kind not in BY_ENVIRONMENT else []
    for roles, role in [((), ""), *((each, "") for each in less), ((), LESS.get(project, ""))]:
        stage.person("bob", roles, role)
        before = stage.workflows()
        answer = await http.post(f"/workflows/{workflow}/retry")
        assert answer.status_code in (403, 404), answer.text
        assert stage.workflows() == before
    assert {actor for actor, _ in stage.refused()} == {"bob"}
    assert (EventOutcome.DENIED.value in {outcome for _, outcome in stage.refused()}) is bool(less or LESS.get(project))
    stage.person("bob", environment, project)
    stage.models.owner = stage.models.version = "bob"
    answer = await http.post(f"/workflows/{workflow}/retry")
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] != workflow and answer.json()["kind"] == kind


async def test_the_administrator_begins_anybodys_work_again(stage: Stage, http: httpx.AsyncClient) -> None:
    owner, bob = acting(identity.owner_name(stage.service)), stage.person("bob")
    for kind in WORK:
        workflow = stage.cancelled(bob, kind)
        answer = await http.post(f"/workflows/{workflow}/retry", headers=owner)
        assert answer.status_code == 200, answer.text
        stage.release()


async def test_files_of_what_is_gone_may_still_be_deleted(stage: Stage, http: httpx.AsyncClient) -> None:
    bob = stage.person("bob", ("EnvironmentUser", "MLUser"))
    stage.models.owner, stage.models.version = "eve", None
    for _ in range(2):
        workflow = stage.cancelled(bob, WorkflowKind.DELETE_ARCHIVE)
        answer = await http.post(f"/workflows/{workflow}/retry")
        assert answer.status_code == 200, answer.text
        stage.release()
        stage.models.owner = None


@pytest.mark.parametrize(("model", "deleted"), [(VERSION["model_id"], True), ("zzzz-bbbb-cccc-dddd", False)])
def test_a_version_of_a_later_model_of_the_name_is_not_deleted(stage: Stage, model: str, deleted: bool) -> None:
    stage.models.id = model
    bob, definition = stage.person("bob"), DEFINITIONS[WorkflowKind.DELETE_ARCHIVE]
    definition.steps[0].run(StepContext(stage.service, bob, "w", ARCHIVE, VERSION, {}, cast(Any, None)))
    assert ("DELETE model-versions/delete" in stage.models.asked) is deleted


async def test_strangers_are_refused_with_an_event(stage: Stage, http: httpx.AsyncClient) -> None:
    workflow = stage.cancelled(stage.person("ann", ("MLAdmin",)), WorkflowKind.DEPROVISION)
    stage.person("bob", ("MLAdmin",))
    for verb in ("retry", "cancel"):
        assert (await http.post(f"/workflows/{workflow}/{verb}")).status_code == 403
    with stage.service.database.reading() as session:
        found = session.execute(sa.select(EventRow.action, EventRow.outcome).where(EventRow.actor == "bob")).all()
    assert [tuple(each) for each in found] == [("workflow.retry", "denied"), ("workflow.cancel", "denied")]
