"""Registered models of an attached server are imported: numbers, aliases, tags, notes and stages, and only once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from registry_tui.schemas.operations import WorkflowStatus
from service.test_attached_registering import PLACE, REGISTRY, Stage, attach, working_service
from support.bare import acting, asking, set_roles
from support.mlflow_parts import running_parts
from support.platforms import PATIENCE, temporary_folder
from support.stock_mlflow import StockServer, stock_server

#: Versions of one model; `tests/compatibility/attached.py` tries hundreds.
VERSIONS = int(os.environ.get("ATTACHED_VERSIONS", "8"))
MODEL = "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\nmodel_uuid: x\n"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with running_parts() as parts, temporary_folder() as folder, stock_server(folder) as stock:
        run = stock.run(stock.experiment("churn"), "trained", metrics={"loss": [0.5]})
        stock.upload(artifacts_of(stock, run), "model/MLmodel", MODEL.encode())
        stock.upload(artifacts_of(stock, run), "notes.txt", b"no model")
        with working_service(parts, threads=3) as service:
            yield Stage(parts, service, stock, run)


def artifacts_of(stock: StockServer, run: str) -> str:
    return str(stock.call("GET", "runs/get", params={"run_id": run})["run"]["info"]["artifact_uri"])


def register(stock: StockServer, name: str, run: str | None, **facts: Any) -> int:
    """The number of a new version there."""
    if run is not None:
        facts = {"source": f"{artifacts_of(stock, run)}/model", "run_id": run, **facts}
    return int(stock.call("POST", "model-versions/create", json={"name": name, **facts})["model_version"]["version"])


async def imported(http: httpx.AsyncClient, stage: Stage, project: str, *models: str) -> tuple[dict[str, Any], str]:
    """The workflow of an import once it has ended, and its log."""
    answer = await http.post(f"/projects/{project}/attached-models/import", json={"models": models})
    assert answer.status_code == 202, answer.text
    workflow = answer.json()["workflow"]["id"]
    stage.service.workflows.wait(workflow, PATIENCE)
    found = (await http.get(f"/workflows/{workflow}")).raise_for_status().json()
    lines = (await http.get(f"/workflows/{workflow}/logs", params={"page_size": 1000})).raise_for_status().json()
    return found, "\n".join(line["text"] for line in lines["items"])


async def versions_of(http: httpx.AsyncClient, model: str) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    token = None
    while True:
        params = {"page_size": 100} | ({"page_token": token} if token else {})
        page = (await http.get(f"/registries/{REGISTRY}/models/{model}/versions", params=params)).raise_for_status()
        found |= {each["version"]: each for each in page.json()["items"]}
        if (token := page.json()["next_page_token"]) is None:
            return found


async def test_models_are_imported_with_all_that_they_have_and_once(stage: Stage) -> None:
    stock, run = stage.stock, stage.run
    tags = [{"key": "team", "value": "fraud"}]
    for name in ("churn", "empty"):
        stock.call("POST", "registered-models/create", json={"name": name, "description": f"d {name}", "tags": tags})
    for number in range(1, VERSIONS + 1):
        assert register(stock, "churn", run, description=f"note {number}", tags=tags) == number
    stock.call("DELETE", "model-versions/delete", json={"name": "churn", "version": "2"})
    for alias, number in (("champion", 3), ("first", 1)):
        stock.call("POST", "registered-models/alias", json={"name": "churn", "alias": alias, "version": str(number)})
    staged = {"name": "churn", "version": "4", "stage": "Production", "archive_existing_versions": False}
    stock.call("POST", "model-versions/transition-stage", json=staged)
    register(stock, "empty", None, source=f"{artifacts_of(stock, run)}", run_id=run)
    register(stock, "empty", None, source="s3://somewhere/else")
    expected = set(range(1, VERSIONS + 1)) - {2}
    async with asking(stage.service) as http:
        await attach(http, stage, "theirs")
        done, log = await imported(http, stage, "theirs")
        assert done["status"] == WorkflowStatus.SUCCEEDED, log
        assert (done["progress"]["files_done"], done["progress"]["files_total"]) == (len(expected),) * 2
        model = (await http.get(f"/registries/{REGISTRY}/models/churn")).raise_for_status().json()
        assert (model["description"], model["tags"], model["owner"]) == ("d churn", {"team": "fraud"}, done["actor"])
        assert model["aliases"] == {"champion": 3, "first": 1}
        here = await versions_of(http, "churn")
        assert set(here) == expected
        assert {each["status"] for each in here.values()} == {"READY"}
        assert {number: each["notes"] for number, each in here.items()} == {n: f"note {n}" for n in expected}
        assert here[3]["tags"] == {"team": "fraud"}
        assert here[4]["tags"] == {"team": "fraud", "mlflow_stage": "Production"}
        origin = here[1]["origin"]
        assert (origin["run_id"], origin["run_name"], origin["experiment_name"]) == (run, "trained", "churn")
        assert "Skipped empty v1: the server's API reaches no model" in log
        assert "Skipped empty v2: the server's API reaches no model at s3://somewhere/else" in log
        assert f"{len(expected)} new versions, 0 here before, 2 left out" in log

        # Again: only new versions come; aliases and versions that were moved or deleted here stay so.
        moved = await http.put(f"/registries/{REGISTRY}/models/churn/aliases/champion", params={"version": 1})
        moved.raise_for_status()
        gone = f"/registries/{REGISTRY}/models/churn/versions/5"
        (await http.delete(gone)).raise_for_status()
        new = register(stock, "churn", None, source="models:/churn/1")
        # Also when the server has moved to another address meanwhile, twice.
        for url in (stock.url.replace("127.0.0.1", "localhost"), f"{stock.url}/"):
            (await http.put("/attached-servers/theirs", json={"url": url})).raise_for_status()
        done, log = await imported(http, stage, "theirs", "churn")
        assert done["status"] == WorkflowStatus.SUCCEEDED, log
        here = await versions_of(http, "churn")
        assert set(here) == expected - {5} | {new} and here[new]["status"] == "READY"
        assert f"1 new version, {len(expected) - 1} here before, 1 left out" in log
        assert "Skipped churn v5: Version 5 of 'churn' was deleted here" in log
        assert "Skipped alias champion of churn: it names version 1 here, and version 3 there" in log
        model = (await http.get(f"/registries/{REGISTRY}/models/churn")).raise_for_status().json()
        assert model["aliases"] == {"champion": 1, "first": 1}
        # A number that is given out here is behind all that were imported.
        sent = {"name": "churn", "run_id": run, "artifact_path": "model"}
        made = (await http.post("/projects/theirs/register", json=sent)).raise_for_status().json()
        assert made["resource"]["version"] == new + 1
        stage.service.workflows.wait(made["workflow"]["id"], PATIENCE)


async def test_what_cannot_be_imported_is_refused_or_left_out_with_the_reason(stage: Stage) -> None:
    stock, run = stage.stock, stage.run
    for name in ("taken", "a..b"):
        stock.call("POST", "registered-models/create", json={"name": name})
        register(stock, name, run)
    set_roles(stage.service, "eve", PLACE, "EnvironmentUser", "MLUser")
    async with asking(stage.service) as http:
        await attach(http, stage, "more")
        sent = {"name": "taken", "run_id": run, "artifact_path": "model"}
        made = (await http.post("/projects/more/register", json=sent)).raise_for_status().json()
        stage.service.workflows.wait(made["workflow"]["id"], PATIENCE)
        done, log = await imported(http, stage, "more", "taken", "a..b")
        assert done["status"] == WorkflowStatus.SUCCEEDED, log
        assert "Skipped model 'taken': a model of this name is here, which was not imported from there" in log
        assert "Skipped model 'a..b': its name holds '..'" in log
        assert set(await versions_of(http, "taken")) == {1}
        path = "/projects/{}/attached-models/import"
        for project, asked, person, status in (
            ("more", {"models": ["none"]}, None, 404),
            ("more", {"registry": "another"}, None, 422),
            ("more", {}, "eve", 403),
            ("wine", {}, None, 409),
        ):
            headers = {} if person is None else acting(person)
            answer = await http.post(path.format(project), json=asked, headers=headers)
            assert answer.status_code == status, f"{project} {asked}: {answer.text}"
