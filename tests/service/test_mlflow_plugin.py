"""MLflow's server with our plugin: allowed registrations, permissions, and the data that clients read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from registry_tui.schemas.places import Role
from support.mlflow_parts import REGISTRY, TEAMS, Logged, Parts, running_parts
from support.platforms import run_python


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    with running_parts() as running:
        yield running


@pytest.fixture(scope="module")
def logged(parts: Parts) -> Logged:
    return parts.log_model("ann")


def created(response: httpx.Response) -> dict[str, Any]:
    assert response.is_success, response.text
    version: dict[str, Any] = response.json()["model_version"]
    return version


def stored(parts: Parts, version: dict[str, Any]) -> dict[str, Any]:
    """A version as the service reads it: with our facts."""
    params = {"name": version["name"], "version": version["version"]}
    answer = parts.mlflow.call("GET", "model-versions/get", workspace=REGISTRY, params=params)
    found: dict[str, Any] = answer["model_version"]
    return found


def facts_of(parts: Parts, name: str) -> dict[str, str]:
    """A model's tags as the service reads them."""
    answer = parts.mlflow.call("GET", "registered-models/get", workspace=REGISTRY, params={"name": name})
    return tags_of(answer["registered_model"])


def listed(parts: Parts, name: str, user: str = "ann") -> bool:
    found = parts.ask(user, "GET", "registered-models/search", params={"filter": f"name = '{name}'"})
    return "registered_models" in found.raise_for_status().json()


def tags_of(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in resource.get("tags", [])}


def model(parts: Parts, name: str) -> httpx.Response:
    return parts.ask("ann", "GET", "registered-models/get", params={"name": name})


DOWNLOAD = "model-versions/get-download-uri"

# -- stock clients ----------------------------------------------------------------------------

TRAIN = """
import mlflow, numpy
from sklearn.linear_model import ElasticNet
mlflow.set_experiment("wines")
with mlflow.start_run() as run:
    model = ElasticNet().fit(numpy.arange(8.0).reshape(4, 2), [1.0, 2.0, 3.0, 4.0])
    mlflow.sklearn.log_model(
        model, name="model", registered_model_name="ElasticnetWineModel", await_registration_for=0
    )
print("run_id", run.info.run_id)
"""
LOAD = """
import mlflow, numpy
print("predicted", mlflow.pyfunc.load_model("models:/ElasticnetWineModel/1").predict(numpy.ones((1, 2)))[0])
"""


def test_stock_code_registers_and_another_project_loads_even_after_the_run_is_gone(parts: Parts) -> None:
    output = run_python(TRAIN, parts.exports("wine", "ann"))
    run_id = output.split("run_id ", 1)[1].split()[0]

    pending = [v for v in parts.mlflow.search_pending_versions(REGISTRY) if v["name"] == "ElasticnetWineModel"]
    (version,) = pending
    assert (version["version"], version["status"]) == ("1", "PENDING_REGISTRATION")
    origin = json.loads(tags_of(version)["registry_tui.origin"])
    assert origin["run_id"] == run_id
    assert (origin["project_name"], origin["workspace_name"], origin["experiment_name"]) == (
        "wine",
        "team-wine",
        "wines",
    )
    assert tags_of(version)["registry_tui.creator"] == "ann"
    facts = facts_of(parts, "ElasticnetWineModel")
    assert (facts["registry_tui.owner"], facts["registry_tui.visibility"]) == ("ann", "private")
    assert facts["registry_tui.location"] == "team-wine"

    parts.store_archive(version)
    assert not [v for v in parts.mlflow.search_pending_versions(REGISTRY) if v["name"] == "ElasticnetWineModel"]
    parts.ask("ann", "POST", "runs/delete", json={"run_id": run_id}).raise_for_status()
    parts.publish_model("ElasticnetWineModel")
    assert "predicted" in run_python(LOAD, parts.exports("beer", "cleo"))


def test_a_download_waits_for_the_archive_and_hears_why_it_failed(parts: Parts, logged: Logged) -> None:
    version = created(parts.register("ann", "Unready", logged))
    params = {"name": "Unready", "version": version["version"]}
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(parts.ask, user, "GET", DOWNLOAD, params=params) for user in ("ann", "vic")]
        parts.mlflow.set_version_status(REGISTRY, "Unready", 1, "FAILED_REGISTRATION", "a file was missing")
        for answer in asked:
            assert answer.result().status_code == 400
            assert "could not be stored (a file was missing)" in answer.result().json()["message"]
        parts.mlflow.set_version_status(REGISTRY, "Unready", 1, "PENDING_REGISTRATION")
        asked = [pool.submit(parts.ask, user, "GET", DOWNLOAD, params=params) for user in ("ann", "vic")]
        parts.store_archive(version)
        for answer in asked:
            uri = answer.result().raise_for_status().json()["artifact_uri"]
            assert uri.startswith("mlflow-artifacts:/workspaces/wine/registry/")


