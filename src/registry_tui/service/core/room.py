"""Whether the disk under the embedded object store has room, and the error for a full disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from registry_tui.platform.space import space_of
from registry_tui.service.core.context import Service
from registry_tui.service.errors import PartUnavailable, StorageFull
from registry_tui.service.stores.bucket_files import Folder, Place, StoreFolder


def require_room(service: Service, needed: int, folder: Folder) -> None:
    """Checks that so many bytes can be stored in a folder; other stores report that themselves. Raises StorageFull."""
    if isinstance(folder, Place) and (full := storage_full(service, needed)) is not None:
        raise full


def storage_full(service: Service, needed: int = 0) -> StorageFull | None:
    """The error for a full disk, if it is full: the errors of a full store do not name the cause."""
    disk = space_of(service.home.root)
    return StorageFull(disk.sentence(needed), action=disk.action) if disk.lacks(needed) else None


@contextmanager
def storing(service: Service, folder: Folder | None = None) -> Iterator[None]:
    """Wraps code that writes to the embedded store, or to a folder, which may be in another store.

    Raises StorageFull where the embedded store only reports that it is unavailable.
    """
    try:
        yield
    except PartUnavailable as error:
        if not isinstance(folder, StoreFolder) and (full := storage_full(service)) is not None:
            raise full from error
        raise
