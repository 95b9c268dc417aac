"""Sign-ins with ID tokens at a service without any part."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete

from registry_tui.schemas.sign_in import IdToken, IssuerSettings
from registry_tui.service.access import people, signing_in, tokens
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.core.kept import Kept
from registry_tui.service.database.tables import EventRow, GroupRow, InstallationRow, UserRow, UserTokenRow
from registry_tui.service.errors import ServiceError
from support.issuer import Serving, serving


def put(service: Service, settings: IssuerSettings) -> IssuerSettings:
    """Settings that nobody tried."""
    with service.database.session() as session:
        session.merge(InstallationRow(key="sign_in_issuer", value=settings.model_dump_json()))
    return settings


def sign_in(service: Service, id_token: str) -> str:
    return signing_in.sign_in(service, IdToken(id_token=id_token), "request").token


def refusal(service: Service, id_token: str) -> str:
    """Why an ID token is refused. The event has the same reason, without the token, and nothing was made."""
    before = counted(service)
    with pytest.raises(ServiceError) as caught:
        sign_in(service, id_token)
    assert caught.value.status == 403 and caught.value.action
    event = events(service)[-1]
    assert (event.action, event.outcome, event.actor) == ("user.sign-in", "denied", identity.NOBODY)
    assert event.detail == caught.value.detail
    assert id_token.rpartition(".")[2][:20] not in event.detail or not id_token.rpartition(".")[2]
    assert counted(service) == before
    return caught.value.detail


def counted(service: Service) -> list[int]:
    owner = identity.owner_principal(service)
    users = people.list_users(service, owner).items
    return [len(users), *(len(tokens.list_tokens(service, owner, each.name).items) for each in users)]


def events(service: Service) -> list[EventRow]:
    with service.database.reading() as session:
        return list(session.query(EventRow).order_by(EventRow.id))


def encoded(value: Mapping[str, Any] | bytes) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@contextmanager
def issuing() -> Iterator[Serving]:
    """An issuer that knows ada and bob."""
    with serving() as found:
        found.provider.people |= {
            "ada": {"preferred_username": "ada", "name": "Ada Lovelace", "email": "ada@lab.example"},
            "bob": {"preferred_username": "bob"},
        }
        yield found


def emptied(service: Service) -> Service:
    """The service, which then knows ada, no issuer and nobody's keys."""
    with service.database.session() as session:
        for table in (UserTokenRow, GroupRow, EventRow, UserRow):
            session.execute(delete(table))
        session.execute(delete(InstallationRow).where(InstallationRow.key == "sign_in_issuer"))
    identity.ensure_user(service, "ada")
    return replace(service, kept=Kept())
