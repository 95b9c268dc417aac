"""Places where a person has no role: no answer names them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import EventRow
from support.bare import acting, asking, bare_service, make_place, set_roles

#: A person's requests about a project, and about a deployment.
PROJECT = (
    ("GET", ""),
    ("GET", "/collaborators"),
    ("GET", "/credentials"),
    ("GET", "/experiments"),
    ("GET", "/runs/0"),
    ("DELETE", ""),
    ("PUT", "/collaborators/bob"),
    ("DELETE", "/collaborators/ann"),
    ("POST", "/register"),
    ("POST", "/runs/purge"),
)
DEPLOYMENT = (("GET", ""), ("GET", "/revisions"), ("GET", "/logs"), ("POST", "/stop"), ("DELETE", ""))
BODIES: dict[str, dict[str, Any]] = {
    "/collaborators/bob": {"role": "admin"},
    "/register": {"name": "m", "source": "models:/m"},
    "/runs/purge": {},
}
SEEN, HIDDEN = "aws-dev", "azure-secret"
BOB = acting("bob")


class NoModels:
    """MLflow's server without a model."""

    def call(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        return {"models": [], "experiments": [], "runs": []}


@pytest.fixture
async def http(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(service) as client:
        yield client


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with bare_service(tmp_path, mlflow=NoModels()) as service:
        for place in (SEEN, HIDDEN):
            make_place(service, place)
        set_roles(service, "bob", SEEN, "EnvironmentUser", "MLUser")
        yield service


async def found(http: httpx.AsyncClient, **query: str) -> set[tuple[str, str]]:
    answer = (await http.get("/search", params={"limit": "50", **query}, headers=BOB)).raise_for_status().json()
    return {(each["kind"], each["name"]) for each in answer["items"]}


async def test_the_search_finds_no_place_where_a_person_has_no_role(service: Service, http: httpx.AsyncClient) -> None:
    places = {("environment", SEEN), ("registry", f"{SEEN}-registry")}
    assert await found(http) == places
    assert await found(http, q=HIDDEN) == await found(http, q=f"{HIDDEN}-registry") == set()
    set_roles(service, "bob", SEEN)
    assert await found(http) == set()
    # People with a role in a project of the environment find that, and the project.
    set_roles(service, "bob", HIDDEN, project="viewer")
    hidden = {("environment", HIDDEN), ("registry", f"{HIDDEN}-registry")}
    assert await found(http) == {*hidden, ("project", "wine"), ("deployment", "taster")}
    everything = (await http.get("/search", params={"limit": "50"})).json()["items"]
    assert places | hidden <= {(each["kind"], each["name"]) for each in everything}


async def test_a_colleagues_roles_in_hidden_environments_are_not_shown(
    service: Service, http: httpx.AsyncClient
) -> None:
    set_roles(service, "bob", SEEN, "EnvironmentUser", "MLUser", project="viewer")
    set_roles(service, "ann", SEEN, "MLAdmin", project="viewer")
    set_roles(service, "ann", HIDDEN, "EnvironmentAdmin")
    for path in ("/users/ann", "/users"):
        shown = (await http.get(path, headers=BOB)).raise_for_status().text
        assert SEEN in shown and HIDDEN not in shown
        own = (await http.get(path, headers=acting("ann"))).raise_for_status().text
        assert SEEN in own and HIDDEN in own


async def test_nobody_learns_from_idbroker_which_environments_exist(service: Service, http: httpx.AsyncClient) -> None:
    for verb, name, more in (
        ("setIdBrokerMappings", "environmentName", {"dataAccessRole": "none", "mappings": []}),
        ("deleteIdBrokerMappings", "environmentCrn", {}),
        ("syncIdBrokerMappings", "environmentName", {}),
        ("getIdBrokerMappings", "environmentName", {}),
        ("getIdBrokerMappingsSyncStatus", "environmentName", {}),
    ):
        path = f"/environments2/{verb}"
        known = await refusal(http, "POST", path, {name: HIDDEN, **more})
        unknown = await refusal(http, "POST", path, {name: "nowhere", **more})
        assert known == unknown and known[0] == 403, (verb, known, unknown)
    with service.database.reading() as session:
        found = session.execute(sa.select(EventRow.action, EventRow.resource_name, EventRow.outcome)).all()
    assert {tuple(each) for each in found} == {
        (action, name, "denied")
        for action in ("idbroker.set", "idbroker.delete", "idbroker.synchronize")
        for name in (HIDDEN, "nowhere")
    }


async def refusal(http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = await http.request(method, path, json=body, headers=BOB)
    return answer.status_code, answer.json()["detail"]


def names_of(place: str) -> dict[str, list[str]]:
    return {
        "projects": [f"{place}-project", f"{place}%2Fteam%2Fwine"],
        "deployments": [f"{place}-deployment", f"{place}%2Fteam%2Fwine%2Ftaster"],
    }


@pytest.mark.parametrize(("noun", "asked"), [("projects", PROJECT), ("deployments", DEPLOYMENT)])
async def test_projects_and_deployments_of_hidden_environments_are_not_found(
    service: Service, http: httpx.AsyncClient, noun: str, asked: tuple[tuple[str, str], ...]
) -> None:
    for method, path in asked:
        body = BODIES.get(path)
        for name in names_of(HIDDEN)[noun]:
            known = await refusal(http, method, f"/{noun}/{name}{path}", body)
            unknown = await refusal(http, method, f"/{noun}/{name.replace(HIDDEN, 'nowhere')}{path}", body)
            assert known[0] == unknown[0] == 404, (method, path, known)
            assert known[1].startswith("There is no ") and known[1] == unknown[1].replace("nowhere", HIDDEN)
        # People who see the environment are refused; other people's things are not named beyond the request.
        for name in names_of(SEEN)[noun]:
            status, detail = await refusal(http, method, f"/{noun}/{name}{path}", body)
            assert status == 403 and "is not a collaborator" in detail
            assert noun == "projects" or "wine" in name or "wine" not in detail
    deployed = {"name": "d", "project": f"{HIDDEN}-project", "model": "m", "version": 1}
    assert (await refusal(http, "POST", "/deployments", deployed))[0] == 404
    for query in (f"/deployments?project={HIDDEN}-project", f"/search?project={HIDDEN}-project"):
        assert (await refusal(http, "GET", query))[0] == 404


async def test_a_persons_own_names_are_not_ambiguous_because_of_others(
    service: Service, http: httpx.AsyncClient
) -> None:
    set_roles(service, "bob", SEEN, "EnvironmentUser", "MLUser", project="viewer")
    for _ in range(2):
        for name in ("wine", "team%2Fwine"):
            found = (await http.get(f"/projects/{name}", headers=BOB)).raise_for_status().json()
            assert found["id"] == f"{SEEN}-project"
        for name in ("taster", "wine%2Ftaster", "team%2Fwine%2Ftaster"):
            (await http.get(f"/deployments/{name}/revisions", headers=BOB)).raise_for_status()
        # Also when the other environment is seen, and the project of the same name is somebody else's.
        set_roles(service, "bob", HIDDEN, "EnvironmentUser", "MLUser")
    set_roles(service, "bob", HIDDEN, project="viewer")
    for path in ("/projects/wine", "/deployments/taster/revisions"):
        status, detail = await refusal(http, "GET", path)
        assert status == 422 and "Several" in detail
