"""Transfers between MLflow's clients and a store without the server in between: signed addresses for parts of a file,
and for reading one.

Each URL is valid for one object and for a short time. Where the store cannot sign, or the client would not reach it,
the client is sent through MLflow's proxy.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import select

from registry_tui.contracts import hosts
from registry_tui.contracts.counts import counted
from registry_tui.service.core import own_stores
from registry_tui.service.core.artifact_places import embedded_bucket
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import EnvironmentRow
from registry_tui.service.errors import InvalidInput, Missing, ServiceError
from registry_tui.service.stores.base import BegunUpload, Bucket, SentPart, SignsParts
from registry_tui.service.stores.bucket_files import StoreFolder
from registry_tui.service.tracking.mlflow_files import folder_of, named, require_free, require_kept

logger = logging.getLogger(__name__)

#: Validity of the URL of a part in seconds, as with MLflow's own server.
_PART_SECONDS = 3600
#: S3's limit.
_MAX_PARTS = 10_000
#: The age after which an upload counts as abandoned.
_ABANDONED = timedelta(days=1)


def begin(
    service: Service, principal: Principal, project_id: str, path: str, parts: int, *, elsewhere: bool
) -> BegunUpload | None:
    """Begins an upload; None where the client has to go through the proxy. `elsewhere`: it is on another machine.

    Raises Missing, InvalidInput where the file cannot be stored under its name, PartUnavailable.
    """
    if not 1 <= parts <= _MAX_PARTS:
        raise InvalidInput(f"An upload has 1 to {_MAX_PARTS} parts, not {parts}", action="Send larger parts")
    folder, name = folder_of(service, principal, project_id), named(path)
    require_free(folder, name)
    store = _signing(folder.store, elsewhere=elsewhere)
    return None if store is None else store.begin_upload(folder.key(name), parts, _PART_SECONDS)


def complete(
    service: Service, principal: Principal, project_id: str, path: str, upload: str, parts: Sequence[SentPart]
) -> None:
    """Puts the parts of an upload together. Raises Missing for an unknown one, InvalidInput, WrongState."""
    folder, name = folder_of(service, principal, project_id), named(path)
    require_free(folder, name)
    if not isinstance(folder.store, SignsParts):
        raise Missing(f"There is no such upload of {name!r}")
    folder.store.complete_upload(folder.key(name), upload, parts)
    require_kept(service, project_id, folder, name)


def abort(service: Service, principal: Principal, project_id: str, path: str, upload: str) -> None:
    """Discards the parts of an upload; one that does not exist is ignored."""
    folder, name = folder_of(service, principal, project_id), named(path)
    if isinstance(folder.store, SignsParts):
        folder.store.abort_upload(folder.key(name), upload)


def address_of(folder: StoreFolder, path: str, seconds: int, *, elsewhere: bool) -> tuple[str, int] | None:
    """A signed URL of a file, valid for so many seconds, and its size in bytes; None if the store cannot sign one.

    Raises Missing, InvalidInput, PartUnavailable.
    """
    key = folder.key(named(path))
    found = folder.store.head(key)
    store = _signing(folder.store, elsewhere=elsewhere)
    url = None if store is None else folder.store.signed_url("GET", key, seconds)
    return None if url is None else (url, found.size)


def abort_abandoned(service: Service, now: datetime | None = None) -> int:
    """Discards uploads of artifacts that were begun more than a day ago; returns how many."""
    before = (now or datetime.now(UTC)) - _ABANDONED
    with service.database.reading() as session:
        environments = [(row.id, row.bucket) for row in session.scalars(select(EnvironmentRow))]
    aborted = 0
    for id_, bucket in environments:
        try:
            own = own_stores.own_store(service, id_)
            aborted += _abort_older(embedded_bucket(service, bucket), "workspaces/", before)
            if own is not None:
                aborted += _abort_older(own, f"artifacts-{id_}/", before)
        except ServiceError as error:
            logger.info("abandoned uploads of environment %s are looked for later: %s", id_, error.detail)
    if aborted:
        logger.info("%s thrown away that nobody completed", counted(aborted, "upload"))
    return aborted


def _abort_older(store: Bucket, folder: str, before: datetime) -> int:
    return store.abort_older(folder, before) if isinstance(store, SignsParts) else 0


def _signing(store: Bucket, *, elsewhere: bool) -> SignsParts | None:
    """The store, if it may sign addresses for a client, and the client reaches them."""
    if not isinstance(store, SignsParts) or (
        elsewhere and hosts.means_its_reader(urlsplit(store.reached_at).hostname or "")
    ):
        return None
    return store