def test_a_failed_version_gets_no_alias_and_no_stage(parts: Parts, logged: Logged) -> None:
    created(parts.register("ann", "Failed", logged))
    alias = {"name": "Failed", "alias": "champion", "version": "1"}
    stage = {"name": "Failed", "version": "1", "stage": "Production", "archive_existing_versions": False}
    parts.mlflow.set_version_status(REGISTRY, "Failed", 1, "FAILED_REGISTRATION", "a file was missing")
    for path, body in (("registered-models/alias", alias), ("model-versions/transition-stage", stage)):
        refused = parts.ask("ann", "POST", path, json=body)
        assert refused.status_code == 400 and refused.json()["error_code"] == "INVALID_PARAMETER_VALUE"
        assert "could not be stored: a file was missing" in refused.json()["message"]
    assert parts.ask("ann", "POST", "model-versions/transition-stage", json={**stage, "stage": "None"}).is_success
    parts.mlflow.set_version_status(REGISTRY, "Failed", 1, "PENDING_REGISTRATION")
    assert parts.ask("ann", "POST", "registered-models/alias", json=alias).is_success


def test_a_copy_is_downloaded_from_its_original_until_it_is_stored(parts: Parts, logged: Logged) -> None:
    original = created(parts.register("ann", "CopiedFrom", logged))
    parts.store_archive(original)
    copied = Logged(logged.run_id, "", "models:/CopiedFrom/1", "")
    copy = created(parts.register("bob", "CopiedTo", copied))

    def address(user: str, name: str, project: str = "wine") -> str:
        params = {"name": name, "version": "1"}
        answer = parts.ask(user, "GET", DOWNLOAD, project=project, params=params).raise_for_status()
        return str(answer.json()["artifact_uri"])

    assert address("vic", "CopiedTo") == address("vic", "CopiedFrom")
    again = created(parts.register("bob", "CopiedOn", Logged(logged.run_id, "", "models:/CopiedTo/1", "")))
    assert address("vic", "CopiedOn") == address("vic", "CopiedFrom")
    parts.publish_model("CopiedTo")
    with ThreadPoolExecutor(1) as pool:
        # The original is private: somebody elsewhere waits for the copy itself.
        asked = pool.submit(address, "cleo", "CopiedTo", "beer")
        parts.mlflow.set_version_status(REGISTRY, "CopiedTo", copy["version"], "READY")
        assert asked.result() == address("cleo", "CopiedTo", "beer") != address("vic", "CopiedFrom")
    assert again["status"] == "PENDING_REGISTRATION"


def test_a_version_is_copied_to_another_name_with_the_tags_that_clients_send(parts: Parts, logged: Logged) -> None:
    first = created(parts.register("ann", "Original", logged, tags=[{"key": "team", "value": "wine"}]))
    parts.store_archive(first)
    copied = Logged(logged.run_id, "", "models:/Original/1", "")
    copy = created(parts.register("bob", "Copy", copied, tags=first["tags"]))
    facts, before = tags_of(stored(parts, copy)), tags_of(stored(parts, first))
    assert facts["team"] == "wine"
    assert (facts["registry_tui.creator"], before["registry_tui.creator"]) == ("bob", "ann")
    assert facts["registry_tui.version_id"] != before["registry_tui.version_id"]
    origin, origin_before = (json.loads(tags["registry_tui.origin"]) for tags in (facts, before))
    assert origin["source"].startswith("mlflow-artifacts:/workspaces/wine/registry/")
    assert {**origin, "source": ""} == {**origin_before, "source": ""}


def test_the_default_project_has_the_workspace_that_mlflow_calls_default(parts: Parts) -> None:
    default = parts.log_model("ann", "default")
    version = created(parts.register("ann", "FromDefault", default, "default"))
    parts.store_archive(version)
    params = {"name": "FromDefault", "version": "1"}
    uri = parts.ask("ann", "GET", "model-versions/get-download-uri", project="default", params=params).json()
    path = uri["artifact_uri"].removeprefix("mlflow-artifacts:/")
    read = parts.ask("ann", "GET", f"/api/2.0/mlflow-artifacts/artifacts/{path}/MLmodel", project="default")
    assert read.content == b"flavors: {}\n"


# -- version numbers --------------------------------------------------------------------------


