"""Opens a store by its kind; reports the library to install where it is missing."""

from __future__ import annotations

from registry_tui.platform import extras
from registry_tui.platform.errors import ExtraMissing
from registry_tui.schemas.stores import AzureStore, DirectoryStore, S3Store, Store
from registry_tui.service.errors import InvalidInput
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.directory import open_directory
from registry_tui.service.stores.s3 import open_s3


def open_store(store: Store) -> Bucket:
    """A store, not contacted yet. Raises InvalidInput for an address or credentials that cannot be used."""
    if isinstance(store, S3Store):
        return open_s3(store.address, store.credentials)
    if isinstance(store, DirectoryStore):
        return open_directory(store.address)
    try:
        extras.require("stores")
    except ExtraMissing as error:
        raise InvalidInput(str(error), action=extras.advice("stores")) from error
    # The libraries of these stores belong to an extra of their own.
    if isinstance(store, AzureStore):
        from registry_tui.service.stores.azure import open_container

        return open_container(store.address, store.credentials)
    from registry_tui.service.stores.google import open_google

    return open_google(store.address, store.credentials)


def open_limited(store: AzureStore, seconds: int) -> Bucket:
    """Azure's container by a SAS that its account key signs, for so many seconds. Raises InvalidInput."""
    try:
        extras.require("stores")
    except ExtraMissing as error:
        raise InvalidInput(str(error), action=extras.advice("stores")) from error
    # The library of this store belongs to an extra of its own.
    from registry_tui.service.stores.azure import open_limited as limited

    return limited(store.address, store.credentials, seconds)
