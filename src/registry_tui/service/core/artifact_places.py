"""The places of projects' artifacts: in the embedded store, or in an environment's own store."""

from __future__ import annotations

from time import sleep

from sqlalchemy import select

from registry_tui.contracts.mlflow_routes import Location
from registry_tui.service.core import own_stores, store_keys
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import ProjectRow, RegistryRow, WorkspaceRow
from registry_tui.service.errors import PartUnavailable
from registry_tui.service.stores.base import Bucket, StoredObject, Usage, batches
from registry_tui.service.stores.bucket_files import Folder, Place, StoreFolder
from registry_tui.service.stores.s3_bucket import S3Bucket

#: Seconds of pause before each listing of the objects to delete. An empty listing ends the deletion.
_PAUSES = (0.0, 0.2, 0.6, 1.8)
#: Objects deleted in one request.
_BATCH = 1000
#: Of so many objects that were deleted last, at least, none is counted twice.
_REMEMBERED = 20_000


def folder_at(service: Service, location: Location) -> Folder:
    """The folder at a location, reached with the key of MLflow's server, or with the credentials of the environment's
    store.

    Raises PartUnavailable, WrongState when the environment's own store is not available.
    """
    prefix = f"{location.key.rstrip('/')}/"
    if location.outside:
        return StoreFolder(store_of(service, location), prefix)
    return Place(service.stores.objects.s3(service.secrets.object_store_mlflow), location.bucket, prefix)


def embedded_bucket(service: Service, bucket: str) -> Bucket:
    """A bucket of the embedded store, with the key of MLflow's server."""
    return S3Bucket(service.stores.objects.s3(service.secrets.object_store_mlflow), bucket)


def store_of(service: Service, location: Location) -> Bucket:
    """The environment's own store that contains a location. Raises PartUnavailable, WrongState, InvalidInput."""
    with service.database.reading() as session:
        if location.registry is not None:
            query = select(RegistryRow.environment_id).where(RegistryRow.mlflow_workspace == location.registry)
            claimed = store_keys.claimed_with_key
        else:
            query = (
                select(WorkspaceRow.environment_id)
                .join(ProjectRow)
                .where(ProjectRow.mlflow_workspace == location.workspace)
            )
            claimed = own_stores.claimed_store
        environment_id = session.scalar(query)
    store = None if environment_id is None else claimed(service, environment_id)
    if store is None:
        raise PartUnavailable(
            f"The store of '{location.workspace}' is not known any more", action="`registry-tui restart service`"
        )
    return store


def delete_at(service: Service, location: Location) -> Usage:
    """Deletes everything in the folder at a location; returns its usage. Raises PartUnavailable, WrongState."""
    if location.outside:
        return delete_in(store_of(service, location), f"{location.key.rstrip('/')}/")
    return service.stores.objects.delete_prefix(location.bucket, f"{location.key.rstrip('/')}/")


def delete_in(store: Bucket, folder: str) -> Usage:
    """Deletes everything in a folder (with `/` at its end) of a store; returns the number of objects and bytes.

    Listings may lag: objects stored or deleted a moment ago show up in, or vanish from, a later one. Listings are
    repeated with growing pauses until one is empty.
    """
    objects = bytes_ = 0
    # Keys that a list which lags may show again. Not all of them: a folder may hold millions.
    last: set[str] = set()
    before: set[str] = set()
    for pause in _PAUSES:
        sleep(pause)
        batch: list[StoredObject] = []
        for batch in batches(store.list(folder), _BATCH):
            store.delete([each.key for each in batch])
            new = [each for each in batch if each.key not in last and each.key not in before]
            objects, bytes_ = objects + len(new), bytes_ + sum(each.size for each in new)
            last.update(each.key for each in new)
            if len(last) >= _REMEMBERED:
                last, before = set(), last
        if not batch:
            break
    return Usage(objects, bytes_)
