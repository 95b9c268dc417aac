"""The stream of changes ends with the right to follow it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.people import UserState, UserTokenCreate
from registry_tui.service.access import tokens
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import UserRow, UserTokenRow, now
from registry_tui.service.loops import stream
from support.bare import bare_service, prepared_app


def suspend(service: Service) -> None:
    with service.database.session() as session:
        session.execute(sa.update(UserRow).where(UserRow.name == "bob").values(state=UserState.SUSPENDED.value))


def delete(service: Service) -> None:
    with service.database.session() as session:
        session.execute(sa.delete(UserRow).where(UserRow.name == "bob"))


def replace(service: Service) -> None:
    delete(service)
    identity.ensure_user(service, "bob")


def revoke(service: Service) -> None:
    with service.database.session() as session:
        session.execute(sa.update(UserTokenRow).values(revoked_at=now()))


def expire(service: Service) -> None:
    with service.database.session() as session:
        session.execute(sa.update(UserTokenRow).values(expires_at=now() - timedelta(seconds=1)))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with bare_service(tmp_path) as made:
        yield made


class Following:
    """A request for the stream, asked of the app itself: its pieces are here as they come."""

    def __init__(self, service: Service, hub: stream.Hub, headers: dict[str, str]) -> None:
        self.text = ""
        self._pieces: asyncio.Queue[str] = asyncio.Queue()
        named = {"host": "registry-tui", **headers}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/api/v1/stream",
            "raw_path": b"/api/v1/stream",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in named.items()],
        }
        self._answer = asyncio.create_task(prepared_app(service, hub)(scope, self._stay, self._send))

    async def _stay(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nobody hangs up")

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
        else:
            self._pieces.put_nowait(message["body"].decode())

    async def until(self, wanted: str) -> None:
        """Waits until the stream has sent a text."""
        while wanted not in self.text:
            self.text += await self._pieces.get()

    async def until_the_end(self) -> None:
        """Waits until the service ends the stream."""
        await self._answer
        while not self._pieces.empty():
            self.text += self._pieces.get_nowait()


async def followed(
    service: Service, monkeypatch: pytest.MonkeyPatch, end: Callable[[Service], None], *, token: bool, quiet: bool
) -> str:
    """The stream's content until it ended, after `end` and, unless it is `quiet`, one more change."""
    row = identity.ensure_user(service, "bob")
    bob = Principal(row.name, row.crn, "r")
    made = tokens.create_token(service, identity.owner_principal(service), "bob", UserTokenCreate(name="laptop"))
    headers = {"Authorization": f"Bearer {made.token}"} if token else {"X-Registry-User": "bob"}
    hub = stream.Hub()
    service.database.committed.append(hub.committed)
    monkeypatch.setattr(stream, "HEARTBEAT", 0.02 if quiet else 3600)

    def tell(name: str) -> None:
        resource = Resource("project", name, name)
        events.record(service, bob, action="project.create", resource=resource, outcome=EventOutcome.SUCCEEDED)

    async with asyncio.timeout(20):
        following = Following(service, hub, headers)
        await following.until("resync")
        await asyncio.to_thread(tell, "before-the-end")
        await following.until("before-the-end")
        await asyncio.to_thread(end, service)
        if not quiet:
            await asyncio.to_thread(tell, "behind-the-end")
        await following.until_the_end()
    return following.text


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize(
    ("end", "token"),
    [(suspend, False), (suspend, True), (delete, False), (replace, False), (revoke, True), (expire, True)],
)
async def test_a_stream_ends_with_the_right_to_follow_it(
    service: Service, monkeypatch: pytest.MonkeyPatch, end: Callable[[Service], None], token: bool, quiet: bool
) -> None:
    told = await followed(service, monkeypatch, end, token=token, quiet=quiet)
    assert "behind-the-end" not in told
