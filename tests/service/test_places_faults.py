"""Leftovers and recovery when the service, or MLflow, ends in the middle."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys

import pytest

from registry_tui.client.errors import NotFound, RegistryError, ServiceProblem
from registry_tui.platform import supervisor
from registry_tui.schemas.operations import PartState
from registry_tui.schemas.places import ProjectCreate
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import CollaboratorRow, EnvironmentRow, ProjectRow, UserRow, WorkspaceRow
from support.platforms import PATIENCE, Platform, eventually, unique, wait_for

pytestmark = pytest.mark.xdist_group("places-faults")


async def ready(platform: Platform) -> None:
    """Waits until the service has finished its start."""
    async with platform.patient_client() as client:

        async def healthy() -> bool:
            parts = (await client.status()).parts
            return all(part.state is PartState.HEALTHY for part in parts)

        await eventually(healthy, what="every part to be healthy")


def test_the_socket_is_the_owners_alone_and_a_second_service_is_refused(own_platform: Platform) -> None:
    home = own_platform.home
    assert stat.S_IMODE(home.service_socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.service_socket.stat().st_mode) == 0o600
    second = subprocess.run(
        [sys.executable, "-m", "registry_tui.service"],
        env=own_platform.environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert second.returncode == 1 and "another service is running" in second.stderr
    assert "Traceback" not in second.stderr
    assert own_platform.ask(lambda client: client.whoami()).name


async def test_it_stops_with_connections_open_and_comes_back_over_a_stale_socket(own_platform: Platform) -> None:
    idle = socket.socket(socket.AF_UNIX)
    idle.connect(str(own_platform.home.service_socket))
    half = socket.socket(socket.AF_UNIX)
    half.connect(str(own_platform.home.service_socket))
    half.sendall(b"POST /api/v1/projects HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    pid = own_platform.running("service")
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: own_platform.pid("service") not in (0, pid), what="the supervisor to start it again")
    idle.close()
    half.close()
    await ready(own_platform)
    pid = own_platform.kill("service")  # leaves its socket behind
    wait_for(lambda: own_platform.pid("service") not in (0, pid), what="the supervisor to start it again")
    await ready(own_platform)


async def test_what_was_cut_off_half_made_is_gone_after_the_next_start(own_platform: Platform) -> None:
    """As if the process had been killed between two systems, while creating and while deleting."""
    deleted = own_platform.new_project()
    database = Database.at(own_platform.home.service_database)
    with database.session() as session:
        workspace = session.get_one(WorkspaceRow, deleted.workspace_id)
        owner = workspace.creator
        session.get_one(ProjectRow, deleted.id).state = "deleting"
        session.add(
            ProjectRow(
                id="half-made",
                name="half-made",
                workspace_id=workspace.id,
                mlflow_workspace="half-made",
                creator=owner,
                collaborators=[CollaboratorRow(user=owner, role="admin")],
            )
        )
        session.add(
            EnvironmentRow(
                id="half", name="half-made", crn="", cloud="aws", raz_enabled=True, bucket="half-made-1", creator=owner
            )
        )
        assert session.get(UserRow, owner)
    pid = own_platform.kill("service")
    wait_for(lambda: own_platform.pid("service") not in (0, pid), what="the supervisor to start it again")
    await ready(own_platform)

    def gone() -> bool:
        with database.reading() as session:
            rows = [session.get(ProjectRow, id_) for id_ in ("half-made", deleted.id)]
            return rows == [None, None] and session.get(EnvironmentRow, "half") is None

    wait_for(gone, what="the rows of what was cut off to go")
    async with own_platform.patient_client() as client:
        made = await client.create_project(ProjectCreate(name="half-made", workspace="local/default"))
        assert made.mlflow_workspace == "half-made"
    database.close()


async def test_while_mlflow_is_down_nothing_is_half_made_and_deleting_is_finished_later(own_platform: Platform) -> None:
    project = own_platform.new_project()
    supervisor.stop_part(own_platform.home, "mlflow")
    name = unique("p")
    async with own_platform.patient_client() as client:
        with pytest.raises(ServiceProblem) as unavailable:
            await client.create_project(ProjectCreate(name=name, workspace="local/default"))
        assert unavailable.value.problem.code == "part-unavailable" and unavailable.value.action
        with pytest.raises(NotFound):
            await client.project(name)
        await client.delete_project(project.id, force=True)
        with pytest.raises(NotFound):
            await client.project(project.id)
        supervisor.start_part(own_platform.home, "mlflow")
        await ready(own_platform)

        async def made() -> str:
            try:
                return (await client.create_project(ProjectCreate(name=name, workspace="local/default"))).id
            except RegistryError:
                return ""

        assert await eventually(made, what="the project to be made")
    database = Database.at(own_platform.home.service_database)

    def gone() -> bool:
        with database.reading() as session:
            return session.get(ProjectRow, project.id) is None

    wait_for(gone, what="the deleted project's row to go")
    database.close()


async def test_a_deleted_first_project_does_not_come_back(own_platform: Platform) -> None:
    async with own_platform.patient_client() as client:
        await client.delete_project("local/default/default", force=True)
    pid = own_platform.kill("service")
    wait_for(lambda: own_platform.pid("service") not in (0, pid), what="the supervisor to start it again")
    await ready(own_platform)
    async with own_platform.patient_client() as client:
        with pytest.raises(NotFound):
            await client.project("local/default/default")
        again = await client.create_project(ProjectCreate(name="default", workspace="local/default"))
        assert again.mlflow_workspace != "default"
