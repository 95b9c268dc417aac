"""The main flow over every store, on SQLite and on PostgreSQL: register by SDK and screen, load, deploy, delete."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.client.errors import NotFound
from registry_tui.platform.collations import STATEMENTS
from registry_tui.platform.database_urls import Databases, databases_of
from registry_tui.platform.paths import Home
from registry_tui.platform.s3 import s3_client
from registry_tui.schemas.models import ModelVersion, VersionStatus
from registry_tui.schemas.places import Environment, EnvironmentCreate, Project, ProjectCreate, WorkspaceCreate
from registry_tui.schemas.registries import RegistryCreate
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.opening import open_store
from registry_tui.service.stores.s3_bucket import S3Bucket
from registry_tui.terminal.commands import Place as Screen
from support import secret_search, served
from support.other_stores import STORES, Started, described
from support.platforms import Platform, run_python, temporary_folder, unique, wait_for
from support.postgres import PostgresServer
from support.program import Driver
from support.registered import mlflow_client
from support.rows import ask

pytestmark = pytest.mark.long

REGISTER = """
import sys, mlflow
class Sum(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [float(row) for row in model_input.sum(axis=1)]
mlflow.set_experiment("sums")
with mlflow.start_run(run_name="trained"):
    info = mlflow.pyfunc.log_model(
        name="model", python_model=Sum(), pip_requirements=["mlflow"], registered_model_name=sys.argv[1]
    )
client = mlflow.MlflowClient()
version = client.get_model_version(sys.argv[1], info.registered_model_version)
copied = client.copy_model_version(f"models:/{sys.argv[1]}/1", sys.argv[1] + "-copy")
print("RESULT", version.version, version.status, copied.version)
"""
LOAD = """
import sys, mlflow, pandas
row = pandas.DataFrame({"a": [1.5], "b": [2.0]})
print("RESULT", *(mlflow.pyfunc.load_model(uri).predict(row)[0] for uri in sys.argv[1:]))
"""


@dataclass(frozen=True)
class Place:
    """An environment on one platform, its registry, two projects that are synchronized with it, and its archives."""

    platform: Platform
    environment: Environment
    registry_id: str
    project: Project
    other: Project
    bucket: Bucket


@pytest.fixture(scope="module")
def on_postgresql(postgres: PostgresServer) -> Iterator[Platform]:
    """A platform that began on PostgreSQL."""
    with temporary_folder() as folder:
        begun = Platform(Home(folder / "h"))
        try:
            url = postgres.new_database()
            begun.command("up", "--database", url)
            assert databases_of(begun.home) == Databases.on_postgresql(url)
            yield begun
            secret_search.require_none_out_of_place(begun)
        finally:
            begun.down()


@pytest.fixture(scope="module")
def platforms(platform: Platform, on_postgresql: Platform) -> Mapping[str, Platform]:
    """One for each kind of database."""
    return {"sqlite": platform, "postgresql": on_postgresql}


@pytest.fixture(scope="module", params=STORES)
def started(request: pytest.FixtureRequest) -> Iterator[Started | None]:
    """A store that an environment brings along; None for the platform's own."""
    if request.param == "embedded":
        yield None
    else:
        with described(request.param) as store:
            yield store


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(
    request: pytest.FixtureRequest, platforms: Mapping[str, Platform], started: Started | None
) -> Iterator[Place]:
    found = made(platforms[request.param], started.below(request.param) if started else None)
    yield found
    served.remove_registry(found.platform, found.registry_id)


def made(platform: Platform, started: Started | None) -> Place:
    store = started.store if started else None
    environment = platform.ask(
        lambda client: client.create_environment(EnvironmentCreate(name=unique("flow"), store=store))
    )
    request = RegistryCreate(environment=environment.id, grant_storage_access=True)
    registry = platform.ask(lambda client: client.create_registry(request))
    served.finish(platform, registry.workflow)
    workspace = platform.ask(
        lambda client: client.create_workspace(WorkspaceCreate(name="team", environment=environment.name))
    )
    synchronized = platform.ask(lambda client: client.synchronize_registry(registry.resource.id))
    served.finish(platform, synchronized.workflow)
    project, other = (
        platform.ask(lambda client: client.create_project(ProjectCreate(name=unique("p"), workspace=workspace.id)))
        for _ in range(2)
    )
    if store is None:
        client = s3_client("s3", platform.ports.s3_endpoint, platform.secrets.object_store_admin)
        bucket: Bucket = S3Bucket(client, environment.bucket)
    else:
        bucket = open_store(store)
    return Place(platform, environment, registry.resource.id, project, other, bucket)


async def test_a_model_is_registered_loaded_elsewhere_deployed_and_deleted(place: Place) -> None:
    platform, name = place.platform, unique("Sum")
    assert result(run_python(REGISTER, platform.exports(place.project.id), name)) == ["1", "READY", "1"]
    await register_by_keys(place, name)

    loaded = [f"models:/{each}" for each in (f"{name}/1", f"{name}/2", f"{name}-copy/1")]
    assert result(run_python(LOAD, platform.exports(place.other.id), *loaded)) == ["3.5", "3.5", "3.5"]
    versions = {(each, number): version(place, each, number) for each, number in ((name, 1), (name, 2))}
    copy = version(place, f"{name}-copy", 1)
    for (model, number), found in versions.items():
        assert found.status is VersionStatus.READY
        manifest = platform.call(RegistryClient.manifest, place.registry_id, model, number)
        held = stored(place, found)
        assert held.pop("manifest.json") > 0 and held.pop("model.sig") > 0
        assert held == {f"files/{each.path}": each.size for each in manifest.files}
        check = platform.call(RegistryClient.verify_archive, place.registry_id, model, number)
        assert check.sound and check.files == len(manifest.files)

    deployment = served.deploy(platform, served.Served(place.project, versions[name, 2]))
    assert served.answer(deployment, served.split(a=[1.0], b=[2.0])) == [3.0]
    # Until it is gone, its registry cannot be deleted.
    begun = platform.ask(lambda client: client.delete_deployment(deployment.id, force=True))
    platform.ask(lambda client: client.wait_for_workflow(begun.workflow.id))

    platform.ask(lambda client: client.delete_version(place.registry_id, name, 1))
    wait_for(lambda: not stored(place, versions[name, 1]), what="the archive to be deleted")
    assert stored(place, versions[name, 2]) and stored(place, copy)
    platform.ask(lambda client: client.delete_version(place.registry_id, name, 2))
    wait_for(lambda: not stored(place, versions[name, 2]), what="the second archive to be deleted")
    platform.ask(lambda client: client.delete_model(place.registry_id, name))
    with pytest.raises(NotFound):
        platform.ask(lambda client: client.model(place.registry_id, name))
    with mlflow_client(platform.ask(lambda client: client.credentials(place.other.id))) as http:
        gone, kept = (
            http.get("/api/2.0/mlflow/registered-models/get", params={"name": each}).status_code
            for each in (name, f"{name}-copy")
        )
    assert (gone, kept) == (404, 200)
    assert stored(place, copy)


def test_stock_clients_get_the_same_order_on_both(platforms: Mapping[str, Platform]) -> None:
    names = ["Zoe", "ann", "bob-1", "bob1", "bob_1", "\u00c9mile", "Ann", "bob 2"]
    found = {kind: orders(platform, names) for kind, platform in platforms.items()}
    assert found["postgresql"] == found["sqlite"]
    assert found["sqlite"]["models"] == sorted(names)
    # The server here knows no language to sort by; no column leaves that to the database.
    databases = databases_of(platforms["postgresql"].home)
    assert [ask(url, STATEMENTS) for url in (databases.mlflow, databases.mlflow_auth)] == [[], []]


def orders(platform: Platform, names: list[str]) -> dict[str, list[str]]:
    """How MLflow's server sorts models, experiments and runs of these names, page for page."""
    project, place = platform.new_project(), unique("x")
    with mlflow_client(platform.ask(lambda client: client.credentials(project.id))) as http:

        def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
            answer: dict[str, Any] = http.post(f"/api/2.0/mlflow/{path}", json=body).raise_for_status().json()
            return answer

        for name in names:
            http.post("/api/2.0/mlflow/registered-models/create", json={"name": f"{place}{name}"}).raise_for_status()
            experiment = post("experiments/create", {"name": f"{place}{name}"})["experiment_id"]
        for name in names:
            made = post("runs/create", {"experiment_id": experiment, "run_name": name})["run"]["info"]["run_id"]
            post("runs/log-parameter", {"run_id": made, "key": "owner", "value": name})

        def pages(path: str, asked: dict[str, Any], get: bool = False) -> list[Any]:
            rows: list[Any] = []
            token = ""
            while True:
                body = {**asked, "max_results": 3, **({"page_token": token} if token else {})}
                answer = http.get(f"/api/2.0/mlflow/{path}", params=body).json() if get else post(path, body)
                rows += next((value for key, value in answer.items() if key != "next_page_token"), [])
                if not (token := answer.get("next_page_token", "")):
                    return rows

        ours = f"name LIKE '{place}%'"
        by_param = {"experiment_ids": [experiment], "order_by": ["params.owner ASC"]}
        by_name = {"experiment_ids": [experiment], "order_by": ["attributes.run_name DESC"]}
        found = {
            "models": pages("registered-models/search", {"filter": ours}, get=True),
            "experiments": pages("experiments/search", {"filter": ours, "order_by": ["name ASC"]}),
        }
        runs = {"params": pages("runs/search", by_param), "runs": pages("runs/search", by_name)}
    named = {kind: [row["name"].removeprefix(place) for row in rows] for kind, rows in found.items()}
    return named | {kind: [row["info"]["run_name"] for row in rows] for kind, rows in runs.items()}


def test_a_platform_on_postgresql_begins_again_with_everything_and_nowhere_else(
    on_postgresql: Platform, postgres: PostgresServer
) -> None:
    platform = on_postgresql
    model = served.register(platform, platform.new_project(), add=10)
    name, registry = model.version.model_name, model.registry
    register = ("-p", model.project.id, "--run", str(model.version.origin.run_id), "--path", "model", "--name", name)
    again = json.loads(platform.command("models", "register", *register, "--json").stdout)
    assert (again["version"], again["status"]) == (2, "READY")
    deployment = served.deploy(platform, model)

    platform.command("down")
    assert platform.command("status", check=False).returncode != 0
    refused = platform.command("up", "--database", postgres.new_database(), check=False)
    assert refused.returncode != 0 and "use another home" in refused.stderr
    # While it was down, another platform may have taken its ports.
    platform.command("up", "--new-ports")
    parts = json.loads(platform.command("status", "--json").stdout)["parts"]
    assert {part["state"] for part in parts} == {"healthy"}
    wait_for(
        lambda: served.answer(served.now(platform, deployment)) == [13.0], what="the deployment to answer as before"
    )
    platform.command("deployments", "delete", deployment.name, "--yes", "--force")
    platform.command("models", "delete", name, "1", "--yes", "-r", registry)
    platform.command("models", "delete", name, "--yes", "-r", registry)
    with pytest.raises(NotFound):
        platform.call(RegistryClient.model, registry, name)
    actions = {(event.action, event.outcome.value) for event in platform.events(resource=again["model_id"])}
    assert ("model.delete", "succeeded") in actions
    assert not list(platform.home.root.rglob("*.db")), "rows in files of SQLite"


async def register_by_keys(place: Place, name: str) -> None:
    """Registers the model of the project's only run once more, from the run's page."""
    app = RegistryApp(place.platform.client, start_platform=False)
    async with app.run_test(size=(120, 40)) as pilot:
        driver = Driver(app, pilot)
        driver.app.jump(Screen("project", {"project": place.project.id}))
        await driver.rows("project")
        await driver.press("enter")
        await driver.rows("experiment")
        await driver.press("enter")
        await driver.at("run")
        await driver.shows("Overview", "trained")
        await driver.press("tab", "tab")
        await driver.until(lambda: driver.app.focused is driver.screen.query_one("#tree"))
        await driver.until(lambda: driver.screen.reason("register") is None, "Register Model")
        await driver.press("R")
        await driver.shows("Register Model")
        await driver.type(name)
        await driver.shows("adds version 2")
        await driver.press("enter")
        await driver.rows("model")
        await driver.until(
            lambda: [row.status for row in driver.screen.table.source.loaded_rows()] == ["READY", "READY"]
        )


def result(output: str) -> list[str]:
    return next(line for line in output.splitlines() if line.startswith("RESULT")).split()[1:]


def version(place: Place, model: str, number: int) -> ModelVersion:
    return place.platform.call(RegistryClient.version, place.registry_id, model, number)


def stored(place: Place, version: ModelVersion) -> dict[str, int]:
    """The sizes of the objects of a version's archive, from its store."""
    assert version.archive_uri is not None and version.archive_uri.startswith(place.bucket.uri)
    folder = version.archive_uri.removeprefix(place.bucket.uri)
    return {each.key.removeprefix(folder): each.size for each in place.bucket.list(folder)}
