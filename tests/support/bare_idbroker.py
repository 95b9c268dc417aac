"""A service with IDBroker mappings and a store of machine users that records its calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import MetaData, Table, insert

from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import AccessKey, Secrets
from registry_tui.schemas.idbroker import SetIdBrokerMappings
from registry_tui.schemas.registries import StorageAccess
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.database import LATEST_REVISION, Database
from registry_tui.service.database.migrations import upgrade
from registry_tui.service.database.tables import EnvironmentRow, RegistryRow
from registry_tui.service.errors import NotPermitted, PartUnavailable
from registry_tui.service.settings import Settings
from registry_tui.service.stores.base import Stores
from support.databases import new_database
from support.idbroker_requests import asked


@dataclass
class Users:
    """Machine users of an object store, and their policies."""

    policies: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    away: bool = False

    def _answer(self) -> None:
        if self.away:
            raise PartUnavailable("The object store does not answer", action="Start it")

    def put_policy(self, name: str, policy: Mapping[str, Any]) -> None:
        self._answer()
        self.policies[name] = policy

    def delete_policy(self, name: str) -> None:
        self._answer()
        self.policies.pop(name, None)

    def probe_prefix(self, key: AccessKey, bucket: str, prefix: str, registry: str = "") -> None:
        self._answer()
        if key.access_key_id not in self.policies:
            raise NotPermitted("access denied")


def made(
    folder: Path, users: Users, revision: str = LATEST_REVISION, lab: StorageAccess = StorageAccess.NOT_GRANTED
) -> Service:
    """A service with an environment with RAZ and one without, whose tables are those of a revision."""
    if revision == LATEST_REVISION:
        database = new_database(folder)
    else:
        database = Database.at(folder / "service.db")
        with database.engine.begin() as connection:
            upgrade(connection, revision)
    nothing = cast(Any, None)
    service = Service(
        home=Home(folder),
        ports=nothing,
        secrets=Secrets(),
        settings=Settings(),
        database=database,
        mlflow=nothing,
        stores=Stores(objects=nothing, users=cast(Any, users)),
        backends=nothing,
        access=nothing,
        workflows=nothing,
    )
    with database.session() as session:
        for name, raz in (("lab", False), ("raz", True)):
            environment = EnvironmentRow(
                name=name, crn=f"crn:{name}", cloud="aws", raz_enabled=raz, bucket=name, creator="me", state="ready"
            )
            session.add(environment)
            session.flush()
            user = f"srv_{name}"
            values = {
                "id": str(uuid4()),
                "name": f"registry-{name}",
                "crn": "c",
                "status": "installation:finished",
                "environment_id": environment.id,
                "location": "control plane",
                "owner": "me",
                "creator": "me",
                "created_at": datetime.now(UTC),
                "updated_at": datetime.now(UTC),
                "prefix": "modelregistry",
                "mlflow_workspace": f"mr-{name}",
                "version": "1",
                "machine_user_crn": identity.crn(session, "machine-user", f"{user}/1"),
                "machine_user_workload_name": user,
                "machine_user_access_key_id": user,
                "machine_user_secret_access_key": "x",
                "storage_access": (lab if name == "lab" else StorageAccess.NOT_GRANTED).value,
                "grant_storage_access": True,
            }
            # The columns of the revision, which the class of today does not know.
            session.execute(insert(Table("registries", MetaData(), autoload_with=session.connection())), values)
    return service


def registry(service: Service) -> RegistryRow:
    with service.database.reading() as session:
        row = session.query(RegistryRow).filter_by(name="registry-lab").one()
        _ = row.environment.name
        return row


def mapped(service: Service) -> SetIdBrokerMappings:
    return asked(registry(service).machine_user_crn or "")
