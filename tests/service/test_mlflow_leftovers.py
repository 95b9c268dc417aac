"""Leftovers of a refused registration, models without versions, and our facts at the border to clients."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import httpx
import pytest

from registry_tui.service.errors import Missing
from support.mlflow_parts import REGISTRY, Logged, Parts, running_parts
from support.platforms import PATIENCE, clean_environment, run_python, wait_for


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    with running_parts() as running:
        yield running


@pytest.fixture(scope="module")
def logged(parts: Parts) -> Logged:
    return parts.log_model("ann")


def make(parts: Parts, user: str, name: str, **more: Any) -> httpx.Response:
    return parts.ask(user, "POST", "registered-models/create", json={"name": name, **more})


def refuse(parts: Parts, user: str, name: str, logged: Logged) -> httpx.Response:
    """Requests a version of a folder without a model."""
    body = {"name": name, "source": f"{logged.source}/nothing", "run_id": logged.run_id}
    refused = parts.ask(user, "POST", "model-versions/create", json=body)
    assert refused.status_code == 400
    assert "holds no MLmodel file" in refused.json()["message"]
    return refused


def add(parts: Parts, user: str, name: str, logged: Logged) -> httpx.Response:
    body = {"name": name, "source": logged.source, "run_id": logged.run_id}
    return parts.ask(user, "POST", "model-versions/create", json=body)


def found(parts: Parts, name: str, user: str = "ann") -> dict[str, Any]:
    answer = parts.ask(user, "GET", "registered-models/get", params={"name": name})
    model: dict[str, Any] = answer.raise_for_status().json()["registered_model"]
    return model


def listed(parts: Parts, name: str, user: str = "ann") -> bool:
    answer = parts.ask(user, "GET", "registered-models/search", params={"filter": f"name = '{name}'"})
    return "registered_models" in answer.raise_for_status().json()


def grants_by_name(parts: Parts) -> list[tuple[str, str]]:
    """MLflow's grants on single models and prompts."""
    with closing(sqlite3.connect(parts.home.mlflow_auth_database)) as database:
        return database.execute(
            "SELECT resource_type, resource_pattern FROM role_permissions"
            " WHERE resource_type IN ('registered_model', 'prompt') AND resource_pattern != '*'"
        ).fetchall()


# -- models without versions ------------------------------------------------------------------


def test_a_model_without_versions_is_listed(parts: Parts) -> None:
    make(parts, "ann", "Bare").raise_for_status()
    assert listed(parts, "Bare")


def test_what_a_refused_registration_leaves_behind_is_not_listed_until_something_is_done_with_it(
    parts: Parts, logged: Logged
) -> None:
    make(parts, "ann", "Refused").raise_for_status()
    refuse(parts, "ann", "Refused", logged)
    assert not listed(parts, "Refused")
    assert found(parts, "Refused")["name"] == "Refused"
    assert add(parts, "ann", "Refused", logged).json()["model_version"]["version"] == "1"
    assert listed(parts, "Refused")

    for name, path, body in (
        ("Described", "registered-models/update", {"description": "kept"}),
        ("Tagged", "registered-models/set-tag", {"key": "team", "value": "wine"}),
        ("Before", "registered-models/rename", {"new_name": "After"}),
    ):
        make(parts, "ann", name).raise_for_status()
        refuse(parts, "ann", name, logged)
        method = "PATCH" if path.endswith("update") else "POST"
        parts.ask("ann", method, path, json={"name": name, **body}).raise_for_status()
        assert listed(parts, body.get("new_name", name)), name


REGISTER = """
import sys, mlflow
for source, name in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    try:
        mlflow.register_model(source, name)
    except mlflow.exceptions.MlflowException as error:
        print("REFUSED", name)
"""


def test_what_the_client_itself_finds_to_be_no_model_is_not_listed(parts: Parts, logged: Logged) -> None:
    arguments = (f"runs:/{logged.run_id}/notes", "No folder", f"runs:/{'0' * 32}/model", "No run")
    output = run_python(REGISTER, parts.exports("wine", "ann"), *arguments)
    for name in ("No folder", "No run"):
        assert f"REFUSED {name}" in output
        assert found(parts, name)["name"] == name
        assert not listed(parts, name)


def test_looking_for_something_else_leaves_a_new_model_in_the_list(parts: Parts, logged: Logged) -> None:
    make(parts, "ann", "Looked").raise_for_status()
    for filter_ in ("", "name LIKE 'x%'", "name = 'x' AND source_run_id = 'y'"):
        body = {"experiment_ids": [logged.experiment_id], "filter": filter_}
        parts.ask("ann", "POST", "logged-models/search", json=body).raise_for_status()
    parts.ask("ann", "GET", "runs/get", params={"run_id": logged.run_id}).raise_for_status()
    parts.ask("bob", "GET", "runs/get", params={"run_id": "0" * 32})
    assert listed(parts, "Looked")


