"""Collaborators of a project: who becomes a user by getting a role."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from registry_tui.service.adapters.access import Access
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import EventRow, UserRow
from support.accounts import Accounts
from support.bare import acting, asking, bare_service, make_place, set_roles

COLLABORATORS = "/projects/aws-project/collaborators"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    mlflow = Accounts()
    with bare_service(tmp_path, mlflow=mlflow) as bare:
        made = replace(bare, access=Access(mlflow, bare.secrets, partial(identity.mlflow_account, bare.database)))  # type: ignore[arg-type]
        made.home.routes_file.parent.mkdir(parents=True)
        made.home.serving.mkdir(parents=True, exist_ok=True)
        make_place(made, "aws")
        set_roles(made, "olga", "aws", project="admin")
        identity.ensure_user(made, "carl")
        identity.owner_principal(made)
        yield made


@pytest.fixture
async def http(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(service) as client:
        yield client


def users(service: Service) -> set[str]:
    with service.database.reading() as session:
        return set(session.scalars(sa.select(UserRow.name))) - {identity.owner_name(service)}


def events_about(service: Service, name: str) -> list[tuple[str, str]]:
    query = sa.select(EventRow.action, EventRow.outcome).where(EventRow.resource_name == name)
    with service.database.reading() as session:
        return [(action, outcome) for action, outcome in session.execute(query)]


async def test_an_owner_adds_known_people_and_makes_no_user(service: Service, http: httpx.AsyncClient) -> None:
    olga, role = acting("olga"), {"role": "viewer"}
    answer = await http.put(f"{COLLABORATORS}/newcomer", json=role, headers=olga)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert "users create newcomer" in answer.json()["action"]
    assert users(service) == {"olga", "carl"}
    (await http.put(f"{COLLABORATORS}/carl", json=role, headers=olga)).raise_for_status()
    listed = (await http.get(COLLABORATORS, headers=olga)).json()["items"]
    assert [each["user"] for each in listed] == ["carl", "olga"]


async def test_a_user_whom_the_administrator_makes_by_a_role_is_an_event(
    service: Service, http: httpx.AsyncClient
) -> None:
    for role in ("viewer", "contributor"):
        (await http.put(f"{COLLABORATORS}/newcomer", json={"role": role})).raise_for_status()
    assert users(service) == {"olga", "carl", "newcomer"}
    assert events_about(service, "newcomer") == [("user.create", "succeeded")]
