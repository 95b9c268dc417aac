"""Places where a person has no role: no answer names them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry_tui.service.core.context import Service
from support.bare import acting, asking, bare_service, make_place, set_roles

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
    # Whoever works in a project of the environment finds that, and the project.
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
