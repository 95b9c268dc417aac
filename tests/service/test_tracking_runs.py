"""Experiments, runs and artifacts as a script logged them, read back through the service."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.schemas.places import Project
from registry_tui.schemas.tracking import RunSearch
from support.platforms import PATIENCE, Platform, run_python

Sdk = Callable[..., str]

LOG = """
import json, mlflow, numpy
from mlflow.entities import Metric
mlflow.set_experiment("sweep")
client = mlflow.MlflowClient()
runs = []
for index in range(5):
    with mlflow.start_run(run_name=f"run {index}") as run:
        mlflow.log_metric("rmse", 1.0 - index / 10)
        mlflow.log_params({"alpha": str(index), "text": "[red]\\x1b[31m <b>" + "x" * 4000})
        runs.append(run.info.run_id)
with mlflow.start_run(run_id=runs[0]):
    client.log_batch(runs[0], [Metric("loss", 1 / (step + 1), step, step) for step in range(250)])
    for key, value in {"nan": float("nan"), "inf": float("inf"), "ninf": float("-inf")}.items():
        mlflow.log_metric(key, value)
    mlflow.log_input(mlflow.data.from_numpy(numpy.ones((2, 2)), name="grid"), context="training")
    mlflow.log_text("hello world", "notes/ünï code.txt")
    mlflow.log_text("", "empty.txt")
    with open("big.bin", "wb") as file:
        file.write(bytes(range(256)) * 40_000)
    mlflow.log_artifact("big.bin")
    mlflow.sklearn.log_model(__import__("sklearn.dummy").dummy.DummyClassifier().fit([[0], [1]], [0, 1]), name="model")
client.delete_run(runs[4])
print(json.dumps(runs))
"""
#: Bytes of the large file.
BIG = 256 * 40_000


@pytest.fixture(scope="module")
def project(platform: Platform) -> Project:
    return platform.new_project()


@pytest.fixture(scope="module")
def runs(platform: Platform, project: Project, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Five runs of one experiment; the first has everything, the last is deleted."""
    folder = tmp_path_factory.mktemp("script")
    code = f"import os; os.chdir({str(folder)!r})\n{LOG}"
    logged: list[str] = json.loads(run_python(code, platform.exports(project.id)).splitlines()[-1])
    return logged


async def test_experiments(client: RegistryClient, project: Project, runs: list[str]) -> None:
    found = (await client.experiments(project.id, name="SWE")).items
    assert [each.name for each in found] == ["sweep"]
    by_id = await client.experiment(project.id, found[0].id)
    assert by_id == await client.experiment(project.id, "sweep") == found[0]
    for name in ("none", "99999999999", "'; drop table"):
        with pytest.raises(RegistryError, match="has no experiment"):
            await client.experiment(project.id, name)
    with pytest.raises(RegistryError, match="sorted"):
        await client.experiments(project.id, order_by="size")


async def test_pages_of_runs_in_mlflows_language(client: RegistryClient, project: Project, runs: list[str]) -> None:
    experiment = (await client.experiment(project.id, "sweep")).id

    def asked(**more: object) -> RunSearch:
        return RunSearch.model_validate({"experiment_ids": [experiment], **more})

    ordered = asked(order_by=["metrics.rmse ASC"], page_size=3)
    first = await client.search_runs(project.id, ordered)
    second = await client.search_runs(project.id, ordered.model_copy(update={"page_token": first.next_page_token}))
    assert [run.id for run in first.items + second.items] == [runs[3], runs[2], runs[1], runs[0]]
    assert second.next_page_token is None
    found = await client.search_runs(project.id, asked(filter="metrics.rmse > 0.85 and params.alpha = '1'"))
    assert [run.id for run in found.items] == [runs[1]]
    assert [run.id for run in (await client.search_runs(project.id, asked(deleted=True))).items] == [runs[4]]
    for wrong, hint in (
        ({"filter": "metrics.rmse >>> 3"}, "Invalid comparator"),
        ({"order_by": ["size.x"]}, "Invalid entity type"),
        ({"page_token": "zz"}, "page token"),
    ):
        with pytest.raises(RegistryError, match=hint):
            await client.search_runs(project.id, asked(**wrong))


