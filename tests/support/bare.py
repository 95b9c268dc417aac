"""A service without any part of the platform, with rows of people and places: for tests of its rules alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.routing import BaseRoute

from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import Secrets
from registry_tui.schemas.deployments import GIB
from registry_tui.service.backends.base import Backends
from registry_tui.service.backends.supervisord import LocalReplicas
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import (
    Base,
    CollaboratorRow,
    DeploymentRow,
    EnvironmentRoleRow,
    EnvironmentRow,
    ProjectRow,
    RegistryRow,
    RevisionRow,
    WorkspaceRow,
)
from registry_tui.service.http.app import create_app
from registry_tui.service.loops.background import Background
from registry_tui.service.loops.stream import Hub
from registry_tui.service.settings import Settings
from support.databases import new_database


@contextmanager
def bare_service(folder: Path, *, database: Database | None = None, **parts: Any) -> Iterator[Service]:
    """A service with a database of its own, or with this one, and with no other parts than these."""
    database = database or new_database(folder)
    local = LocalReplicas(Home(folder))
    nothing = dict.fromkeys(("ports", "mlflow", "stores", "access", "workflows"), cast(Any, None))
    given = nothing | {"settings": Settings()} | parts
    yield Service(
        home=Home(folder),
        secrets=Secrets(),
        database=database,
        backends=Backends(local, local),
        **given,
    )
    database.close()


@asynccontextmanager
async def asking(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the service's routes, without a socket."""
    transport = httpx.ASGITransport(prepared_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://registry-tui/api/v1") as client:
        yield client


def prepared_app(service: Service, hub: Hub | None = None) -> FastAPI:
    """The app that answers for a service, whose routes are ready.

    FastAPI prepares an app's routes at its first request, which takes 0.3 s of a processor. They find the service by
    the app that a request came to, so that all apps of a process can have the same.
    """
    app = create_app(service, Background(service), hub)
    app.router.routes[:] = _routes()
    return app


@cache
def _routes() -> list[BaseRoute]:
    nothing = cast(
        Any, SimpleNamespace(database=SimpleNamespace(committing=[]), settings=Settings(), home=Home(Path()))
    )
    return list(create_app(nothing, nothing).router.routes)


def acting(person: str) -> dict[str, str]:
    """The header of a request as this person."""
    return {"X-Registry-User": person}


def make_place(service: Service, name: str) -> None:
    """An environment NAME with one of everything: `team`, project `wine`, registry `NAME-registry`, `taster`.

    IDs are `NAME`, `NAME-workspace`, `NAME-project`, `NAME-registry` and `NAME-deployment`.
    """
    workspace, project, registry = f"{name}-workspace", f"{name}-project", f"{name}-registry"
    by = {"creator": "ann"}
    rows: list[Base] = [
        EnvironmentRow(
            id=name, name=name, crn=name, cloud="aws", raz_enabled=False, bucket=f"{name}-data", state="ready", **by
        ),
        WorkspaceRow(id=workspace, name="team", crn=workspace, environment_id=name, **by),
        ProjectRow(
            id=project, name="wine", workspace_id=workspace, mlflow_workspace=f"{name}-wine", state="ready", **by
        ),
        RegistryRow(
            id=registry,
            name=registry,
            crn=registry,
            status="installation:finished",
            environment_id=name,
            location="control plane",
            owner="ann",
            mlflow_workspace=f"mr-{name}",
            version="1",
            **by,
        ),
        DeploymentRow(
            id=f"{name}-deployment",
            name="taster",
            project_id=project,
            registry_id=registry,
            model_id="m",
            model_name="wine",
            version=1,
            version_id="v",
            access_key=name,
            **by,
        ),
    ]
    for row in rows:  # in this order, as foreign keys want it
        with service.database.session() as session:
            session.add(row)


def revision(deployment: str, number: int, memory: int = GIB, **fields: Any) -> RevisionRow:
    """A revision of a deployment, with one replica."""
    return RevisionRow(
        deployment_id=deployment,
        number=number,
        generation=number,
        version=number,
        version_id=f"v{number}",
        replicas=1,
        cpu=1.0,
        memory_bytes=memory,
        environment=[],
        batching="auto",
        creator="ann",
        **fields,
    )


def set_roles(service: Service, person: str, place: str, *roles: str, project: str = "") -> Principal:
    """A person with exactly these roles in a place's environment, and this one in its project."""
    row = identity.ensure_user(service, person)
    with service.database.session() as session:
        session.execute(
            sa.delete(EnvironmentRoleRow).where(
                EnvironmentRoleRow.user == person, EnvironmentRoleRow.environment_id == place
            )
        )
        session.execute(
            sa.delete(CollaboratorRow).where(
                CollaboratorRow.user == person, CollaboratorRow.project_id == f"{place}-project"
            )
        )
        session.add_all(EnvironmentRoleRow(environment_id=place, user=person, role=role) for role in roles)
        if project:
            session.add(CollaboratorRow(project_id=f"{place}-project", user=person, role=project))
    return Principal(row.name, row.crn, "request")