def test_a_refused_leftover_blocks_nobody(parts: Parts, logged: Logged) -> None:
    make(parts, "ann", "Free").raise_for_status()
    first = parts.mlflow.call("GET", "registered-models/get", workspace=REGISTRY, params={"name": "Free"})
    refuse(parts, "ann", "Free", logged)
    make(parts, "bob", "Free", description="bob's own").raise_for_status()
    second = parts.mlflow.call("GET", "registered-models/get", workspace=REGISTRY, params={"name": "Free"})
    facts = [{tag["key"]: tag["value"] for tag in each["registered_model"]["tags"]} for each in (first, second)]
    assert [each["registry_tui.owner"] for each in facts] == ["ann", "bob"]
    assert facts[0]["registry_tui.model_id"] != facts[1]["registry_tui.model_id"]
    assert "registry_tui.left_behind" not in facts[1]
    assert make(parts, "ann", "Free").json()["error_code"] == "RESOURCE_ALREADY_EXISTS"


def test_a_list_then_create_script_works_after_a_refused_registration(parts: Parts, logged: Logged) -> None:
    make(parts, "ann", "Script").raise_for_status()
    refuse(parts, "ann", "Script", logged)
    assert not listed(parts, "Script")
    make(parts, "ann", "Script").raise_for_status()
    assert listed(parts, "Script")


# -- only the registration's own model is removed ----------------------------------------------


def test_a_model_that_was_made_on_purpose_stays_when_its_first_version_is_refused(parts: Parts, logged: Logged) -> None:
    make(parts, "ann", "Purpose", description="fraud", tags=[{"key": "team", "value": "wine"}]).raise_for_status()
    refuse(parts, "ann", "Purpose", logged)
    assert listed(parts, "Purpose")
    kept = found(parts, "Purpose")
    assert (kept["description"], kept["tags"]) == ("fraud", [{"key": "team", "value": "wine"}])


def test_a_model_of_somebody_else_stays_when_a_version_is_refused(parts: Parts, logged: Logged) -> None:
    make(parts, "ann", "Anns").raise_for_status()
    refuse(parts, "bob", "Anns", logged)
    assert listed(parts, "Anns")


REGISTER_WHEN_UP = """
import sys, mlflow
version = mlflow.register_model(sys.argv[1], "Restarted", await_registration_for=0)
print("RESULT", version.version)
"""


def test_a_registration_outlives_a_restart_of_the_object_store(parts: Parts, logged: Logged) -> None:
    with parts.without_object_store():
        make(parts, "ann", "Unlucky", description="").raise_for_status()
        failed = add(parts, "ann", "Unlucky", logged)
        assert failed.status_code >= 500, failed.text
        assert listed(parts, "Unlucky")
        retrying = subprocess.Popen(
            [sys.executable, "-c", REGISTER_WHEN_UP, f"runs:/{logged.run_id}/model"],
            env=clean_environment(parts.exports("wine", "ann")),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: listed(parts, "Restarted"), what="the SDK's first call")
    output, errors = retrying.communicate(timeout=2 * PATIENCE)
    assert "RESULT 1" in output, errors
    add(parts, "ann", "Unlucky", logged).raise_for_status()


def test_the_service_deletes_a_model_of_its_own_only_while_it_has_no_version(parts: Parts, logged: Logged) -> None:
    def withdraw(name: str, model_id: str) -> None:
        body = {"name": name, "key": "registry_tui.withdraw", "value": model_id}
        with suppress(Missing):  # MLflow's handler looks the model up behind the store
            parts.mlflow.call("POST", "registered-models/set-tag", workspace=REGISTRY, json=body)

    def id_of(name: str) -> str:
        answer = parts.mlflow.call("GET", "registered-models/get", workspace=REGISTRY, params={"name": name})
        return next(str(tag["value"]) for tag in answer["registered_model"]["tags"] if tag["key"].endswith("model_id"))

    make(parts, "ann", "Taken back", description="only of this request").raise_for_status()
    withdraw("Taken back", "another-id")
    assert found(parts, "Taken back")
    withdraw("Taken back", id_of("Taken back"))
    with pytest.raises(Missing):
        id_of("Taken back")
    make(parts, "ann", "Has one").raise_for_status()
    add(parts, "ann", "Has one", logged).raise_for_status()
    withdraw("Has one", id_of("Has one"))
    assert found(parts, "Has one")
    tag = {"name": "Has one", "key": "registry_tui.withdraw", "value": id_of("Has one")}
    assert parts.ask("ann", "POST", "registered-models/set-tag", json=tag).status_code == 403