async def test_one_run(client: RegistryClient, project: Project, runs: list[str]) -> None:
    run = await client.run(project.id, runs[0])
    assert (run.name, run.status, run.experiment_id) == ("run 0", "FINISHED", run.experiment_id)
    assert math.isnan(run.metrics["nan"])
    assert (run.metrics["inf"], run.metrics["ninf"], run.metrics["rmse"]) == (math.inf, -math.inf, 1.0)
    assert run.params["text"].startswith("[red]\x1b[31m <b>xxx") and len(run.params["text"]) > 4000
    assert [(each.name, each.tags["mlflow.data.context"]) for each in run.datasets] == [("grid", "training")]
    history = [point async for point in client.every(client.metric_history, project.id, runs[0], "loss", page_size=100)]
    assert [point.step for point in history] == list(range(250)) and history[-1].value == 1 / 250
    assert math.isnan((await client.metric_history(project.id, runs[0], "nan")).items[0].value)
    assert not (await client.metric_history(project.id, runs[0], "never logged")).items
    for ask in (client.run(project.id, "none"), client.metric_history(project.id, "none", "loss")):
        with pytest.raises(RegistryError, match="has no run"):
            await ask


async def test_another_projects_runs_are_not_seen(
    platform: Platform, client: RegistryClient, runs: list[str], project: Project
) -> None:
    for ask in (client.run("default", runs[0]), client.artifacts("default", runs[0])):
        with pytest.raises(RegistryError, match="has no run"):
            await ask
    experiment = (await client.experiment(project.id, "sweep")).id
    assert not (await client.search_runs("default", RunSearch(experiment_ids=[experiment]))).items


async def test_the_artifact_tree_holds_logged_models(client: RegistryClient, project: Project, runs: list[str]) -> None:
    top = await client.artifacts(project.id, runs[0])
    assert [(each.path, each.size) for each in top.entries] == [
        ("model", None),
        ("notes", None),
        ("big.bin", BIG),
        ("empty.txt", 0),
    ]
    assert not top.is_model
    model = await client.artifacts(project.id, runs[0], "model/")
    assert model.is_model and "model/MLmodel" in {each.path for each in model.entries}
    assert b"flavors:" in await client.read_artifact(project.id, runs[0], "model/MLmodel")
    assert [each.path for each in (await client.artifacts(project.id, runs[0], "notes")).entries] == [
        "notes/ünï code.txt"
    ]
    for path in ("../x", "notes/../../x", "/etc", "none"):
        with pytest.raises(RegistryError):
            await client.artifacts(project.id, runs[0], path)
    for path in ("../x", "notes", "none", "model", "model/../model/MLmodel", ""):
        with pytest.raises(RegistryError):
            await client.read_artifact(project.id, runs[0], path)


async def test_bytes_and_ranges(
    platform: Platform, client: RegistryClient, project: Project, runs: list[str], tmp_path: Path
) -> None:
    read, big = client.read_artifact, bytes(range(256)) * (BIG // 256)
    assert await read(project.id, runs[0], "notes/ünï code.txt") == b"hello world"
    assert await read(project.id, runs[0], "empty.txt") == b""
    assert await read(project.id, runs[0], "big.bin", start=1_000_001, length=300) == big[1_000_001:1_000_301]
    assert await read(project.id, runs[0], "big.bin", start=BIG - 5) == big[-5:]
    with pytest.raises(RegistryError, match="bytes only"):
        await read(project.id, runs[0], "big.bin", start=BIG)
    seen: list[tuple[int, int | None]] = []
    target = tmp_path / "big.bin"
    size = await client.download_artifact(project.id, runs[0], "big.bin", target, lambda *done: seen.append(done))
    assert size == BIG and target.read_bytes() == big and seen[-1] == (BIG, BIG)

    url = f"http://x/api/v1/projects/{project.id}/runs/{runs[0]}/artifacts/content"
    transport = httpx.AsyncHTTPTransport(uds=str(platform.home.service_socket))
    async with httpx.AsyncClient(transport=transport, timeout=PATIENCE) as http:
        part = await http.get(url, params={"path": "big.bin"}, headers={"Range": "bytes=-10"})
        assert (part.status_code, part.headers["content-range"]) == (
            206,
            f"bytes {BIG - 10}-{BIG - 1}/{BIG}",
        )
        none = await http.get(url, params={"path": "big.bin"}, headers={"Range": f"bytes={BIG}-"})
        assert (none.status_code, none.headers["content-range"]) == (416, f"bytes */{BIG}")
