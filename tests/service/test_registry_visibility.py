"""Private models at every door of MLflow's registry: REST, its twin for the web page, GraphQL, artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from mlflow.server.graphql.graphql_schema_extensions import schema

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, RegistryError
from registry_tui.schemas.models import ModelUpdate, Visibility
from registry_tui.schemas.places import CollaboratorChange, Role
from support.platforms import Platform, unique
from support.private_models import (
    EXPECTED,
    MODEL_FILE,
    NEEDS,
    OUTSIDERS,
    SEEING,
    Stage,
    outcome,
    plain,
    registry_calls,
    set_stage,
    values_for,
)


@pytest.fixture(scope="module")
def stage(platform: Platform) -> Iterator[Stage]:
    with set_stage(platform) as made:
        yield made


def test_every_registry_call_has_a_row() -> None:
    assert {call.name for call in registry_calls()} == set(NEEDS)


@pytest.mark.parametrize("person", ["contributor elsewhere", "viewer elsewhere", "nobody"])
def test_whoever_may_not_see_a_private_model_hears_the_same_as_of_a_missing_one(stage: Stage, person: str) -> None:
    before = stage.everything(stage.private)
    for call in registry_calls():
        need = NEEDS[call.name]
        values = values_for(call, stage, stage.private)
        answer = stage.ask(person, call.method, call.path, values)
        assert outcome(answer, stage.private) == EXPECTED["private"][person][need], (call, answer.text)
        if need != "create" and call.path.startswith("/api/"):
            missing = unique("private")
            of_missing = stage.ask(person, call.method, call.path, {**values, **values_for(call, stage, missing)})
            assert plain(answer, stage.private) == plain(of_missing, missing), call
        elif outcome(answer, stage.private) == "taken":
            assert "choose another name" in answer.json()["message"]
    assert stage.everything(stage.private) == before


def test_the_registrys_own_workspace_is_no_way_around(stage: Stage) -> None:
    workspace = "mr-local"
    for call in registry_calls("/api/"):
        if (need := NEEDS[call.name]) in ("read", "search", "own"):
            values = values_for(call, stage, stage.private)
            answer = stage.ask("contributor elsewhere", call.method, call.path, values, workspace=workspace)
            assert outcome(answer, stage.private) == OUTSIDERS["contributor elsewhere"][need], (call, answer.text)


@pytest.mark.parametrize("kind", ["private", "public"])
@pytest.mark.parametrize("person", list(SEEING))
def test_each_person_may_do_what_the_rule_says(stage: Stage, kind: str, person: str) -> None:
    name = {"private": stage.private, "public": stage.public}[kind]
    expected = EXPECTED[kind][person]
    for call in registry_calls("/api/"):
        need = NEEDS[call.name]
        if expected[need] == "done" and need != "read":
            continue  # calls that change something have tests of their own
        answer = stage.ask(person, call.method, call.path, values_for(call, stage, name))
        assert outcome(answer, name) == expected[need], (call, answer.text)


def test_the_owner_may_make_every_change(stage: Stage) -> None:
    name = unique("owned")
    stage.register(name)
    changes = {call.name: call for call in registry_calls("/api/") if call.method != "GET"}
    last = ("RenameRegisteredModel", "DeleteModelVersion", "DeleteRegisteredModel")
    order = [each for each in NEEDS if NEEDS[each] == "own" and each not in last] + list(last)
    for each in order:
        values = values_for(changes[each], stage, name)
        answer = stage.ask("owner", changes[each].method, changes[each].path, values)
        assert outcome(answer, name) == "done", (each, answer.text)
        name = values.get("new_name", name)


def test_a_teammate_adds_a_version_and_somebody_elsewhere_does_not(stage: Stage) -> None:
    before = stage.everything(stage.private)
    body = {"name": stage.private, "source": stage.source, "run_id": stage.run_id}
    refused = stage.ask("contributor elsewhere", "POST", "model-versions/create", body)
    assert refused.status_code == 404 and stage.everything(stage.private) == before
    assert "choose another name" in refused.json()["message"]
    copied = {"name": stage.private, "source": f"models:/{stage.public}/1"}
    assert stage.ask("contributor elsewhere", "POST", "model-versions/create", copied).status_code == 404
    version = stage.add_version(stage.private, "teammate")
    params = {"name": stage.private, "version": version}
    stage.ask("teammate", "DELETE", "model-versions/delete", params).raise_for_status()


def test_a_private_model_is_not_copied_by_somebody_elsewhere(stage: Stage) -> None:
    answers = []
    for source in (stage.private, unique("private")):
        name = unique("copy")
        stage.ask("contributor elsewhere", "POST", "registered-models/create", {"name": name}).raise_for_status()
        body = {"name": name, "source": f"models:/{source}/1"}
        answer = stage.ask("contributor elsewhere", "POST", "model-versions/create", body)
        assert outcome(answer, name) == "missing", answer.text
        answers.append(plain(answer, source))
    assert answers[0] == answers[1]


def test_a_copy_is_seen_by_the_team_that_copied_it(stage: Stage) -> None:
    name = unique("copy")
    stage.ask("contributor elsewhere", "POST", "registered-models/create", {"name": name}).raise_for_status()
    body = {"name": name, "source": f"models:/{stage.public}/1"}
    stage.ask("contributor elsewhere", "POST", "model-versions/create", body).raise_for_status()
    params = {"name": name, "version": "1"}
    assert stage.ask("viewer elsewhere", "GET", "model-versions/get", params).is_success
    assert stage.ask("owner", "GET", "model-versions/get", params).status_code == 404


def test_deleting_the_only_version_from_a_project_takes_its_people_out(stage: Stage) -> None:
    name = unique("shared")
    stage.register(name)
    registry = stage.origin.registry_id or ""
    owner, far = stage.people["owner"], stage.people["contributor elsewhere"]
    stage.platform.ask(
        lambda client: client.set_collaborator(stage.elsewhere.id, owner, CollaboratorChange(role=Role.CONTRIBUTOR))
    )
    body = {"name": name, "source": f"models:/{name}/1"}
    made = stage.ask("owner", "POST", "model-versions/create", body, workspace=stage.elsewhere.mlflow_workspace)
    params = {"name": name, "version": made.raise_for_status().json()["model_version"]["version"]}
    assert stage.ask("contributor elsewhere", "GET", "model-versions/get", params).is_success
    assert stage.platform.ask(lambda client: client.model(registry, name), user=far).name == name
    stage.ask("owner", "DELETE", "model-versions/delete", params).raise_for_status()
    assert stage.ask("contributor elsewhere", "GET", "registered-models/get", {"name": name}).status_code == 404
    with pytest.raises(RegistryError, match="no model"):
        stage.platform.ask(lambda client: client.model(registry, name), user=far)


def test_pages_of_a_search_are_full_without_hidden_models(stage: Stage) -> None:
    prefix, registry = unique("page"), stage.origin.registry_id or ""
    names = [f"{prefix}-{number}" for number in range(6)]
    for name in names:
        stage.ask("owner", "POST", "registered-models/create", {"name": name, "description": "x"}).raise_for_status()

    async def publish_every_second(client: RegistryClient) -> None:
        for name in names[1::2]:
            await client.update_model(registry, name, ModelUpdate(visibility=Visibility.PUBLIC))

    stage.platform.ask(publish_every_second, user=stage.people["owner"])
    params: dict[str, Any] = {"filter": f"name LIKE '{prefix}%'", "max_results": 2}
    first = stage.ask("contributor elsewhere", "GET", "registered-models/search", params).json()
    assert [each["name"] for each in first["registered_models"]] == [f"{prefix}-1", f"{prefix}-3"]
    second = stage.ask(
        "contributor elsewhere", "GET", "registered-models/search", {**params, "page_token": first["next_page_token"]}
    ).json()
    assert [each["name"] for each in second["registered_models"]] == [f"{prefix}-5"]
    assert "next_page_token" not in second


# -- GraphQL -------------------------------------------------------------------------------------

SEARCH_VERSIONS = (
    "query($filter: String) { mlflowSearchModelVersions(input: {filter: $filter}) { modelVersions { name } } }"
)
OF_RUN = "query($run: String) { mlflowGetRun(input: {runId: $run}) { run { modelVersions { name } } } }"


def test_these_are_all_of_graphqls_ways_to_versions() -> None:
    fields = {
        f"{kind}.{field}"
        for kind, described in schema.graphql_schema.type_map.items()
        for field, value in getattr(described, "fields", {}).items()
        if "ModelVersion" in str(getattr(value, "type", "")) or "RegisteredModel" in str(getattr(value, "type", ""))
    }
    assert {each for each in fields if not each.startswith("MlflowModelVersion")} == {
        "Query.mlflowSearchModelVersions",
        "MlflowSearchModelVersionsResponse.modelVersions",
        "MlflowRunExtension.modelVersions",
    }


@pytest.mark.parametrize(("person", "sees"), [("teammate", True), ("team viewer", True), ("viewer elsewhere", False)])
def test_graphql_keeps_the_rule(stage: Stage, person: str, sees: bool) -> None:
    for query, variables in (
        (SEARCH_VERSIONS, {"filter": f"name = '{stage.private}'"}),
        (SEARCH_VERSIONS, {"filter": f"run_id = '{stage.run_id}'"}),
        (OF_RUN, {"run": stage.run_id}),
    ):
        body = {"query": query, "variables": variables}
        answer = stage.ask(person, "POST", "/graphql", body)
        assert (stage.private in answer.text) == sees, answer.text
    assert stage.ask("nobody", "POST", "/graphql", body).status_code == 401


# -- archives ------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["api", "ajax-api"])
def test_archives_of_a_private_model_do_not_exist_elsewhere(stage: Stage, api: str) -> None:
    own, far = stage.archive(stage.private), stage.elsewhere.mlflow_workspace
    theirs = own.replace(stage.origin.mlflow_workspace, far, 1)
    root = f"/{api}/2.0/mlflow-artifacts/artifacts"
    for person in ("teammate", "team viewer"):
        assert stage.ask(person, "GET", f"{root}/{own}/MLmodel").content == MODEL_FILE
        assert "MLmodel" in stage.ask(person, "GET", root, {"path": own}).text
    model_id, missing_id = theirs.split("/registry/")[1].split("/")[0], "aaaa-bbbb-cccc-dddd"
    doors: list[tuple[str, str, Any]] = [
        ("GET", f"{root}/PATH/MLmodel", None),
        ("GET", root, {"path": "PATH"}),
        ("GET", f"/{api}/2.0/mlflow-artifacts/presigned/PATH/MLmodel", None),
        ("POST", f"/{api}/2.0/mlflow-artifacts/mpu/create/PATH/MLmodel", {"path": "MLmodel", "num_parts": 1}),
        ("PUT", f"{root}/PATH/MLmodel", None),
        ("DELETE", f"{root}/PATH/MLmodel", None),
    ]

    def ask(person: str, method: str, path: str, body: Any, id_: str) -> tuple[int, str]:
        address = theirs.replace(model_id, id_)
        values = {key: address if value == "PATH" else value for key, value in body.items()} if body else None
        answer = stage.ask(person, method, path.replace("PATH", address), values)
        assert MODEL_FILE not in answer.content and '"path":"MLmodel"' not in answer.text.replace(" ", "")
        return plain(answer, id_)

    for person in ("contributor elsewhere", "viewer elsewhere"):
        for method, path, body in doors:
            of_private = ask(person, method, path, body, model_id)
            assert of_private == ask(person, method, path, body, missing_id), (method, path)
            assert of_private[0] != 500
    params = {"name": stage.private, "version": "1", "path": "MLmodel"}
    assert stage.ask("teammate", "GET", "/model-versions/get-artifact", params).content == MODEL_FILE
    refused = stage.ask("contributor elsewhere", "GET", "/model-versions/get-artifact", params)
    unknown = stage.ask("contributor elsewhere", "GET", "/model-versions/get-artifact", {**params, "name": "none"})
    assert refused.status_code >= 400
    assert plain(refused, stage.private) == plain(unknown, "none")


# -- people --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize("api", ["api", "ajax-api"])
def test_people_and_roles_are_listed_to_administrators_only(stage: Stage, api: str, version: str) -> None:
    other = stage.people["teammate"]
    doors: dict[str, dict[str, Any]] = {
        "users/list": {},
        "users/get": {"username": other},
        "users/roles/list": {"username": other},
        "users/permissions/list": {"username": other},
        "users/permissions/get": {"username": other, "resource_type": "experiment", "resource_id": "1"},
        "roles/list": {"workspace": stage.origin.mlflow_workspace},
        "roles/get": {"role_id": 1},
        "roles/permissions/list": {"role_id": 1},
        "roles/users/list": {"role_id": 1},
    }
    for person in ("owner", "contributor elsewhere", "viewer elsewhere"):
        for door, params in doors.items():
            answer = stage.ask(person, "GET", f"/{api}/{version}/mlflow/{door}", params)
            assert answer.status_code in (403, 404), (door, answer.text)
            assert other not in answer.text, door


def test_the_service_lists_people_to_those_who_share_a_project_with_them(stage: Stage) -> None:
    async def everybody(client: RegistryClient) -> set[str]:
        return {user.name async for user in client.every(client.users, page_size=100)}

    people = stage.people
    assert stage.platform.ask(everybody, user=people["viewer elsewhere"]) >= {
        people["viewer elsewhere"],
        people["contributor elsewhere"],
    }
    assert people["teammate"] not in stage.platform.ask(everybody, user=people["viewer elsewhere"])
    assert people["team viewer"] in stage.platform.ask(everybody, user=people["teammate"])
    assert stage.platform.ask(everybody) >= set(people.values())


def test_the_services_own_doors_keep_the_same_rule(stage: Stage) -> None:
    registry, far = stage.origin.registry_id or "", stage.people["contributor elsewhere"]

    async def look(client: RegistryClient) -> list[str]:
        seen = [each.name for each in (await client.models(registry, search=stage.private)).items]
        seen += [each.name for each in (await client.models(registry, name=stage.private, order_by="-owner")).items]
        for attempt in (client.model(registry, stage.private), client.versions(registry, stage.private)):
            try:
                await attempt
                seen.append(stage.private)
            except NotFound:
                continue
        return seen

    assert stage.platform.ask(look, user=far) == []
    for person in ("owner", "teammate", "team viewer"):
        assert stage.platform.ask(look, user=stage.people[person]) == [stage.private] * 4
    assert json.dumps(stage.platform.ask(look)) == json.dumps([stage.private] * 4)
