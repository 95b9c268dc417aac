"""The demo on a platform of its own: loaded, loaded again, repaired, and removed without other people's additions."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

from registry_tui.client.client import RegistryClient
from registry_tui.demo.plan import MARK, PROJECTS
from registry_tui.demo.walk import WALK
from registry_tui.schemas.models import VersionStatus
from registry_tui.schemas.places import ProjectCreate
from registry_tui.schemas.tracking import RunSearch
from support.platforms import Platform, run_python
from support.terminal import terminal

LOAD = """
import mlflow
from sklearn.datasets import load_digits
data = load_digits(as_frame=True).data.head(20)
model = mlflow.pyfunc.load_model("models:/DigitReader@champion")
print("RESULT", sum(int(guess) == truth for guess, truth in zip(model.predict(data), load_digits().target)))
"""
ADD = """
import mlflow
mlflow.set_experiment("my own")
with mlflow.start_run(run_name="mine"):
    mlflow.log_metric("a", 1)
"""


async def everything(client: RegistryClient) -> dict[str, list[str]]:
    """The content of the platform: runs of each demo project, versions of each registry's models."""
    found: dict[str, list[str]] = {}
    async for project in client.every(client.projects):
        if project.name == "default":
            continue
        ids = [each.id async for each in client.every(client.experiments, project.id)]
        found[project.name] = []
        if ids:
            page = await client.search_runs(project.id, RunSearch(experiment_ids=ids, page_size=1000))
            found[project.name] = sorted(run.id for run in page.items)
    async for registry in client.every(client.registries):
        async for model in client.every(client.models, registry.id):
            versions = [each async for each in client.every(client.versions, registry.id, model.id)]
            assert all(each.status is VersionStatus.READY and each.archive_files for each in versions)
            found[f"{registry.name}/{model.name}"] = sorted(each.id for each in versions)
    return found


async def look_closely(client: RegistryClient) -> None:
    """Curves, parameters, data sets, pictures, signatures, nested runs, owners, aliases and notes are there."""
    azure = await client.registry("registry-azure")
    assert (azure.cloud, azure.existing_nfs, azure.nfs_protocol_version) == ("azure", "10.20.0.4:/mlregistry", "4.1")
    model = await client.model("registry-aws", "TumourScreening")
    assert (model.owner, set(model.aliases)) == ("linus", {"champion", "challenger"})
    version = await client.version("registry-aws", "TumourScreening", model.aliases["champion"])
    assert version.notes.startswith("Best of the sweep: ")
    assert version.tags[MARK] == "TumourScreening/best"
    run_id = version.origin.run_id
    assert run_id is not None
    run = await client.run("tumour-screening", run_id)
    assert "mlflow.parentRunId" in run.tags
    assert {each.name for each in run.datasets} == {"breast-cancer-training", "breast-cancer-validation"}
    curve = (await client.metric_history("tumour-screening", run_id, "validation_auc")).items
    assert len(curve) == int(run.params["n_estimators"]) / 5
    assert curve[-1].value == run.metrics["auc"]
    picture = await client.read_artifact("tumour-screening", run_id, "evaluation/confusion_matrix.png", length=8)
    assert picture == b"\x89PNG\r\n\x1a\n"
    for artifact in ("evaluation/classification_report.json", "evaluation/roc.csv", "model/input_example.json"):
        assert await client.read_artifact("tumour-screening", run_id, artifact)
    assert b"signature:" in await client.read_artifact("tumour-screening", run_id, "model/MLmodel")
    assert (await client.models("registry-aws", owner="ada")).items


def test_somebody_elses_environment_of_that_name_is_left_alone(own_platform: Platform) -> None:
    own_platform.command("environments", "create", "demo-aws")
    refused = own_platform.command("demo", check=False)
    assert refused.returncode == 1
    assert "demo-aws" in refused.stderr
    assert "not loaded" in own_platform.command("demo", "--remove").stderr
    own_platform.command("environments", "delete", "demo-aws", "--yes")


