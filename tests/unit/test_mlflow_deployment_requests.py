"""Arguments of MLflow's deployments API, as requests to the service."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from registry_tui.client.errors import ServiceUnavailable
from registry_tui.mlflow_plugin import deployment_requests as requests
from registry_tui.mlflow_plugin.deployment_requests import Chosen, Model, Options
from registry_tui.schemas.deployments import Batching


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("models:/Wine/3", Model("Wine", "3")),
        ("models:/Wine@champion", Model("Wine", "", "champion")),
        ("models:/Wine/Production", Model("Wine", "Production")),
        ("models:/my%20wine/latest", Model("my wine", "latest")),
    ],
)
def test_a_registered_model_is_read(uri: str, wanted: Model) -> None:
    assert requests.read_model(uri) == wanted


@pytest.mark.parametrize("uri", ["runs:/abc/model", "models:/Wine", "models:/", "models:/Wine/3/x", "/tmp/model"])
def test_anything_else_says_what_to_do(uri: str) -> None:
    with pytest.raises(MlflowException, match="models:/NAME/VERSION"):
        requests.read_model(uri)


def test_settings_of_the_command_line_become_a_request() -> None:
    options = Options.read(
        {"replicas": "2", "memory": "512M", "authentication": "false", "env.MODE": "a=b", "batching": "off"}
    )
    found = options.creation("api", "wine", "Wine", Chosen(version=3))
    assert (found.replicas, found.memory_bytes, found.authentication, found.version) == (2, 512 << 20, False, 3)
    assert [(each.name, each.value) for each in found.environment] == [("MODE", "a=b")]
    assert found.batching is Batching.OFF


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": "many"}, "replicas"),
        ({"environment": []}, "env.NAME"),
        ({"env.NOT-A-NAME": "x"}, "name"),
    ],
)
def test_wrong_settings_are_named(config: dict[str, Any], words: str) -> None:
    with pytest.raises(MlflowException, match=words):
        Options.read(config)


def test_values_that_the_service_would_refuse_are_named_before() -> None:
    with pytest.raises(MlflowException, match="replicas"):
        Options.read({"replicas": "0"}).change(Chosen())
    with pytest.raises(MlflowException, match="not a size"):
        Options.read({"memory": "much"}).change(Chosen())
    with pytest.raises(MlflowException, match="name"):
        Options.read({}).creation("Capital", "p", "m", Chosen(version=1))


def test_the_project_is_a_setting_or_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTRY_TUI_PROJECT", raising=False)
    with pytest.raises(MlflowException, match="REGISTRY_TUI_PROJECT"):
        Options.read({}).project_or_default()
    monkeypatch.setenv("REGISTRY_TUI_PROJECT", "wine")
    assert Options.read({}).project_or_default() == "wine"
    assert Options.read({"project": "beer"}).project_or_default() == "beer"


def test_inputs_become_a_request_in_mlflows_protocol() -> None:
    protocol = {"dataframe_records": [{"a": 1}], "params": {"x": 1}}
    assert json.loads(requests.prediction(protocol).body) == protocol
    assert json.loads(requests.prediction([1, 2]).body) == {"inputs": [1, 2]}
    assert json.loads(requests.prediction({"text": ["a"]}).body) == {"inputs": {"text": ["a"]}}
    with pytest.raises(MlflowException, match="as JSON"):
        requests.prediction({"inputs": object()})
    with pytest.raises(MlflowException, match="endpoint_url"):
        requests.prediction(["x" * 900_000])


def test_a_service_that_is_away_may_be_asked_again() -> None:
    found = requests.as_mlflow(ServiceUnavailable("The service is not running", action="`registry-tui up` starts it"))
    assert found.error_code == "TEMPORARILY_UNAVAILABLE"
    assert found.message == "The service is not running. `registry-tui up` starts it"


def test_the_plugin_loads_little_besides_mlflow() -> None:
    code = """
import sys
import mlflow.deployments.interface as interface
before = set(sys.modules)
interface.plugin_store["registry-tui"]
print(*{each.split(".")[0] for each in set(sys.modules) - before})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    loaded = set(done.stdout.split())
    assert "registry_tui" in loaded
    assert not loaded & {"textual", "typer", "boto3", "sqlalchemy", "fastapi", "dbos", "aiohttp", "alembic", "pandas"}