def test_many_registrations_at_once_get_one_number_each(parts: Parts, logged: Logged) -> None:
    with ThreadPoolExecutor(8) as pool:
        users = ["ann", "bob"] * 8
        answers = list(pool.map(lambda user: parts.register(user, "Crowd", logged), users))
    assert sorted(int(created(answer)["version"]) for answer in answers) == list(range(1, 17))
    assert len({tags_of(stored(parts, created(answer)))["registry_tui.version_id"] for answer in answers}) == 16


def test_numbers_are_never_issued_again(parts: Parts, logged: Logged) -> None:
    for _ in range(3):
        created(parts.register("ann", "Reused", logged))
    deletion = {"name": "Reused", "version": "3"}
    parts.ask("ann", "DELETE", "model-versions/delete", json=deletion).raise_for_status()
    assert created(parts.register("ann", "Reused", logged))["version"] == "4"
    first_id = facts_of(parts, "Reused")["registry_tui.model_id"]

    parts.ask("ann", "DELETE", "registered-models/delete", json={"name": "Reused"}).raise_for_status()
    assert created(parts.register("ann", "Reused", logged))["version"] == "5"
    assert facts_of(parts, "Reused")["registry_tui.model_id"] != first_id

    rename = {"name": "Reused", "new_name": "Renamed"}
    parts.ask("ann", "POST", "registered-models/rename", json=rename).raise_for_status()
    assert created(parts.register("ann", "Renamed", logged))["version"] == "6"
    created(parts.register("ann", "Other", logged))
    taken = parts.ask("ann", "POST", "registered-models/rename", json={"name": "Other", "new_name": "Reused"})
    assert taken.status_code == 409
    assert "belonged to another model" in taken.json()["message"]
    back = {"name": "Renamed", "new_name": "Reused"}
    parts.ask("ann", "POST", "registered-models/rename", json=back).raise_for_status()


# -- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "name"),
        ("a" * 300, "300 characters"),
        ("../secrets", "holds '/'"),
        ("a:b", "holds ':'"),
        ("a..b", "holds '..'"),
        (" padded", "space"),
        ("bell\x07", "control character"),
        ("right\u202eleft", "control character"),
    ],
)
def test_bad_names_are_refused(parts: Parts, name: str, says: str) -> None:
    refused = parts.ask("ann", "POST", "registered-models/create", json={"name": name})
    assert refused.status_code == 400
    assert says in refused.json()["message"]


def test_what_is_no_model_of_the_project_is_refused_and_is_not_listed(parts: Parts, logged: Logged) -> None:
    other = parts.log_model("cleo", "beer")
    empty = parts.log_model("ann", file="notes.txt")
    gone = parts.log_model("ann")
    parts.ask("ann", "POST", "runs/delete", json={"run_id": gone.run_id}).raise_for_status()
    sources = {
        "no MLmodel": (empty.source, empty.run_id, 400, "holds no MLmodel file"),
        "another project's": (other.source, logged.run_id, 400, "Invalid model version source"),
        "another project's run": (other.source, other.run_id, 404, "not found"),
        "upwards": (f"{logged.source}/../../../../../beer/{other.path}", logged.run_id, 400, ""),
        "a file of the server": ("file:///etc", logged.run_id, 400, ""),
        "a bucket": (f"s3://env-a/{other.path}", logged.run_id, 400, "cannot be registered"),
        "our own scheme": (f"registry-tui://artifacts/{other.path}", logged.run_id, 400, "cannot be registered"),
        "deleted run": (gone.source, gone.run_id, 404, "was deleted"),
        "no run": (
            "runs:/0123456789abcdef0123456789abcdef/model",
            "0123456789abcdef0123456789abcdef",
            404,
            "not found",
        ),
    }
    for case, (source, run_id, status, says) in sources.items():
        refused = parts.register("ann", "Never", Logged(run_id, "", source, ""))
        assert refused.status_code == status, (case, refused.text)
        assert says in refused.text, case
        assert not listed(parts, "Never"), case
    twice = [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]
    refused = parts.register("ann", "Never", logged, tags=twice)
    assert (refused.status_code, "given twice" in refused.text) == (400, True)
    assert not listed(parts, "Never")


