"""A stock server with thousands of runs and hundreds of versions: browsed by keys to the last row, imported, compared.

`tests/compatibility/attached.py` runs it with each generation; it is not part of `make test`. Every number that is
printed is the same in MLflow's own API of the stock server and on our side.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from registry_tui.app.app import RegistryApp
from registry_tui.client.client import RegistryClient
from registry_tui.schemas.attached import AttachedImport, AttachedServerCreate
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Project
from registry_tui.schemas.tracking import RunSearch
from registry_tui.terminal.commands import Place
from support.platforms import Platform, eventually, temporary_folder
from support.program import Driver
from support.stock_mlflow import StockServer, stock_server

EXPERIMENTS = {"churn": 1600, "fraud": 400}
MODELS, VERSIONS = 20, 10
#: Seconds that an import may take on a busy machine.
IMPORT = 1500.0
MODEL = "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\nmodel_uuid: x\n"
REGISTRY = "registry-local"
#: When the first run began, in milliseconds since 1970; each other one a millisecond after the one before.
STARTED = 1_760_000_000_000


@dataclass(frozen=True)
class Whole:
    platform: Platform
    stock: StockServer
    project: Project
    #: IDs of the experiments there, by name.
    experiments: dict[str, str]


@pytest.fixture(scope="module")
def whole(own_platform: Platform) -> Iterator[Whole]:
    with temporary_folder() as folder, stock_server(folder) as stock:
        began = time.monotonic()
        experiments = {name: stock.experiment(name) for name in EXPERIMENTS}
        with ThreadPoolExecutor(8) as pool:
            for name, count in EXPERIMENTS.items():
                of = partial(run, stock, experiments[name], name)
                assert len(set(pool.map(of, range(count)))) == count
            model_run = stock.run(stock.experiment("trained"), "trained")
            folder_of = artifacts_of(stock, model_run)
            stock.upload(folder_of, "model/MLmodel", MODEL.encode())
            list(pool.map(lambda number: model(stock, f"model-{number:02}", model_run, folder_of), range(MODELS)))
        print(f"\nMLflow {stock.version}: made in {time.monotonic() - began:.0f} s")
        yield Whole(own_platform, stock, own_platform.ask(lambda client: attached(client, stock)), experiments)


def run(stock: StockServer, experiment: str, name: str, number: int) -> str:
    """The ID of a new run with a metric and a parameter, made in two calls."""
    began = STARTED + number
    sent = {"experiment_id": experiment, "run_name": f"{name}-{number:05}", "start_time": began}
    id_ = str(stock.call("POST", "runs/create", json=sent)["run"]["info"]["run_id"])
    metrics = [{"key": "loss", "value": 1 / (1 + number), "timestamp": began, "step": 0}]
    logged = {"run_id": id_, "metrics": metrics, "params": [{"key": "seed", "value": str(number)}]}
    stock.call("POST", "runs/log-batch", json=logged)
    return id_


def artifacts_of(stock: StockServer, run: str) -> str:
    return str(stock.call("GET", "runs/get", params={"run_id": run})["run"]["info"]["artifact_uri"])


def model(stock: StockServer, name: str, run: str, folder: str) -> None:
    """A registered model with its versions, an alias, tags and notes."""
    tags = [{"key": "team", "value": name}]
    stock.call("POST", "registered-models/create", json={"name": name, "description": f"about {name}", "tags": tags})
    for number in range(1, VERSIONS + 1):
        facts = {"source": f"{folder}/model", "run_id": run, "description": f"note {number}", "tags": tags}
        stock.call("POST", "model-versions/create", json={"name": name, **facts})
    alias = {"name": name, "alias": "champion", "version": str(VERSIONS - 1)}
    stock.call("POST", "registered-models/alias", json=alias)


async def attached(client: RegistryClient, stock: StockServer) -> Project:
    """The project that shows the server, in a workspace that is synchronized with the registry."""
    environment = (await client.registry(REGISTRY)).environment_id
    await client.attach_server(AttachedServerCreate(name="theirs", environment=environment, url=stock.url))
    await client.synchronize_registry(REGISTRY)

    async def ready() -> Project | None:
        found = await client.project("theirs")
        return found if found.registry_id is not None else None

    project = await eventually(ready, what="the workspace to be synchronized")
    assert isinstance(project, Project)
    return project


def all_of(stock: StockServer, method: str, path: str, kind: str, **asked: Any) -> list[dict[str, Any]]:
    """All rows of a paged list of the stock server."""
    rows: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        sent = asked | ({"page_token": token} if token else {})
        page = stock.call(method, path, **({"params": sent} if method == "GET" else {"json": sent}))
        rows += page.get(kind, [])
        if not (token := page.get("next_page_token")):
            return rows


async def test_every_experiment_and_run_is_found_by_the_service(whole: Whole) -> None:
    stock, project = whole.stock, whole.project
    there = all_of(stock, "POST", "experiments/search", "experiments", max_results=100)
    async with whole.platform.patient_client() as client:
        here = [each async for each in client.every(client.experiments, project.id)]
        assert sorted(each.name for each in here) == sorted(each["name"] for each in there)
        for name, id_ in whole.experiments.items():
            rows = all_of(stock, "POST", "runs/search", "runs", experiment_ids=[id_], max_results=1000)
            assert len(rows) == EXPERIMENTS[name]
            began, found, token = time.monotonic(), list[Any](), None
            while True:
                request = RunSearch(experiment_ids=[id_], page_size=100, page_token=token)
                page = await client.search_runs(project.id, request)
                found += page.items
                if (token := page.next_page_token) is None:
                    break
            assert sorted(each.id for each in found) == sorted(each["info"]["run_id"] for each in rows)
            losses = {each["info"]["run_id"]: facts(each, "metrics").get("loss") for each in rows}
            seeds = {each["info"]["run_id"]: facts(each, "params").get("seed") for each in rows}
            assert {each.id: each.metrics.get("loss") for each in found} == losses
            assert {each.id: each.params.get("seed") for each in found} == seeds
            print(f"{name}: {len(found)} runs, metrics and parameters alike; {time.monotonic() - began:.1f} s by pages")
    print(f"{len(here)} experiments")


def facts(run: dict[str, Any], kind: str) -> dict[str, Any]:
    return {each["key"]: each["value"] for each in run.get("data", {}).get(kind, [])}


async def test_runs_are_browsed_by_keys_to_the_last_row(whole: Whole) -> None:
    app = RegistryApp(whole.platform.client, start_platform=False)
    async with app.run_test(size=(120, 40)) as pilot:
        driver = Driver(app, pilot)
        for name, id_ in whole.experiments.items():
            driver.app.jump(Place("experiment", {"project": whole.project.id, "experiment": id_}))
            await driver.at("experiment")
            began, pressed, seen = time.monotonic(), 0, set[str]()
            while len(seen) < EXPERIMENTS[name]:
                await driver.until(lambda: driver.screen.table.source.next_step() is None, "rows")
                seen |= {row.id for row in driver.screen.table.source.loaded_rows()}
                await driver.press("pagedown")
                pressed += 1
                assert pressed <= EXPERIMENTS[name], f"{len(seen)} of {EXPERIMENTS[name]} runs of {name} were seen"
            await driver.press("end")
            await driver.until(partial(is_last, driver, name), "the last row")
            assert len(seen) == EXPERIMENTS[name]
            print(f"{name}: {len(seen)} rows, {pressed} times page down, {time.monotonic() - began:.0f} s")


def is_last(driver: Driver, name: str) -> bool:
    """Whether the cursor is on the run that began first."""
    table = driver.screen.table
    return str(table.columns[0].cell(table.current)).startswith(f"{name}-00000")


async def test_all_models_are_imported_and_every_count_is_the_same(whole: Whole) -> None:
    stock, project = whole.stock, whole.project
    there = all_of(stock, "GET", "registered-models/search", "registered_models", max_results=100)
    assert len(there) == MODELS
    async with whole.platform.patient_client() as client:
        listed = [each async for each in client.every(client.attached_models, project.id)]
        assert sorted(each.name for each in listed) == sorted(each["name"] for each in there)
        for turn, words in enumerate((f"{MODELS * VERSIONS} new versions, 0 here before", f"{MODELS * VERSIONS} here")):
            began = time.monotonic()
            started = await client.import_attached(project.id, AttachedImport(registry=REGISTRY))

            async def ended(id_: str = started.workflow.id) -> Any:
                found = await client.workflow(id_)
                return found if found.finished_at is not None else None

            done = await eventually(ended, what="the import", timeout=IMPORT)
            lines = [each.text async for each in client.every(client.workflow_logs, done.id, page_size=1000)]
            assert done.status == WorkflowStatus.SUCCEEDED and any(words in line for line in lines), lines[-5:]
            print(f"import {turn + 1}: {time.monotonic() - began:.0f} s; {lines[-1]}")
        count = 0
        for each in there:
            name = each["name"]
            here = await client.model(REGISTRY, name)
            assert (here.description, here.tags) == (each["description"], {"team": name})
            assert here.aliases == {alias["alias"]: int(alias["version"]) for alias in each["aliases"]}
            wanted = all_of(
                stock, "GET", "model-versions/search", "model_versions", filter=f"name = '{name}'", max_results=100
            )
            versions = [found async for found in client.every(client.versions, REGISTRY, name)]
            assert {found.version: (found.notes, found.tags) for found in versions} == {
                int(found["version"]): (found["description"], {"team": name}) for found in wanted
            }
            assert {str(found.status) for found in versions} == {"READY"}
            count += len(versions)
        assert count == MODELS * VERSIONS
    print(f"{len(there)} models, {count} versions, all READY; aliases, tags, notes and numbers alike")
