"""A whole token or API key pasted for revoking: it is revoked, and its secret is written nowhere."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from aiohttp.test_utils import make_mocked_request

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.contracts.api_keys import PREFIX, TOKEN_PREFIX, id_of, new_key, redacted
from registry_tui.schemas.people import UserTokenCreate
from registry_tui.service.access import tokens
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import ApiKeyRow, Base, IdempotencyRow, UserTokenRow, now
from registry_tui.service.listening import front
from support.bare import acting, asking, bare_service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with bare_service(tmp_path) as made:
        for name in ("bob", "eve"):
            identity.ensure_user(made, name)
        yield made


@pytest.fixture
async def http(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(service) as client:
        yield client


def made_token(service: Service) -> str:
    owner = identity.owner_principal(service)
    return tokens.create_token(service, owner, "bob", UserTokenCreate(name="laptop")).token


def made_key(service: Service) -> str:
    id_, key, sha256 = new_key()
    row = ApiKeyRow(id=id_, name="calls", sha256=sha256, user="bob", created_at=now(), expires_at=now())
    with service.database.session() as session:
        session.add(row)
    return key


def written(service: Service) -> str:
    """Everything in the database."""
    with service.database.reading() as session:
        return str([session.execute(sa.select(table)).all() for table in Base.metadata.sorted_tables])


@pytest.mark.parametrize("kind", [PREFIX, TOKEN_PREFIX])
def test_a_key_is_named_by_its_id_its_beginning_or_the_whole_of_it(kind: str) -> None:
    id_, whole, _ = new_key(kind)
    for named in (id_, f"{kind}_{id_}", f"{kind}_{id_}_", whole, f" {whole}\n"):
        assert id_of(named) == id_
    assert redacted(f"DELETE /keys/{whole}, {whole!r}") == f"DELETE /keys/{kind}_{id_}_…, '{kind}_{id_}_…'"
    assert redacted(f"no key {kind}_{id_} of 202611291443_wine-of-the-year") == (
        f"no key {kind}_{id_} of 202611291443_wine-of-the-year"
    )


async def test_a_whole_token_is_revoked_and_its_secret_is_not_written(
    service: Service, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = made_token(service)
    answers = [
        await http.delete(f"/users/eve/tokens/{token}"),
        await http.delete(f"/users/bob/tokens/{token}", headers={"Idempotency-Key": "k"}),
        await http.delete(f"/users/bob/tokens/{token}"),
        await http.delete(f"/users/bob/tokens/{token}", headers=acting("eve")),
        await http.get(f"/users/{token}"),
        await http.get("/user", headers=acting(token)),
        await http.get(f"/nothing/{token}"),
    ]
    assert [each.status_code for each in answers] == [404, 200, 409, 403, 404, 403, 404]
    with service.database.reading() as session:
        assert session.scalars(sa.select(UserTokenRow.revoked_at)).one() is not None
        assert session.scalars(sa.select(IdempotencyRow.request)).one().startswith("DELETE ")
    secret = token.split("_", 2)[2]
    for each in answers:
        assert secret not in each.text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("registry_tui")]
    assert len(ours) >= len(answers) and not [line for line in ours if secret in line]
    assert "token.revoke" in written(service) and secret not in written(service)


async def test_a_whole_api_key_is_revoked_and_its_secret_is_not_written(
    service: Service, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = made_key(service)
    (service.home.root / "serving").mkdir(exist_ok=True)
    answers = [
        await http.delete(f"/keys/{key}", headers=acting("eve")),
        await http.delete(f"/keys/{key}", headers=acting("bob")),
        await http.delete(f"/keys/{key}", headers=acting("bob")),
    ]
    assert [each.status_code for each in answers] == [404, 200, 409]
    secret = key.split("_", 2)[2]
    assert not [each for each in answers if secret in each.text]
    assert not [each for each in caplog.records if each.name.startswith("registry_tui") and secret in each.getMessage()]
    assert "key.revoke" in written(service) and secret not in written(service)


async def test_the_client_sends_no_secret_in_an_address() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(404, json={})

    (token_id, token, _), (key_id, key, _) = new_key(TOKEN_PREFIX), new_key()
    async with RegistryClient(transport=httpx.MockTransport(answer)) as client:
        for sent in (client.revoke_token("bob", token), client.revoke_key(key)):
            with pytest.raises(RegistryError):
                await sent
    assert [each.rpartition("/")[2] for each in asked] == [token_id, key_id]


def test_the_listener_writes_addresses_without_secrets() -> None:
    id_, token, _ = new_key(TOKEN_PREFIX)
    request = make_mocked_request("DELETE", f"/api/v1/users/bob/tokens/{token}?x=1")
    assert front._address(request) == f"/api/v1/users/bob/tokens/rt_{id_}_…"
