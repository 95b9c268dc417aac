"""Prompts are not models: stock prompt code works as with MLflow's own store, and the team shares its prompts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.mlflow_parts import REGISTRY, Logged, Parts, running_parts
from support.platforms import run_python

#: Every call about prompts; prints each result or error.
CALLS = """
import json, mlflow
from mlflow.exceptions import MlflowException

client, said = mlflow.MlflowClient(), []
experiment = mlflow.set_experiment("prompts").experiment_id


def plain(value):
    if hasattr(value, "template"):
        tags = {key: text for key, text in value.tags.items() if "experiment" not in key}
        # Over REST an empty text and none are the same.
        shown = [value.name, value.version, value.template, value.commit_message or "", tags, sorted(value.aliases)]
        return [*shown, value.response_format, value.model_config and str(value.model_config)]
    if hasattr(value, "creation_timestamp"):
        tags = {key: text for key, text in value.tags.items() if "experiment" not in key}
        return [value.name, value.description or "", tags]
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def call(step, function, *arguments, **named):
    try:
        said.append([step, plain(function(*arguments, **named))])
    except MlflowException as error:
        # A REST client puts the code before the message.
        said.append([step, error.error_code, error.message.removeprefix(f"{error.error_code}: ")])


genai = mlflow.genai
call("first", genai.register_prompt, "greet", "Hello {{name}}", commit_message="one", tags={"team": "wine"})
chat = [{"role": "system", "content": "Be {{style}}"}, {"role": "user", "content": "{{question}}"}]
call("second", genai.register_prompt, "greet", chat, response_format={"type": "object"},
     model_config={"model_name": "tiny", "temperature": 0.5})
call("third", genai.register_prompt, "greet", "x" * 90_000)
call("other", genai.register_prompt, "other", "Bye")
for version in (1, 2):
    call("load", genai.load_prompt, "greet", version=version)
    call("load address", genai.load_prompt, f"prompts:/greet/{version}")
call("latest", genai.load_prompt, "prompts:/greet@latest")
call("by name", genai.load_prompt, "other")
call("missing", genai.load_prompt, "nothing", version=1)
call("missing version", genai.load_prompt, "greet", version=9)
call("allowed to miss", genai.load_prompt, "nothing", allow_missing=True)
call("alias", genai.set_prompt_alias, "greet", "production", 1)
call("load alias", genai.load_prompt, "prompts:/greet@production", cache_ttl_seconds=0)
call("cached", genai.load_prompt, "prompts:/greet@production", cache_ttl_seconds=60)
call("alias moves", genai.set_prompt_alias, "greet", "production", 2)
call("moved", genai.load_prompt, "prompts:/greet@production", cache_ttl_seconds=0)
call("reserved alias", genai.set_prompt_alias, "greet", "latest", 1)
call("alias goes", genai.delete_prompt_alias, "greet", "production")
call("gone alias", genai.load_prompt, "prompts:/greet@production", cache_ttl_seconds=0)
call("tag", genai.set_prompt_tag, "greet", "stage", "new")
call("tags", lambda: {k: v for k, v in genai.get_prompt_tags("greet").items() if "experiment" not in k})
call("tag goes", genai.delete_prompt_tag, "greet", "stage")
call("version tag", genai.set_prompt_version_tag, "greet", 1, "tried", "yes")
call("tagged version", genai.load_prompt, "greet", version=1, cache_ttl_seconds=0)
call("version tag goes", genai.delete_prompt_version_tag, "greet", 1, "tried")
call("config", genai.set_prompt_model_config, "greet", 1, {"model_name": "small"})
call("with config", genai.load_prompt, "greet", version=1, cache_ttl_seconds=0)
call("config goes", genai.delete_prompt_model_config, "greet", 1)
call("search", lambda: [plain(each) for each in genai.search_prompts(filter_string="name = 'greet'")])
call("all", lambda: sorted(each.name for each in genai.search_prompts()))
call("prompt", client.get_prompt, "greet")
call("no prompt", client.get_prompt, "nothing")
call("versions", lambda: [each.version for each in client.search_prompt_versions("greet")])
with mlflow.start_run() as run:
    genai.load_prompt("greet", version=1)
    call("link", client.link_prompt_version_to_run, run.info.run_id, "prompts:/greet/2")