def watch_the_walk(platform: Platform) -> None:
    """Every scene of the walk comes about on a small terminal, step by step; then the keys are the person's."""
    command = [sys.executable, "-m", "registry_tui", "demo", "--play"]
    with terminal(command, platform.environment(), 80, 24) as screen:
        screen.shows(f"1/{len(WALK)}")
        screen.press(" ")
        screen.shows("paused")
        # The walk goes on until it is paused, which may take a while.
        begun = re.search(rf"(\d+)/{len(WALK)}", screen.text)
        assert begun is not None
        for number, scene in list(enumerate(WALK, 1))[int(begun[1]) - 1 :]:
            screen.shows(f"{number}/{len(WALK)}", " ".join(scene.caption.split()[:4]))
            if "answer" in scene.caption:
                screen.shows("200", "predictions")
            screen.press("\x1b[C")
        screen.shows("That was the walk")
        screen.press("1")
        screen.shows("registry-aws", "registry-azure")
        screen.press("ctrl+q")
        assert screen.ended() == 0
    with terminal(command, platform.environment(), 80, 24) as screen:
        screen.shows(f"1/{len(WALK)}", "registry-aws")
        screen.press("3")
        assert "registry-aws" in screen.shows("The walk has stopped")
        screen.press("3")
        screen.shows("WineAlcoholRegressor")


def test_the_demo_from_loading_to_removing(own_platform: Platform) -> None:
    before = own_platform.ask(everything)
    missing = own_platform.command("demo", "--play", check=False)
    assert missing.returncode == 1 and "The demo is not loaded" in missing.stderr
    first = own_platform.command("demo", timeout=600)
    assert "The demo is loaded" in first.stderr
    loaded = own_platform.ask(everything)
    assert Counter(len(ids) for name, ids in loaded.items() if "/" in name) == Counter(
        len(model.versions) for project in PROJECTS for model in project.models
    )
    assert all(len(loaded[project.name]) >= 8 for project in PROJECTS)
    own_platform.ask(look_closely)
    watch_the_walk(own_platform)
    assert run_python(LOAD, own_platform.exports("digit-recognition")).split("RESULT ")[1].strip() == "20"

    again = own_platform.command("demo", timeout=600)
    assert "training" not in again.stderr
    assert own_platform.ask(everything) == loaded

    own_platform.command("models", "delete", "DiabetesProgression", "3", "--yes")
    own_platform.command("demo", timeout=600)
    repaired = own_platform.ask(everything)
    name = "registry-aws/DiabetesProgression"
    assert len(repaired[name]) == 3
    assert {key: ids for key, ids in repaired.items() if key != name} == {
        key: ids for key, ids in loaded.items() if key != name
    }
    assert own_platform.ask(lambda client: client.model("registry-aws", "DiabetesProgression")).aliases == {
        "champion": 4
    }

    request = ProjectCreate(name="somebodys", workspace="ml-prod")
    own_platform.ask(lambda client: client.create_project(request))
    run_python(ADD, own_platform.exports("wine-quality"))
    left = own_platform.command("demo", "--remove", timeout=300).stderr
    assert "wine-quality stays: it holds experiment my own" in left
    assert "ml-prod stays: it holds 1 project" in left
    found = own_platform.ask(everything)
    assert set(found) == {"wine-quality", "somebodys"}
    assert len(found["wine-quality"]) == 1

    own_platform.command("projects", "delete", "wine-quality", "--force", "--yes")
    own_platform.command("projects", "delete", "somebodys", "--force", "--yes")
    assert own_platform.command("demo", "--remove", timeout=300).stderr.endswith("The demo is removed\n")
    assert own_platform.ask(everything) == before
    assert [each.name for each in own_platform.ask(lambda client: client.environments()).items] == ["local"]
    assert not (Path(own_platform.home.root) / "demo.json").exists()
    assert "not loaded" in own_platform.command("demo", "--remove").stderr