def test_mlflow_grants_nothing_by_name_so_that_nothing_is_left_of_it(parts: Parts, logged: Logged) -> None:
    for name in ("Granted", "Other"):
        make(parts, "ann", name).raise_for_status()
        add(parts, "ann", name, logged).raise_for_status()
    assert grants_by_name(parts) == []
    # As the service deletes: in the registry's own workspace.
    parts.mlflow.call("DELETE", "registered-models/delete", workspace=REGISTRY, json={"name": "Other"})
    make(parts, "ann", "Third").raise_for_status()
    renamed = parts.ask("ann", "POST", "registered-models/rename", json={"name": "Third", "new_name": "Fourth"})
    assert renamed.is_success, renamed.text
    parts.ask(
        "ann", "POST", "registered-models/rename", json={"name": "Fourth", "new_name": "Third"}
    ).raise_for_status()
    assert found(parts, "Third")["name"] == "Third"


# -- our facts --------------------------------------------------------------------------------


VERSIONS_IN_GRAPHQL = """
query { mlflowSearchModelVersions(input: {filter: "name = 'Facts'"}) { modelVersions { name tags { key value } } } }
"""


def test_no_answer_to_a_client_holds_our_facts(parts: Parts, logged: Logged) -> None:
    tags = [{"key": "team", "value": "wine"}]
    answers = [make(parts, "ann", "Facts", tags=tags)]
    version = {"name": "Facts", "version": "1"}
    body = {"name": "Facts", "source": logged.source, "run_id": logged.run_id, "tags": tags}
    answers.append(parts.ask("ann", "POST", "model-versions/create", json=body))
    parts.store_archive(answers[-1].json()["model_version"])
    alias = {**version, "alias": "champion"}
    parts.ask("ann", "POST", "registered-models/alias", json=alias).raise_for_status()
    for method, path, request in (
        ("GET", "registered-models/get", {"params": {"name": "Facts"}}),
        ("GET", "registered-models/search", {"params": {"filter": "name = 'Facts'"}}),
        ("GET", "model-versions/get", {"params": version}),
        ("GET", "model-versions/search", {"params": {"filter": "name = 'Facts'"}}),
        ("GET", "registered-models/alias", {"params": {"name": "Facts", "alias": "champion"}}),
        ("POST", "registered-models/get-latest-versions", {"json": {"name": "Facts"}}),
        ("PATCH", "registered-models/update", {"json": {"name": "Facts", "description": "x"}}),
        ("PATCH", "model-versions/update", {"json": {**version, "description": "x"}}),
        ("POST", "model-versions/transition-stage", {"json": {**version, "stage": "Staging"}}),
        ("POST", "registered-models/rename", {"json": {"name": "Facts", "new_name": "Facts 2"}}),
        ("POST", "registered-models/rename", {"json": {"name": "Facts 2", "new_name": "Facts"}}),
        ("POST", "/graphql", {"json": {"query": VERSIONS_IN_GRAPHQL}}),
    ):
        answers.append(parts.ask("ann", method, path, project="wine", **request))
    for answer in answers:
        assert answer.is_success, (answer.url, answer.text)
        assert "registry_tui." not in answer.text, answer.url
        assert "wine" in answer.text, answer.url
    stored = parts.mlflow.call("GET", "model-versions/get", workspace=REGISTRY, params=version)["model_version"]
    assert "registry_tui.creator" in {tag["key"] for tag in stored["tags"]}


def test_no_filter_of_a_client_finds_by_our_facts(parts: Parts, logged: Logged) -> None:
    make(parts, "ann", "Sought").raise_for_status()
    add(parts, "ann", "Sought", logged).raise_for_status()
    for filter_ in ("tags.`registry_tui.owner` = 'ann'", "tags.`registry_tui.owner` LIKE '%'"):
        for path in ("registered-models/search", "model-versions/search"):
            answer = parts.ask("ann", "GET", path, params={"filter": filter_.replace("owner", "creator")})
            assert answer.raise_for_status().json() == {}, path
        answer = parts.ask("ann", "GET", "registered-models/search", params={"filter": filter_})
        assert answer.raise_for_status().json() == {}
    of_service = parts.mlflow.call(
        "GET", "registered-models/search", workspace=REGISTRY, params={"filter": "tags.`registry_tui.owner` = 'ann'"}
    )
    assert "Sought" in [model["name"] for model in of_service["registered_models"]]


TAGS_IN_SDK = """
import sys, json, mlflow
client = mlflow.MlflowClient()
mlflow.register_model(sys.argv[1], "Sdk", tags={"stage": "new"}, await_registration_for=0)
version = client.get_model_version("Sdk", 1)
copy = client.get_registered_model("Sdk")
print("RESULT", json.dumps([version.tags, copy.tags, [dict(v.tags) for v in copy.latest_versions]]))
"""


def test_tags_in_the_sdk_are_the_persons_own(parts: Parts, logged: Logged) -> None:
    output = run_python(TAGS_IN_SDK, parts.exports("wine", "ann"), f"runs:/{logged.run_id}/model")
    assert json.loads(output.split("RESULT ", 1)[1]) == [{"stage": "new"}, {}, [{"stage": "new"}]]