call("linked", lambda: sorted(each.version for each in client.list_logged_prompts(run.info.run_id)))
call("no version tag", genai.set_prompt_version_tag, "greet", 9, "a", "b")
call("version goes", client.delete_prompt_version, "greet", "3")
call("gone", genai.load_prompt, "greet", version=3)
call("next number", genai.register_prompt, "greet", "again")
call("too long", genai.register_prompt, "long", "x" * 100_001)
call("nothing stays", lambda: sorted(each.name for each in genai.search_prompts()))
call("bad name", genai.register_prompt, "a b", "x")
call("model", client.create_registered_model, "amodel")
call("prompt over model", genai.register_prompt, "amodel", "x")
call("create prompt over model", client.create_prompt, "amodel")
call("model over prompt", client.create_registered_model, "greet")
call("models", lambda: [each.name for each in client.search_registered_models()])
call("as a model", client.get_registered_model, "greet")
call("prompt goes", client.delete_prompt, "greet")
call("begins anew", genai.register_prompt, "greet", "new")
print("SAID", json.dumps(said))
"""


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    with running_parts() as running:
        yield running


def said(output: str) -> list[Any]:
    steps: list[Any] = json.loads(output.split("SAID ", 1)[1].splitlines()[0])
    return steps


def test_every_call_about_prompts_answers_as_mlflows_own_store(parts: Parts, tmp_path: Path) -> None:
    stock = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/stock.db"}
    ours = said(run_python(CALLS, parts.exports("wine", "ann")))
    expected = said(run_python(CALLS, stock))
    for answer, wanted in zip(ours, expected, strict=True):
        assert answer == wanted
    steps = {step: answer for step, *answer in ours}
    assert "100001" in steps["too long"][1] or "exceeds" in steps["too long"][1]
    assert steps["next number"][0][1] == 4


BOB = """
import mlflow
mlflow.genai.register_prompt("shared", "by bob", tags={"by": "bob"})
mlflow.genai.set_prompt_alias("shared", "production", 1)
mlflow.genai.set_prompt_version_tag("shared", 1, "tried", "yes")
client = mlflow.MlflowClient()
client.delete_prompt_version("shared", "2")
print("SAID", mlflow.genai.load_prompt("prompts:/shared@production").template)
"""
VIC = """
import mlflow
print("SAID", mlflow.genai.load_prompt("prompts:/shared@production").template)
try:
    mlflow.genai.register_prompt("shared", "by vic")
except mlflow.exceptions.MlflowException as error:
    print("REFUSED", error.error_code)
"""


def test_contributors_share_the_prompts_of_their_project_and_viewers_read_them(parts: Parts) -> None:
    run_python('import mlflow; mlflow.genai.register_prompt("shared", "by ann")', parts.exports("wine", "ann"))
    assert "SAID by ann" in run_python(BOB, parts.exports("wine", "bob"))
    viewer = run_python(VIC, parts.exports("wine", "vic"))
    assert "SAID by ann" in viewer
    assert "REFUSED PERMISSION_DENIED" in viewer
    assert "SAID by ann" in run_python(
        'import mlflow; print("SAID", mlflow.genai.load_prompt("shared", version=1).template)',
        parts.exports("beer", "cleo"),
    )


TEXT = [{"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "mlflow.prompt.text", "value": "x"}]
#: Every call that changes a prompt or its versions.
CHANGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("PATCH", "registered-models/update", {"description": "mine now"}),
    ("POST", "registered-models/set-tag", {"key": "a", "value": "b"}),
    ("DELETE", "registered-models/delete-tag", {"key": "team"}),
    ("POST", "registered-models/alias", {"alias": "production", "version": "1"}),
    ("DELETE", "registered-models/alias", {"alias": "live"}),
    ("POST", "registered-models/rename", {"new_name": "taken-over"}),
    ("POST", "model-versions/create", {"source": "prompt-template", "tags": TEXT}),
    ("POST", "model-versions/set-tag", {"version": "1", "key": "a", "value": "b"}),
    ("DELETE", "model-versions/delete-tag", {"version": "1", "key": "tried"}),
    ("PATCH", "model-versions/update", {"version": "1", "description": "mine now"}),
    ("DELETE", "model-versions/delete", {"version": "1"}),
    ("DELETE", "registered-models/delete", {}),
)
OURS = """
import mlflow
mlflow.genai.register_prompt("ours", "by ann", tags={"tried": "yes"})
mlflow.genai.set_prompt_tag("ours", "team", "wine")
mlflow.genai.set_prompt_alias("ours", "live", 1)
"""


def facts(parts: Parts, name: str) -> list[Any]:
    version = parts.ask("ann", "GET", "model-versions/get", params={"name": name, "version": "1"}).json()
    return [parts.ask("ann", "GET", "registered-models/get", params={"name": name}).json(), version]


def test_contributors_of_other_projects_read_a_prompt_and_do_not_change_it(parts: Parts) -> None:
    run_python(OURS, parts.exports("wine", "ann"))
    before = facts(parts, "ours")
    for method, path, body in CHANGES:
        refused = parts.ask("cleo", method, path, project="beer", json={"name": "ours", **body})
        assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED"), (path, body)
        assert "belongs to another project" in refused.json()["message"]
    assert facts(parts, "ours") == before
    # Ann contributes to the project that made it, from wherever she asks.
    tag = {"name": "ours", "key": "a", "value": "b"}
    parts.ask("ann", "POST", "registered-models/set-tag", project="beer", json=tag).raise_for_status()
    # Its project follows a new name, and a deleted prompt leaves nothing behind.
    renamed = {"name": "ours", "new_name": "renamed"}
    parts.ask("bob", "POST", "registered-models/rename", json=renamed).raise_for_status()
    again = {"name": "renamed", "new_name": "ours"}
    assert parts.ask("cleo", "POST", "registered-models/rename", project="beer", json=again).status_code == 403
    parts.ask("bob", "DELETE", "registered-models/delete", json={"name": "renamed"}).raise_for_status()
    for name in ("ours", "renamed"):
        body = {"name": name, "tags": TEXT[:1]}
        parts.ask("cleo", "POST", "registered-models/create", project="beer", json=body).raise_for_status()
        assert parts.ask("bob", "DELETE", "registered-models/delete", json={"name": name}).status_code == 403
        parts.ask("cleo", "DELETE", "registered-models/delete", project="beer", json={"name": name}).raise_for_status()


def test_a_prompt_whose_project_was_never_noted_is_changed_by_every_contributor(parts: Parts) -> None:
    run_python('import mlflow; mlflow.genai.register_prompt("older", "by ann")', parts.exports("wine", "ann"))
    with closing(sqlite3.connect(parts.home.mlflow_database)) as database, database:
        database.execute("UPDATE registry_tui_prompt_projects SET project_id = '' WHERE name = 'older'")
    tag = {"name": "older", "key": "a", "value": "b"}
    parts.ask("cleo", "POST", "registered-models/set-tag", project="beer", json=tag).raise_for_status()
    # One whose project is gone is not everybody's.
    for change in (
        "UPDATE registry_tui_prompt_projects SET project_id = 'gone'",
        "DELETE FROM registry_tui_prompt_projects",
    ):
        with closing(sqlite3.connect(parts.home.mlflow_database)) as database, database:
            database.execute(f"{change} WHERE name = 'older'")
        refused = parts.ask("cleo", "POST", "registered-models/set-tag", project="beer", json=tag)
        assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
        assert "no project that is still there; only administrators may" in refused.json()["message"]


def test_a_prompt_has_no_facts_of_ours_and_waits_for_no_archive(parts: Parts) -> None:
    run_python('import mlflow; mlflow.genai.register_prompt("factless", "x")', parts.exports("wine", "ann"))
    named = {"name": "factless", "version": "1"}
    model = parts.mlflow.call("GET", "registered-models/get", workspace=REGISTRY, params={"name": "factless"})
    version = parts.mlflow.call("GET", "model-versions/get", workspace=REGISTRY, params=named)["model_version"]
    for tags in (model["registered_model"]["tags"], version["tags"]):
        assert not [tag for tag in tags if tag["key"].startswith("registry_tui.")]
    assert version["status"] == "READY"
    assert "factless" not in {each["name"] for each in parts.mlflow.search_pending_versions(REGISTRY)}


REGISTER = """
import sys, mlflow
try:
    mlflow.register_model(sys.argv[1], "words", await_registration_for=0)
