"""`models profile`: from the data set that a version's run logged, from its input example, and from Parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow.data
import pandas
import pytest

from support.platforms import Platform
from support.registered import mlflow_client
from support.served import Served, with_columns

TABLE = pandas.DataFrame({"a": [float(each) for each in range(40)], "b": [0.5, 1.5] * 20})


@pytest.fixture(scope="module")
def served(platform: Platform) -> Served:
    return with_columns(platform)


def profile(platform: Platform, served: Served, *options: str, check: bool = True) -> tuple[int, str]:
    version = served.version
    named = (version.model_name, str(version.version), "--registry", version.registry_id)
    done = platform.command("models", "profile", *named, *options, check=check)
    return done.returncode, done.stdout if check else done.stderr


def log_input(platform: Platform, served: Served, source: str, content: bytes | None = None) -> None:
    """Sends the requests of `mlflow.log_input`, for a data set at `source`, or in the run's artifacts there."""
    origin = served.version.origin
    assert origin.run_id is not None
    credentials = platform.ask(lambda client: client.credentials(served.project.id))
    with mlflow_client(credentials) as http:
        if content is not None:
            run = (
                http.get("/api/2.0/mlflow/runs/get", params={"run_id": origin.run_id}).raise_for_status().json()["run"]
            )
            folder = run["info"]["artifact_uri"]
            path = f"{folder.removeprefix('mlflow-artifacts:/')}/{source}"
            http.put(f"/api/2.0/mlflow-artifacts/artifacts/{path}", content=content).raise_for_status()
            source = f"{folder}/{source}"
        found = mlflow.data.from_pandas(TABLE, source="/data/train.csv", name="pairs").to_dict()
        found["source"] = json.dumps({"uri": source})
        body = {"run_id": origin.run_id, "datasets": [{"tags": [], "dataset": found}]}
        http.post("/api/2.0/mlflow/runs/log-inputs", json=body).raise_for_status()


def columns(found: str) -> dict[str, Any]:
    return {each["name"]: each for each in json.loads(found)["columns"]}


@pytest.mark.parametrize("kept", ["beside the code", "in the run's artifacts"])
def test_a_profile_is_made_from_the_data_set_of_the_run(platform: Platform, tmp_path: Path, kept: str) -> None:
    served = with_columns(platform)
    code, said = profile(platform, served, "--from-run", check=False)
    assert code == 1 and "logged no data set" in said
    if kept == "beside the code":
        file = tmp_path / "train.csv"
        TABLE.to_csv(file, index=False)
        log_input(platform, served, str(file))
    else:
        log_input(platform, served, "train.parquet", TABLE.to_parquet(index=False))
    found = profile(platform, served, "--from-run", "--target", "b", "--json")[1]
    assert json.loads(found)["rows"] == 40 and json.loads(found)["source"].startswith("data set pairs (")
    assert columns(found)["a"]["points"][-1] == 39 and columns(found)["predictions"]["side"] == "output"


def test_a_profile_is_made_from_the_input_example(platform: Platform, served: Served) -> None:
    found = profile(platform, served, "--from-example", "--json")[1]
    assert json.loads(found)["source"] == "the input example"
    assert {name: each["points"] for name, each in columns(found).items()} == {"a": [1.0], "b": [2.0]}


def test_a_profile_is_made_from_parquet(platform: Platform, served: Served, tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    TABLE.to_parquet(file, index=False, row_group_size=7)
    found = profile(platform, served, "--file", str(file), "--json")[1]
    assert json.loads(found)["source"] == "train.parquet" and columns(found)["a"]["count"] == 40
    code, said = profile(platform, served, "--file", str(file), "--target", "quality", check=False)
    assert code == 2 and "has no column 'quality'" in said
    file.write_bytes(b"a,b\n1,2\n")
    code, said = profile(platform, served, "--file", str(file), check=False)
    assert code == 1 and "is not Parquet that can be read" in said