def test_a_model_that_is_not_there_is_missing_for_members_and_closed_for_others(parts: Parts) -> None:
    for path in ("registered-models/get", "model-versions/get-download-uri"):
        params = {"name": "Typo", "version": "1"}
        missing = parts.ask("vic", "GET", path, params=params)
        assert (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
        assert "Typo" in missing.json()["message"]
        assert parts.ask("zoe", "GET", path, params=params).status_code == 403


def test_a_project_that_is_not_synchronized_says_what_to_do(parts: Parts) -> None:
    lonely = parts.log_model("ann", "lonely")
    refused = parts.register("ann", "Lonely", lonely, "lonely")
    assert refused.status_code == 400
    assert "registry-tui registries synchronize" in refused.json()["message"]


# -- permissions ------------------------------------------------------------------------------


def test_facts_of_the_registry_are_written_by_the_service_only(parts: Parts, logged: Logged) -> None:
    version = created(parts.register("ann", "Facts", logged))
    tag = {"name": "Facts", "key": "registry_tui.owner", "value": "bob"}
    assert parts.ask("ann", "POST", "registered-models/set-tag", json=tag).status_code == 403
    ready = {"name": "Facts", "version": "1", "key": "registry_tui.set_status", "value": '{"status": "READY"}'}
    assert parts.ask("ann", "POST", "model-versions/set-tag", json=ready).status_code == 403
    forged = [{"key": "registry_tui.creator", "value": "bob"}]
    assert parts.register("ann", "Facts", logged, tags=forged).status_code == 403
    assert tags_of(stored(parts, version))["registry_tui.creator"] == "ann"

    on_behalf = parts.mlflow.call(
        "POST",
        "model-versions/create",
        workspace="wine",
        json={"name": "Facts", "source": logged.source, "run_id": logged.run_id, "tags": forged},
    )["model_version"]
    assert tags_of(on_behalf)["registry_tui.creator"] == "bob"


def test_only_the_owner_changes_or_deletes_a_model(parts: Parts, logged: Logged) -> None:
    created(parts.register("ann", "Mine", logged))
    created(parts.register("bob", "Mine", logged))
    for method, path, body in (
        ("DELETE", "registered-models/delete", {"name": "Mine"}),
        ("POST", "registered-models/rename", {"name": "Mine", "new_name": "Yours"}),
        ("PATCH", "registered-models/update", {"name": "Mine", "description": "x"}),
        ("POST", "registered-models/alias", {"name": "Mine", "alias": "champion", "version": "2"}),
        ("DELETE", "model-versions/delete", {"name": "Mine", "version": "1"}),
        ("PATCH", "model-versions/update", {"name": "Mine", "version": "1", "description": "x"}),
    ):
        refused = parts.ask("bob", method, path, json=body)
        assert (refused.status_code, "belongs to ann" in refused.text) == (403, True), (path, refused.text)
    own = {"name": "Mine", "version": "2", "description": "my notes"}
    parts.ask("bob", "PATCH", "model-versions/update", json=own).raise_for_status()
    alias = {"name": "Mine", "alias": "champion", "version": "2"}
    parts.ask("ann", "POST", "registered-models/alias", json=alias).raise_for_status()


def paths_to_close(logged: Logged) -> list[tuple[str, str, dict[str, Any]]]:
    artifacts = "/api/2.0/mlflow-artifacts/artifacts"
    return [
        ("GET", "experiments/get", {"params": {"experiment_id": logged.experiment_id}}),
        ("GET", "runs/get", {"params": {"run_id": logged.run_id}}),
        ("POST", "experiments/create", {"json": {"name": "mine now"}}),
        ("POST", "runs/create", {"json": {"experiment_id": logged.experiment_id}}),
        ("GET", "registered-models/get", {"params": {"name": "Closed"}}),
        ("POST", "registered-models/create", {"json": {"name": "Nobody's"}}),
        ("DELETE", "registered-models/delete", {"json": {"name": "Closed"}}),
        ("GET", f"{artifacts}/{logged.path}/MLmodel", {}),
        ("PUT", f"{artifacts}/{logged.path}/evil", {"content": b"x"}),
        ("DELETE", f"{artifacts}/{logged.path}/MLmodel", {}),
        ("GET", artifacts, {"params": {"path": logged.path}}),
        ("GET", "users/list", {}),
        ("POST", "users/create", {"json": {"username": "eve", "password": "a long password"}}),
        ("GET", "/get-artifact", {"params": {"run_id": logged.run_id, "path": "model/MLmodel"}}),
        ("POST", "/graphql", {"json": {"query": "{ __typename }"}}),
    ]


def test_nothing_is_open_to_strangers(parts: Parts, logged: Logged) -> None:
    created(parts.register("ann", "Closed", logged))
    for method, path, request in paths_to_close(logged):
        assert parts.ask(None, method, path, **request).status_code == 401, path
        if path != "/graphql":  # answers people with nothing in it that they may not see
            assert parts.ask("zoe", method, path, **request).status_code in (403, 404), path
    assert parts.ask("zoe", "GET", "registered-models/search").json() == {}
    assert parts.ask("zoe", "POST", "runs/search", json={"experiment_ids": [logged.experiment_id]}).json() == {}
    assert parts.ask("ann", "GET", f"/api/2.0/mlflow-artifacts/artifacts/{logged.path}/MLmodel").is_success


def test_artifacts_of_another_project_and_archives_are_closed(parts: Parts, logged: Logged) -> None:
    artifacts = "/api/2.0/mlflow-artifacts/artifacts"
    assert parts.ask("cleo", "GET", f"{artifacts}/{logged.path}/MLmodel", project="beer").status_code == 404
    assert parts.ask("cleo", "GET", f"{artifacts}/{logged.path}/MLmodel", project="wine").status_code == 403
    version = created(parts.register("ann", "Sealed", logged))
    parts.store_archive(version)
    params = {"name": "Sealed", "version": "1"}
    uri = parts.ask("ann", "GET", "model-versions/get-download-uri", params=params).json()["artifact_uri"]
    archive = f"{artifacts}/{uri.removeprefix('mlflow-artifacts:/')}"
    assert parts.ask("ann", "GET", f"{archive}/MLmodel").content == b"flavors: {}\n"
    assert parts.ask("vic", "GET", f"{archive}/MLmodel").is_success
    assert parts.ask("ann", "GET", f"{archive}/missing").status_code == 404
    assert parts.ask("ann", "PUT", f"{archive}/MLmodel", content=b"evil").status_code == 403
    assert parts.ask("ann", "DELETE", f"{archive}/MLmodel").status_code == 403
    listed = parts.ask("ann", "GET", artifacts, params={"path": uri.removeprefix("mlflow-artifacts:/")})
    assert [file["path"] for file in listed.json()["files"]] == ["MLmodel"]


def test_viewers_look_and_change_nothing(parts: Parts, logged: Logged) -> None:
    assert parts.ask("vic", "GET", "runs/get", params={"run_id": logged.run_id}).is_success
    assert parts.ask("vic", "GET", "registered-models/search").is_success
    assert parts.ask("vic", "POST", "experiments/create", json={"name": "of vic"}).status_code == 403
    assert parts.ask("vic", "POST", "runs/create", json={"experiment_id": logged.experiment_id}).status_code == 403
    assert parts.ask("vic", "POST", "registered-models/create", json={"name": "OfVic"}).status_code == 403
    created(parts.register("ann", "Seen", logged))
    assert parts.register("vic", "Seen", logged).status_code == 403
    put = parts.ask("vic", "PUT", f"/api/2.0/mlflow-artifacts/artifacts/{logged.path}/x", content=b"x")
    assert put.status_code == 403


def test_people_cannot_hand_out_access_in_mlflow(parts: Parts) -> None:
    grant = {"username": "zoe", "resource_type": "registered_model", "resource_id": "*", "permission": "READ"}
    refused = parts.ask("ann", "POST", "/api/3.0/mlflow/users/permissions/grant", project=REGISTRY, json=grant)
    assert refused.status_code == 403


def test_nobody_runs_commands_through_mlflows_assistant(parts: Parts) -> None:
    for method, path in (("GET", "config"), ("PUT", "config"), ("POST", "message"), ("POST", "skills/install")):
        answer = parts.ask("ann", method, f"/ajax-api/3.0/mlflow/assistant/{path}", json={})
        assert answer.status_code in (403, 404, 405), path


def test_leaving_a_project_takes_everything_at_once(parts: Parts) -> None:
    made = parts.log_model("bob")
    try:
        parts.access.mirror_project("wine", {"ann": Role.CONTRIBUTOR, "vic": Role.VIEWER}, REGISTRY)
        assert parts.ask("bob", "GET", "runs/get", params={"run_id": made.run_id}).status_code == 403
        assert parts.ask("bob", "GET", "registered-models/search").json() == {}
        assert parts.ask("bob", "GET", "registered-models/search", project=REGISTRY).json() == {}
        # ann is in two projects: leaving one keeps the registry for the other.
        parts.access.mirror_project("wine", {"vic": Role.VIEWER}, REGISTRY)
        assert parts.ask("ann", "GET", "runs/get", params={"run_id": made.run_id}).status_code == 403
        assert "registered_models" in parts.ask("ann", "GET", "registered-models/search", project="beer").json()
    finally:
        parts.access.mirror_project("wine", TEAMS["wine"], REGISTRY)
    assert parts.ask("bob", "GET", "runs/get", params={"run_id": made.run_id}).is_success