except mlflow.exceptions.MlflowException as error:
    print("REFUSED", error.error_code, error.message)
"""


def test_a_model_is_not_added_to_a_prompt_nor_a_prompt_to_a_model(parts: Parts) -> None:
    logged: Logged = parts.log_model("ann")
    run_python('import mlflow; mlflow.genai.register_prompt("words", "x")', parts.exports("wine", "ann"))
    refused = run_python(REGISTER, parts.exports("wine", "ann"), f"runs:/{logged.run_id}/model")
    assert "REFUSED RESOURCE_ALREADY_EXISTS 'words' is the name of a prompt" in refused.replace(
        "RESOURCE_ALREADY_EXISTS: ", ""
    )

    parts.register("ann", "numbers", logged).raise_for_status()
    marks = [{"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "mlflow.prompt.text", "value": "x"}]
    body = {"name": "numbers", "source": "dummy-source", "tags": marks}
    added = parts.ask("ann", "POST", "model-versions/create", json=body)
    assert (added.status_code, added.json()["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")
    assert "is the name of a model" in added.json()["message"]


def test_nothing_turns_a_model_into_a_prompt_or_back(parts: Parts) -> None:
    parts.ask("ann", "POST", "registered-models/create", json={"name": "model"}).raise_for_status()
    prompt = {"name": "prompt", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}
    parts.ask("ann", "POST", "registered-models/create", json=prompt).raise_for_status()
    mark = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    for method, path, body in (
        ("POST", "registered-models/set-tag", {"name": "model", **mark}),
        ("POST", "registered-models/set-tag", {"name": "prompt", **mark, "value": "false"}),
        ("DELETE", "registered-models/delete-tag", {"name": "prompt", "key": mark["key"]}),
        ("POST", "registered-models/create", {"name": "half", "tags": [{**mark, "value": "TRUE"}]}),
    ):
        refused = parts.ask("ann", method, path, json=body)
        assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), (path, body)
