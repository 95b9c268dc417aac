"""A Model Registry as its rules enter it: its MLflow workspace, and where its archives lie."""

from __future__ import annotations

from dataclasses import dataclass

from registry_tui.contracts.permissions import Action
from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.registries import RegistryStatus
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.machine_keys import machine_key
from registry_tui.service.core.resolve import resolve_registry
from registry_tui.service.errors import WrongState
from registry_tui.service.stores.bucket_files import Place


@dataclass(frozen=True, repr=False)
class RegistryPlace:
    """A live Model Registry: its MLflow workspace, and where its archives lie."""

    id: str
    name: str
    workspace: str
    bucket: str
    prefix: str
    key: AccessKey | None

    def archive(self, service: Service, model_id: str, version_id: str | None = None) -> Place:
        """A version's archive, or all of a model's, reached with the registry's own key. Raises WrongState."""
        if self.key is None:
            raise WrongState(f"Model Registry {self.name} has no machine user yet", action="Wait until it is available")
        ids = model_id if version_id is None else f"{model_id}/{version_id}"
        return Place(service.stores.objects.s3(self.key), self.bucket, f"{self.prefix}/{ids}/", self.name)


def enter_registry(
    service: Service,
    registry: str,
    *,
    any_status: bool = False,
    reader: Principal | None = None,
    action: Action = Action.MODEL_READ,
) -> RegistryPlace:
    """A Model Registry that answers, and with which `reader` may do `action` when one is given.

    Raises Missing, NotPermitted, WrongState while it is being made or taken away.
    """
    with service.database.reading() as session:
        seen = None if reader is None else permissions.permitted_environments(session, reader, Action.ENVIRONMENT_SEE)
        row = resolve_registry(session, registry, seen)
        if reader is not None:
            permissions.require_in(session, reader, action, row.environment)
        status = RegistryStatus(row.status)
        if not (status.live or any_status):
            raise WrongState(
                f"Model Registry {row.name} is not available: {status.label}",
                action="`registry-tui registries show` tells what it waits for",
            )
        return RegistryPlace(
            id=row.id,
            name=row.name,
            workspace=row.mlflow_workspace,
            bucket=row.environment.bucket,
            prefix=row.prefix,
            key=machine_key(row),
        )
