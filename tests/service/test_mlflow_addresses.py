"""MLflow's server for clients that send no workspace header: a project's address, and experiment 0."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest

from registry_tui.schemas.places import Project, ProjectCreate, Role, WorkspaceCreate
from support.platforms import Platform, unique
from support.raw_mlflow import RawMlflow, contributor, error


@pytest.fixture
def raw(platform: Platform, project: Project) -> RawMlflow:
    """A new contributor of a new project, at its address."""
    return contributor(platform, project.id)


def start_run(raw: RawMlflow, **body: str) -> dict[str, str]:
    made = raw.ask("POST", "runs/create", json={"start_time": 1, **body}).raise_for_status()
    info: dict[str, str] = made.json()["run"]["info"]
    return info


def test_env_prints_the_address_of_the_project(platform: Platform, project: Project) -> None:
    exports = platform.exports(project.id)
    assert exports["MLFLOW_TRACKING_URI"] == f"{platform.ports.mlflow_url}/projects/{project.mlflow_workspace}"
    assert exports["MLFLOW_WORKSPACE"] == project.mlflow_workspace


def test_an_address_alone_leads_into_its_project(raw: RawMlflow, platform: Platform, project: Project) -> None:
    named = unique("experiment")
    made = raw.ask("POST", "experiments/create", json={"name": named}).raise_for_status().json()["experiment_id"]
    found = platform.ask(lambda client: client.experiments(project.id, name=named)).items
    assert [each.id for each in found] == [made]
    info = start_run(raw, experiment_id=made)
    prefix = f"mlflow-artifacts:/workspaces/{project.mlflow_workspace}/{made}/"
    assert info["artifact_uri"].startswith(prefix)


def test_a_project_is_named_in_every_way_that_is_unambiguous(platform: Platform, project: Project) -> None:
    team = WorkspaceCreate(name=unique("w"), environment="local")
    other = platform.ask(lambda client: client.create_workspace(team))
    raw = contributor(platform, project.id)
    names = (project.name, project.id, f"{project.workspace_name}/{project.name}", project.mlflow_workspace)
    for name in names:
        assert raw.at(f"/projects/{quote(name, safe='')}").ask("GET", "experiments/get?experiment_id=0").is_success
    twin = platform.ask(lambda client: client.create_project(ProjectCreate(name=project.name, workspace=other.id)))
    assert twin.mlflow_workspace != project.name
    theirs = contributor(platform, twin.id)
    found = theirs.at(f"/projects/{other.name}%2F{project.name}").ask("GET", "experiments/get?experiment_id=0")
    mine = raw.ask("GET", "experiments/get?experiment_id=0")
    assert found.json()["experiment"]["experiment_id"] != mine.json()["experiment"]["experiment_id"]


@pytest.mark.parametrize(
    "name", ["", ".", "%2e%2e", "..%2Fdefault", "no-such-project", "mr-local", "%00", "default%2F..", "a%20b", "%C3%A9"]
)
def test_an_address_that_names_no_project_is_refused(raw: RawMlflow, name: str) -> None:
    answer = raw.at(f"/projects/{name}").ask("POST", "experiments/search", json={"max_results": 1})
    assert error(answer) == (404, "RESOURCE_DOES_NOT_EXIST") and "registry-tui projects list" in answer.text


def test_an_address_is_text_and_names_one_project(raw: RawMlflow, project: Project) -> None:
    assert error(raw.at("/projects/%ff").ask("GET", "experiments/get?experiment_id=0"))[0] == 400
    twice = raw.at(f"/projects/{project.name}/projects/{project.name}").ask("GET", "experiments/get?experiment_id=0")
    assert error(twice) == (404, "ENDPOINT_NOT_FOUND")


def test_header_and_address_must_name_the_same_project(raw: RawMlflow, platform: Platform, project: Project) -> None:
    for header, status in ((project.mlflow_workspace, 200), ("", 200), ("default", 400), ("mr-local", 400)):
        answer = raw.ask("POST", "experiments/search", json={"max_results": 1}, headers={"X-MLFLOW-WORKSPACE": header})
        assert answer.status_code == status, (header, answer.text)
    assert "default" in answer.json()["message"] or "mr-local" in answer.json()["message"]
    assert error(answer) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "experiments/search"),
        ("POST", "runs/search"),
        ("POST", "runs/create"),
        ("GET", "experiments/get?experiment_id=0"),
        ("GET", "registered-models/search?max_results=1"),
        ("POST", "registered-models/create"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/0/x/artifacts/y"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/x/artifacts/y"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts?path=0"),
        ("POST", "/v1/traces"),
    ],
)
def test_a_call_that_names_no_project_hears_how_to_name_one(raw: RawMlflow, method: str, path: str) -> None:
    headers = {"X-Mlflow-Experiment-Id": "0"}
    body = {"experiment_ids": ["0"], "experiment_id": "0", "max_results": 1, "name": "x"}
    answer = raw.at("").ask(method, path, headers=headers, **({"json": body} if method == "POST" else {}))
    assert error(answer) == (403, "PERMISSION_DENIED")
    assert "/projects/NAME" in answer.text and "X-MLFLOW-WORKSPACE" in answer.text and "registry-tui env" in answer.text


def test_a_member_of_the_default_project_needs_no_address(platform: Platform) -> None:
    raw = contributor(platform, "local/default/default").at("")
    assert start_run(raw, experiment_id="0")["experiment_id"] == "0"
    assert start_run(raw)["experiment_id"] == "0"
    assert raw.ask("POST", "experiments/search", json={"max_results": 1}).is_success


def test_questions_about_no_project_need_no_address(raw: RawMlflow) -> None:
    root = raw.at("")
    for path in ("/health", "/version", "/api/3.0/mlflow/server-info", "/api/3.0/mlflow/workspaces"):
        assert root.ask("GET", path).is_success, path
        assert raw.ask("GET", path).is_success, path
    assert raw.user in root.ask("GET", "users/current").raise_for_status().text


def test_mlflows_web_page_works_below_the_address(raw: RawMlflow, project: Project) -> None:
    moved = raw.at("").ask("GET", f"/projects/{project.id}")
    assert (moved.status_code, moved.headers["location"]) == (307, f"/projects/{project.mlflow_workspace}/")
    page = raw.ask("GET", "/")
    assert page.is_success and page.headers["content-type"].startswith("text/html")
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert addresses and not [each for each in addresses if each.startswith(("/", "http"))]
    for each in addresses:
        assert raw.ask("GET", f"/{each.removeprefix('./')}").is_success, each
    # The page offers no other workspaces there: it would name them in the header.
    assert raw.ask("GET", "/ajax-api/3.0/mlflow/server-info").json()["workspaces_enabled"] is False
    assert raw.ask("GET", "/api/3.0/mlflow/server-info").json()["workspaces_enabled"] is True
    assert raw.ask("POST", "/ajax-api/2.0/mlflow/experiments/search", json={"max_results": 5}).json()["experiments"]
    question = 'query { mlflowGetExperiment(input: {experimentId: "0"}) { experiment { experimentId name } } }'
    answered = raw.ask("POST", "/graphql", json={"query": question}).json()
    assert answered["data"]["mlflowGetExperiment"]["experiment"]["name"] == "Default", answered


def test_artifacts_and_traces_pass_through_the_address(raw: RawMlflow) -> None:
    info = start_run(raw)
    folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    proxy = "/api/2.0/mlflow-artifacts/artifacts"
    for name in ("plain.txt", "with space é.txt", "p%25cent.txt"):
        assert raw.ask("PUT", f"{proxy}/{folder}/{name}", content=name.encode()).is_success
        assert raw.ask("GET", f"{proxy}/{folder}/{name}").content == name.encode()
        shown = raw.ask("GET", "/get-artifact", params={"run_id": info["run_id"], "path": name.replace("%25", "%")})
        assert shown.content == name.encode()
    listed = raw.ask("GET", "artifacts/list", params={"run_id": info["run_id"]}).json()["files"]
    assert len(listed) == 3
    traces = raw.ask("POST", "/v1/traces", content=b"", headers={"X-Mlflow-Experiment-Id": "0"})
    assert error(traces)[0] in (400, 415), "it reached the handler, which wants protobuf"


def test_experiment_0_is_the_projects_own_default(raw: RawMlflow, platform: Platform, project: Project) -> None:
    default = raw.ask("GET", "experiments/get", params={"experiment_id": "0"}).json()["experiment"]
    assert default["name"] == "Default" and default["experiment_id"] != "0"
    mine = default["experiment_id"]
    assert {start_run(raw)["experiment_id"], start_run(raw, experiment_id="0")["experiment_id"]} == {mine}
    named = raw.ask("GET", "experiments/get-by-name", params={"experiment_name": "Default"}).json()["experiment"]
    assert named["experiment_id"] == mine
    assert len(raw.ask("POST", "runs/search", json={"experiment_ids": ["0"]}).json()["runs"]) == 2
    tag = {"experiment_id": "0", "key": "experiment_id", "value": "0"}
    assert raw.ask("POST", "experiments/set-experiment-tag", json=tag).is_success
    kept = raw.ask("GET", "experiments/get?experiment_id=0").json()["experiment"]["tags"]
    assert {"key": "experiment_id", "value": "0"} in kept
    model = raw.ask("POST", "logged-models", json={"experiment_id": "0", "name": "m"}).json()["model"]["info"]
    assert model["experiment_id"] == mine
    found = raw.ask("POST", "logged-models/search", json={"experiment_ids": ["0"]}).json()["models"]
    assert [each["info"]["model_id"] for each in found] == [model["model_id"]]


def test_traces_of_experiment_0_belong_to_the_projects_default(raw: RawMlflow) -> None:
    mine = raw.ask("GET", "experiments/get?experiment_id=0").json()["experiment"]["experiment_id"]
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    info = {"trace_id": f"tr-{unique('x')}", "trace_location": place, "request_time": "2026-01-01T00:00:00Z"}
    info |= {"state": "OK", "trace_metadata": {"experiment_id": "0"}, "tags": {"experiment_id": "0"}}
    made = raw.ask("POST", "/api/3.0/mlflow/traces", json={"trace": {"trace_info": info}}).raise_for_status().json()
    made = made["trace"]["trace_info"]
    assert made["trace_location"]["mlflow_experiment"]["experiment_id"] == mine
    assert made["tags"]["experiment_id"] == "0" and made["trace_metadata"]["experiment_id"] == "0"
    found = raw.ask("POST", "/api/3.0/mlflow/traces/search", json={"locations": [place]}).json()["traces"]
    assert [each["trace_id"] for each in found] == [info["trace_id"]]
    assert raw.ask("GET", "traces?experiment_ids=0").json()["traces"]


def test_the_default_experiment_stays_the_default_when_renamed_and_closed_when_deleted(raw: RawMlflow) -> None:
    mine = start_run(raw)["experiment_id"]
    admin = raw.platform.exports(raw.uri.rsplit("/", 1)[1])["MLFLOW_TRACKING_USERNAME"]
    owner = RawMlflow(raw.platform, raw.uri, admin)
    assert owner.ask("POST", "experiments/update", json={"experiment_id": "0", "new_name": "ours"}).is_success
    assert start_run(raw)["experiment_id"] == mine
    assert owner.ask("POST", "experiments/delete", json={"experiment_id": "0"}).is_success
    closed = raw.ask("POST", "runs/create", json={"experiment_id": "0"})
    assert error(closed) == (400, "INVALID_PARAMETER_VALUE") and "active" in closed.text
    assert owner.ask("POST", "experiments/restore", json={"experiment_id": "0"}).is_success
    assert start_run(raw)["experiment_id"] == mine


def test_viewers_start_no_runs_in_experiment_0(platform: Platform, project: Project) -> None:
    viewer = contributor(platform, project.id, role=Role.VIEWER)
    assert viewer.ask("GET", "experiments/get?experiment_id=0").is_success
    assert error(viewer.ask("POST", "runs/create", json={"experiment_id": "0"})) == (403, "PERMISSION_DENIED")


def test_stock_code_starts_a_run_with_nothing_set(sdk: Callable[..., str]) -> None:
    code = (
        "import mlflow\n"
        "with mlflow.start_run() as run: mlflow.log_metric('a', 1)\n"
        "print(mlflow.get_experiment(run.info.experiment_id).name)\n"
    )
    assert "Default" in sdk(code)
