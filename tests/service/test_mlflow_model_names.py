"""Names of models and aliases: refused ones, taken ones, and the numbers of a name."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from support.mlflow_parts import Logged, Parts, running_parts


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    with running_parts() as running:
        yield running


@pytest.fixture(scope="module")
def logged(parts: Parts) -> Logged:
    return parts.log_model("ann")


def register(parts: Parts, name: str, logged: Logged, user: str = "ann") -> dict[str, Any]:
    answer = parts.register(user, name, logged)
    assert answer.is_success, answer.text
    version: dict[str, Any] = answer.json()["model_version"]
    return version


def rename(parts: Parts, name: str, new_name: str) -> httpx.Response:
    return parts.ask("ann", "POST", "registered-models/rename", json={"name": name, "new_name": new_name})


def delete(parts: Parts, name: str) -> None:
    parts.ask("ann", "DELETE", "registered-models/delete", json={"name": name}).raise_for_status()


def get_version(parts: Parts, name: str, version: int) -> httpx.Response:
    return parts.ask("ann", "GET", "model-versions/get", params={"name": name, "version": str(version)})


@pytest.mark.parametrize("path", ["model-versions/get", "model-versions/get-download-uri"])
def test_a_number_of_an_earlier_model_says_where_the_name_goes_on(parts: Parts, logged: Logged, path: str) -> None:
    name = f"Again {path[-3:]}"
    for _ in range(2):
        register(parts, name, logged)
    delete(parts, name)
    assert register(parts, name, logged)["version"] == "3"
    gone = parts.ask("ann", "GET", path, params={"name": name, "version": "1"})
    assert (gone.status_code, gone.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert "versions of this name go on at 3" in gone.json()["message"]
    never = parts.ask("ann", "GET", path, params={"name": name, "version": "7"})
    assert (never.status_code, "go on at" in never.text) == (404, False)


def test_a_deleted_version_of_a_model_that_kept_its_name_is_just_missing(parts: Parts, logged: Logged) -> None:
    register(parts, "Kept", logged)
    register(parts, "Kept", logged)
    parts.ask("ann", "DELETE", "model-versions/delete", json={"name": "Kept", "version": "1"}).raise_for_status()
    assert "go on at" not in get_version(parts, "Kept", 1).text
    rename(parts, "Kept", "Moved").raise_for_status()
    rename(parts, "Moved", "Kept").raise_for_status()
    assert "go on at" not in get_version(parts, "Kept", 1).text


def test_renaming_there_and_back_keeps_everything(parts: Parts, logged: Logged) -> None:
    register(parts, "There", logged)
    register(parts, "There", logged)
    for path, body in (
        ("registered-models/set-tag", {"key": "team", "value": "wine"}),
        ("registered-models/alias", {"alias": "champion", "version": "2"}),
        ("model-versions/set-tag", {"version": "1", "key": "tried", "value": "yes"}),
    ):
        parts.ask("ann", "POST", path, json={"name": "There", **body}).raise_for_status()
    for _ in range(2):
        rename(parts, "There", "Back").raise_for_status()
        answer = rename(parts, "Back", "There").raise_for_status().json()["registered_model"]
        assert (answer["name"], answer["tags"]) == ("There", [{"key": "team", "value": "wine"}])
        assert [(each["alias"], each["version"]) for each in answer["aliases"]] == [("champion", "2")]
    assert get_version(parts, "There", 1).json()["model_version"]["tags"] == [{"key": "tried", "value": "yes"}]
    assert register(parts, "There", logged)["version"] == "3"


def test_a_deleted_and_made_again_name_can_be_renamed_and_renamed_back(parts: Parts, logged: Logged) -> None:
    register(parts, "Phoenix", logged)
    delete(parts, "Phoenix")
    register(parts, "Phoenix", logged)
    rename(parts, "Phoenix", "Ash").raise_for_status()
    rename(parts, "Ash", "Phoenix").raise_for_status()
    assert get_version(parts, "Phoenix", 2).is_success


def test_a_taken_name_is_refused_in_words(parts: Parts, logged: Logged) -> None:
    register(parts, "One", logged)
    register(parts, "Two", logged)
    prompt = {"name": "Three", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}
    parts.ask("ann", "POST", "registered-models/create", json=prompt).raise_for_status()
    for taken, kind in (("Two", "Registered Model"), ("Three", "Prompt")):
        refused = rename(parts, "One", taken)
        assert (refused.status_code, refused.json()["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")
        assert refused.json()["message"] == f"{kind} (name={taken}) already exists. Choose another name."
    assert rename(parts, "One", "One").is_success


def test_of_many_renames_to_one_name_one_is_done_and_the_others_are_refused_in_words(
    parts: Parts, logged: Logged
) -> None:
    names = [f"Runner {number}" for number in range(8)]
    for name in names:
        register(parts, name, logged)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda name: rename(parts, name, "Winner"), names))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    for refused in (answer.json() for answer in answers if answer.is_error):
        assert refused["error_code"] == "RESOURCE_ALREADY_EXISTS"
        assert refused["message"] == "Registered Model (name=Winner) already exists. Choose another name."


@pytest.mark.parametrize("alias", ["champion", "a-b_c", "é", "2", "x" * 255])
def test_aliases_that_mlflow_takes(parts: Parts, logged: Logged, alias: str) -> None:
    register(parts, "Aliased", logged)
    body = {"name": "Aliased", "alias": alias, "version": "1"}
    parts.ask("ann", "POST", "registered-models/alias", json=body).raise_for_status()
    found = parts.ask("ann", "GET", "registered-models/alias", params={"name": "Aliased", "alias": alias})
    assert found.json()["model_version"]["version"] == "1"


@pytest.mark.parametrize("alias", ["", "a b", "a.b", "a@b", "latest", "Latest", "v1", "V12", "x" * 256, "champion\n"])
def test_aliases_that_are_refused(parts: Parts, logged: Logged, alias: str) -> None:
    register(parts, "Not aliased", logged)
    body = {"name": "Not aliased", "alias": alias, "version": "1"}
    refused = parts.ask("ann", "POST", "registered-models/alias", json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
