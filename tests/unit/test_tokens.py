"""Tokens of people: whose request it is, and which tokens are refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from registry_tui.schemas.people import UserTokenCreate
from registry_tui.service.access import tokens
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import UserRow, UserTokenRow, now
from registry_tui.service.errors import TokenExpired, TokenRevoked, TokenUnknown, UserSuspended
from support.bare import asking, bare_service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with bare_service(tmp_path) as made:
        yield made


@pytest.fixture
async def http(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(service) as client:
        yield client


def token_of(service: Service, name: str) -> str:
    identity.ensure_user(service, name)
    owner = identity.owner_principal(service)
    return tokens.create_token(service, owner, name, UserTokenCreate(name="laptop")).token


def change(service: Service, table: type[Any], **values: Any) -> None:
    with service.database.session() as session:
        session.execute(sa.update(table).values(**values))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_token_names_the_person_of_a_request_and_nobody_else_may_be_named(
    service: Service, http: httpx.AsyncClient
) -> None:
    token = token_of(service, "ada")
    identity.ensure_user(service, "bob")
    assert (await http.get("/user", headers=bearer(token))).json()["name"] == "ada"
    own, both = bearer(token) | {"X-Registry-User": "ada"}, bearer(token) | {"X-Registry-User": "bob"}
    assert (await http.get("/user", headers=own)).json()["name"] == "ada"
    for named in ("bob", identity.owner_name(service), "", "nobody at all"):
        answer = await http.get("/user", headers=bearer(token) | {"X-Registry-User": named})
        assert (answer.status_code, answer.json()["code"]) == (403, "not-permitted")
        assert f"ada cannot act as {named!r}" in answer.json()["detail"]
    # ada lacks the permissions of the socket's owner, also when the request is a change that is sent with a key.
    for headers in (own, own | {"Idempotency-Key": "k"}, both, both | {"Idempotency-Key": "k"}):
        answer = await http.put("/users/eve", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "not-permitted")
    assert (await http.get("/user")).json()["administrator"] is True


async def test_tokens_that_do_not_count_are_refused_with_the_reason(service: Service, http: httpx.AsyncClient) -> None:
    token = token_of(service, "ada")
    other = token_of(service, "bob")
    id_ = token.split("_")[1]
    for wrong in ("", "x", "rt_", f"rt_{id_}_", f"rt_{id_}_{other.split('_', 2)[2]}", token[:-1], f"rtk_{token[3:]}"):
        answer = await http.get("/user", headers=bearer(wrong))
        assert (answer.status_code, answer.json()["code"]) == (401, "token-unknown"), wrong
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        with pytest.raises(TokenUnknown):
            tokens.principal_of(service, wrong, "r")
    change(service, UserTokenRow, expires_at=now() - timedelta(seconds=1))
    with pytest.raises(TokenExpired):
        tokens.principal_of(service, token, "r")
    assert (await http.get("/user", headers=bearer(token))).json()["code"] == "token-expired"
    change(service, UserTokenRow, expires_at=now() + timedelta(days=1), revoked_at=now())
    with pytest.raises(TokenRevoked):
        tokens.principal_of(service, token, "r")
    change(service, UserTokenRow, revoked_at=None)
    change(service, UserRow, state="suspended")
    with pytest.raises(UserSuspended):
        tokens.principal_of(service, token, "r")
    answer = await http.get("/user", headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (403, "user-suspended")
    answer = await http.get("/user", headers={"X-Registry-User": "ada"})
    assert (answer.status_code, answer.json()["code"]) == (403, "user-suspended")


async def test_a_token_is_shown_once_and_kept_as_a_hash(service: Service, http: httpx.AsyncClient) -> None:
    made = (await http.put("/users/ada")).raise_for_status().json()
    assert (made["name"], made["state"], made["administrator"]) == ("ada", "active", False)
    answer = (await http.post("/users/ada/tokens", json={"name": "ci", "days": 2})).raise_for_status().json()
    token = answer["token"]
    assert token.startswith(answer["user_token"]["prefix"] + "_") and token not in str(answer["user_token"])
    listed = (await http.get("/users/ada/tokens", headers=bearer(token))).raise_for_status()
    assert token.split("_", 2)[2] not in listed.text
    assert listed.json()["items"][0]["last_used_at"] is not None
    with service.database.reading() as session:
        values = session.execute(sa.select(sa.inspect(UserTokenRow).local_table)).one()
    assert token.split("_", 2)[2] not in str(values) and len(values.sha256) == 64


async def test_a_revoked_token_is_refused_by_the_next_request(service: Service, http: httpx.AsyncClient) -> None:
    token = token_of(service, "ada")
    mine = bearer(token)
    (await http.get("/user", headers=mine)).raise_for_status()
    prefix = (await http.get("/users/ada/tokens", headers=mine)).json()["items"][0]["prefix"]
    (await http.delete(f"/users/ada/tokens/{prefix}", headers=mine)).raise_for_status()
    assert (await http.get("/user", headers=mine)).json()["code"] == "token-revoked"
    assert (await http.delete(f"/users/ada/tokens/{prefix}")).status_code == 409


async def test_tokens_of_others_are_only_the_administrators_matter(service: Service, http: httpx.AsyncClient) -> None:
    mine = bearer(token_of(service, "ada"))
    theirs = token_of(service, "bob").split("_")[1]
    refused = [
        await http.get("/users/bob/tokens", headers=mine),
        await http.post("/users/bob/tokens", json={"name": "x"}, headers=mine),
        await http.delete(f"/users/bob/tokens/{theirs}", headers=mine),
    ]
    assert [each.status_code for each in refused] == [403] * 3
    # By one's own address, somebody else's token is not found.
    assert (await http.delete(f"/users/ada/tokens/{theirs}", headers=mine)).status_code == 404
    assert (await http.delete(f"/users/bob/tokens/{theirs}")).status_code == 200


def test_the_last_use_of_a_token_is_not_written_with_each_request(service: Service) -> None:
    token = token_of(service, "ada")
    tokens.principal_of(service, token, "r")
    before = service.database.writes
    for _ in range(5):
        tokens.principal_of(service, token, "r")
    assert service.database.writes == before
    change(service, UserTokenRow, last_used_at=now() - timedelta(minutes=2))
    before = service.database.writes
    tokens.principal_of(service, token, "r")
    assert service.database.writes != before


async def test_one_key_of_two_people_is_two_keys(service: Service, http: httpx.AsyncClient) -> None:
    answers = []
    for name in ("ada", "bob"):
        headers = bearer(token_of(service, name)) | {"Idempotency-Key": "same"}
        answers += [await http.post(f"/users/{name}/tokens", json={"name": "n"}, headers=headers) for _ in range(2)]
    assert [each.status_code for each in answers] == [201] * 4
    shown = [each.json()["token"] for each in answers]
    assert shown[0] == shown[1] != shown[2] == shown[3]
