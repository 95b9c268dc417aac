"""A Model Registry for its rules: its MLflow workspace, and the place of its archives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from registry_tui.contracts.permissions import Action
from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.registries import RegistryStatus
from registry_tui.service.core import permissions
from registry_tui.service.core.artifact_places import delete_in
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.machine_keys import machine_key
from registry_tui.service.core.own_stores import claimed_store, own_address, require_there
from registry_tui.service.core.resolve import resolve_registry
from registry_tui.service.core.store_keys import claimed_with_key, kept_store, keyed_store
from registry_tui.service.database.tables import RegistryRow
from registry_tui.service.errors import Missing, WrongState
from registry_tui.service.stores.base import Bucket, StoredObject, Usage
from registry_tui.service.stores.bucket_files import Folder, Place, StoreFolder
from registry_tui.service.stores.uploads import abort_outside


@dataclass(frozen=True, repr=False)
class RegistryPlace:
    """A live Model Registry: its MLflow workspace, and the place of its archives."""

    id: str
    name: str
    workspace: str
    bucket: str
    prefix: str
    key: AccessKey | None
    environment_id: str

    def archive(
        self, service: Service, model_id: str, version_id: str | None = None, *, looked: bool = False
    ) -> Folder:
        """A version's archive, or all of a model's: in the environment's own store, or reached with the registry's key.

        `looked` skips the check that the own store is available. Raises WrongState, PartUnavailable, StorageNotGranted.
        """
        self._require_key()
        ids = model_id if version_id is None else f"{model_id}/{version_id}"
        own = (keyed_store if looked else claimed_with_key)(service, self.environment_id)
        if own is not None:
            return StoreFolder(own, f"{self.prefix}/{ids}/")
        return self.embedded(service, self.bucket, f"{self.prefix}/{ids}/")

    def embedded(self, service: Service, bucket: str, prefix: str) -> Place:
        """A folder of the embedded store, reached with the registry's own key. Raises WrongState."""
        return Place(service.stores.objects.s3(self._require_key()), bucket, prefix, self.name)

    def _require_key(self) -> AccessKey:
        if self.key is None:
            raise WrongState(f"Model Registry {self.name} has no machine user yet", action="Wait until it is available")
        return self.key

    def uri(self, service: Service) -> str:
        """The address of all archives, also while the environment's own store cannot be opened; ends with `/`."""
        own = own_address(service, self.environment_id)
        return f"s3://{self.bucket}/{self.prefix}/" if own is None else f"{own}{self.prefix}/"

    def listing(self, service: Service) -> Iterator[StoredObject]:
        """All objects of the registry's archives, their keys below `prefix`."""
        own, prefix = kept_store(service, self.environment_id), f"{self.prefix}/"
        found = service.stores.objects.listing(self.bucket, prefix) if own is None else self._all_of(own, prefix)
        return (replace(each, key=each.key.removeprefix(prefix)) for each in found)

    def _all_of(self, own: Bucket, prefix: str) -> Iterator[StoredObject]:
        """A whole list: one that ends because the store went away meanwhile raises PartUnavailable."""
        yield from own.list(prefix)
        require_there(own, self.environment_id)

    def require_store(self, service: Service) -> None:
        """Raises PartUnavailable or WrongState when the environment's own store is not available now."""
        claimed_store(service, self.environment_id)

    def holds(self, service: Service, path: str) -> bool:
        """Whether there is an object at a path below `prefix`."""
        own = kept_store(service, self.environment_id)
        if own is None:
            return service.stores.objects.holds(self.bucket, f"{self.prefix}/{path}")
        try:
            own.head(f"{self.prefix}/{path}")
        except Missing:
            return False
        return True

    def delete_below(self, service: Service, folder: str = "") -> Usage:
        """Deletes all archives, or those in a folder (with `/` at its end); returns the number of objects and bytes."""
        own, prefix = kept_store(service, self.environment_id), f"{self.prefix}/{folder}"
        if own is None:
            return service.stores.objects.delete_prefix(self.bucket, prefix)
        abort_outside(own, prefix)
        return delete_in(own, prefix)


def enter_registry(
    service: Service,
    registry: str,
    *,
    any_status: bool = False,
    reader: Principal | None = None,
    action: Action = Action.MODEL_READ,
) -> RegistryPlace:
    """An available Model Registry, in which `reader`, if given, may do `action`.

    Raises Missing, NotPermitted, WrongState while it is being made or deleted.
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
                action="`registry-tui registries show` shows what it waits for",
            )
        return RegistryPlace(
            id=row.id,
            name=row.name,
            workspace=row.mlflow_workspace,
            bucket=row.environment.bucket,
            prefix=row.prefix,
            key=machine_key(row),
            environment_id=row.environment_id,
        )


@contextmanager
def while_live(service: Service, registry_id: str) -> Iterator[None]:
    """Suppresses Missing when the registry is unavailable, or was deleted meanwhile."""
    try:
        yield
    except Missing:
        with service.database.reading() as session:
            row = session.get(RegistryRow, registry_id)
        if row is not None and RegistryStatus(row.status).live:
            raise
