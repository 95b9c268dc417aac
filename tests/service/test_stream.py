"""The stream of changes of a real service: its content, by reader, and over breaks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import pytest

from registry_tui.client import RegistryClient, ServiceUnavailable
from registry_tui.schemas.people import EnvironmentRole, RolesChange
from registry_tui.schemas.places import CollaboratorChange, ProjectCreate
from registry_tui.schemas.stream import Change, ChangeKind
from support.platforms import PATIENCE, Platform, unique


async def until(changes: AsyncIterator[Change], wanted: Callable[[Change], bool]) -> list[Change]:
    """Changes up to the first that is wanted."""
    seen = []
    async with asyncio.timeout(PATIENCE):
        async for change in changes:
            seen.append(change)
            if wanted(change):
                return seen
    raise AssertionError(f"the stream ended after {seen}")


def about(name: str) -> Callable[[Change], bool]:
    return lambda change: change.event is not None and change.event.resource_name.endswith(name)


@pytest.fixture
async def client(own_platform: Platform) -> AsyncIterator[RegistryClient]:
    """A client of a platform without other changes: after many changes, earlier ones are not sent later."""
    async with own_platform.patient_client() as connected:
        yield connected


async def test_changes_are_told_and_what_was_missed_is_told_later(client: RegistryClient) -> None:
    names = [unique("told") for _ in range(2)]
    changes = client.changes()
    begun = await until(changes, lambda change: True)
    assert begun[0].kind is ChangeKind.RESYNC
    await client.create_project(ProjectCreate(name=names[0], workspace="default"))
    last = (await until(changes, about(names[0])))[-1]
    assert last.event is not None and last.event.action == "project.create"
    assert isinstance(changes, AsyncGenerator)
    await changes.aclose()

    await client.create_project(ProjectCreate(name=names[1], workspace="default"))
    missed = await until(client.changes(last.id), about(names[1]))
    assert ChangeKind.RESYNC not in [change.kind for change in missed]
    unknown = await until(client.changes("another-life-7"), lambda change: True)
    assert unknown[0].kind is ChangeKind.RESYNC


async def test_others_see_only_what_they_did_and_workflows_move(client: RegistryClient, own_platform: Platform) -> None:
    registry = (await client.registries()).items[0]
    project = await client.create_project(ProjectCreate(name=unique("team"), workspace="default"))
    user = unique("ann")
    await client.set_collaborator(project.id, user, CollaboratorChange())
    roles = RolesChange(roles=[EnvironmentRole.ENVIRONMENT_USER, EnvironmentRole.ML_USER])
    await client.set_user_roles("local", user, roles)
    async with own_platform.patient_client(user) as ann:
        hers, ours = ann.changes(), client.changes()
        await until(hers, lambda change: True)
        await until(ours, lambda change: True)
        accepted = await client.synchronize_registry(registry.id)
        moved = await until(
            ours,
            lambda change: (
                change.workflow is not None
                and change.workflow.id == accepted.workflow.id
                and change.workflow.status.finished
            ),
        )
        assert [change.kind for change in moved].count(ChangeKind.WORKFLOW) >= 2
        name = unique("hers")
        await ann.create_project(ProjectCreate(name=name, workspace="default"))
        seen = await until(hers, lambda change: change.event is not None)
        assert {change.event.actor for change in seen if change.event} == {user}
        assert not [change for change in seen if change.workflow is not None]


def test_who_reads_too_slowly_is_told_to_ask_again_and_delays_nobody(own_platform: Platform) -> None:
    with socket.socket(socket.AF_UNIX) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(str(own_platform.home.service_socket))
        slow.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert slow.recv(10) == b"HTTP/1.1 2"

        async def busy(client: RegistryClient) -> None:
            for _ in range(150):
                with pytest.raises(Exception, match=r"."):
                    await client.create_project(ProjectCreate(name="default", workspace="default"))

        own_platform.ask(busy)
        own_platform.ask(lambda client: client.registries())


def mlflow_is_ill(change: Change) -> bool:
    parts = [] if change.status is None else change.status.parts
    return any(part.name == "mlflow" and part.state != "healthy" for part in parts)


async def test_streams_end_with_the_service_and_follow_the_next_one(own_platform: Platform) -> None:
    async with own_platform.patient_client() as client:
        changes = client.changes()
        last = (await until(changes, lambda change: True))[-1]
        await asyncio.to_thread(own_platform.kill, "service")
        with pytest.raises(ServiceUnavailable):
            await until(changes, lambda change: False)
        await asyncio.to_thread(own_platform.up)
        after = await until(client.changes(last.id), lambda change: True)
        assert after[0].kind is ChangeKind.RESYNC
        ill = client.changes(after[-1].id)
        seeing = asyncio.ensure_future(until(ill, mlflow_is_ill))
        while not seeing.done():  # a quick restart may come between two looks at the parts' health
            await asyncio.to_thread(own_platform.kill, "mlflow")
            await asyncio.wait([seeing], timeout=6)
        seen = await seeing
        assert seen[-1].kind is ChangeKind.HEALTH
        await until(ill, lambda change: change.status is not None and change.status.healthy)

        log = own_platform.home.logs / "service.log"
        before = log.stat().st_size
        await asyncio.to_thread(own_platform.command, "restart", "service")
        with log.open("rb") as lines:
            lines.seek(before)
            said = lines.read()
        assert b"] stopped" in said, said
        assert b"timeout graceful shutdown exceeded" not in said, "an open stream does not hold up the stop"
