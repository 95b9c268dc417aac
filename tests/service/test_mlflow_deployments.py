"""MLflow's own `mlflow deployments` commands and deployment client deploy here, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from registry_tui.schemas.deployments import DeploymentState
from support.platforms import PATIENCE, Platform, run_python, unique
from support.served import DEPLOYED, Served

CLIENT = """
import json, sys
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException

name, model, project = sys.argv[1:]
client = get_deploy_client("registry-tui")
found = {}

def refused(call):
    try:
        call()
    except MlflowException as error:
        return [error.error_code, error.message]
    return None

made = client.create_deployment(name, f"models:/{model}@old", config={"project": project, "env.MODE": "test"})
found["made"] = [made["name"], made["state"], made["version"], made["alias"], made["authentication"]]
found["again"] = refused(lambda: client.create_deployment(name, f"models:/{model}/1", config={"project": project}))
found["predicted"] = client.predict(name, {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}})["predictions"]
found["endpoint"] = client.predict(endpoint=name, inputs={"dataframe_records": [{"a": 1, "b": 2}]})["predictions"]
import pandas as pd
frame = pd.DataFrame({"a": [1.0, 2.0], "b": [0.5, 0.25]})
found["frame"] = client.predict(name, frame).get_predictions("ndarray").tolist()
updated = client.update_deployment(name, f"models:/{model}/latest", config={"comment": "newer"})
found["updated"] = [updated["version"], updated["state"]]
found["after"] = client.predict(name, frame)["predictions"]
found["listed"] = name in [each["name"] for each in client.list_deployments()]
found["endpoints"] = [each["endpoint_url"] for each in client.list_endpoints() if each["name"] == name]
found["got"] = client.get_endpoint(name)["endpoint_url"]
found["secrets"] = "access_key" in client.get_deployment(name)
found["other model"] = refused(lambda: client.update_deployment(name, "models:/Other/1"))
found["no stage"] = refused(
    lambda: client.create_deployment(f"{name}-s", f"models:/{model}/Production", config={"project": project})
)
found["no such"] = refused(lambda: client.get_deployment(f"{name}-missing"))
found["flavor"] = refused(lambda: client.create_deployment("x", f"models:/{model}/1", flavor="sklearn"))
found["new endpoint"] = refused(lambda: client.create_endpoint("x"))
found["explained"] = refused(lambda: client.explain(name, frame))
found["streamed"] = refused(lambda: client.predict_stream(name, {}))
found["bad rows"] = refused(lambda: client.predict(name, {"dataframe_split": {"columns": ["a"], "data": [[1]]}}))
found["context"] = refused(lambda: get_deploy_client("registry-tui:/nowhere").list_deployments())
import asyncio
async def in_a_loop():
    return client.get_deployment(name)["name"]
found["in a loop"] = asyncio.run(in_a_loop())
client.delete_deployment(name)
client.delete_deployment(name)
found["gone"] = refused(lambda: client.get_deployment(name))
print(json.dumps(found))
"""


def mlflow(platform: Platform, *arguments: str, project: str) -> subprocess.CompletedProcess[str]:
    environment = {**platform.environment(), "MLFLOW_DISABLE_TELEMETRY": "true", "REGISTRY_TUI_PROJECT": project}
    command = [str(Path(sys.executable).with_name("mlflow")), "deployments", *arguments]
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=2 * PATIENCE,
        check=False,
    )


def test_mlflows_commands_deploy_change_and_delete(platform: Platform, two: Served, tmp_path: Path) -> None:
    name, model, target = unique("d"), two.version.model_name, "registry-tui"
    DEPLOYED.append((platform, name))
    project = two.project.id
    done = mlflow(
        platform,
        *("create", "-t", target, "--name", name, "-m", f"models:/{model}/1", "-C", "replicas=1"),
        project=project,
    )
    assert done.returncode == 0, done.stderr
    assert f"python_function deployment {name} is created" in done.stdout
    found = platform.ask(lambda client: client.deployment(name))
    assert (found.version, found.state, found.project_id) == (1, DeploymentState.DEPLOYED, project)

    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([{"a": 1, "b": 2}]))
    done = mlflow(platform, "predict", "-t", target, "--name", name, "-I", str(rows), project=project)
    assert json.loads(done.stdout.splitlines()[-1])["predictions"] == [13], done.stderr

    done = mlflow(platform, "update", "-t", target, "--name", name, "-m", f"models:/{model}/2", project=project)
    assert done.returncode == 0, done.stderr
    assert platform.ask(lambda client: client.deployment(name)).version == 2

    done = mlflow(platform, "get", "-t", target, "--name", name, project=project)
    assert "version: 2" in done.stdout and "state: deployed" in done.stdout

    done = mlflow(platform, "delete", "-t", target, "--name", name, project=project)
    assert done.returncode == 0 and f"Deployment {name} is deleted" in done.stdout, done.stderr
    assert name not in mlflow(platform, "list", "-t", target, project=project).stdout
    assert "-C NAME=VALUE" in mlflow(platform, "help", "-t", target, project=project).stdout


def test_the_deployment_client_has_the_calls_there_are(platform: Platform, two: Served) -> None:
    name, model = unique("d"), two.version.model_name
    DEPLOYED.append((platform, name))
    platform.ask(lambda client: client.set_alias(two.registry, model, "old", 1))
    printed = run_python(CLIENT, platform.environment(), name, model, two.project.id)
    found = json.loads(printed.splitlines()[-1])
    assert found["made"] == [name, "deployed", 1, "old", True]
    assert found["again"][0] == "RESOURCE_CONFLICT"
    assert (found["predicted"], found["endpoint"], found["frame"]) == ([13], [13], [11.5, 12.25])
    assert (found["updated"], found["after"]) == ([2, "deployed"], [21.5, 22.25])
    assert found["listed"] and found["endpoints"] == [found["got"]] and not found["secrets"]
    assert found["other model"][0] == "INVALID_PARAMETER_VALUE" and model in found["other model"][1]
    assert found["no stage"][0] == "RESOURCE_DOES_NOT_EXIST"
    assert found["no such"][0] == "RESOURCE_DOES_NOT_EXIST"
    for what, why in (
        ("flavor", "python_function"),
        ("new endpoint", "endpoint of its own"),
        ("explained", "predictions only"),
        ("streamed", "have one answer"),
    ):
        assert found[what][0] == "NOT_IMPLEMENTED" and why in found[what][1]
    assert found["bad rows"][0] == "INVALID_PARAMETER_VALUE" and "answered 4" in found["bad rows"][1]
    assert "no context 'nowhere'" in found["context"][1]
    assert found["in a loop"] == name
    assert found["gone"][0] == "RESOURCE_DOES_NOT_EXIST"
