"""Environments' own stores: opened once each, and opened again after a change of their credentials."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from registry_tui.schemas.store_addresses import settings_of
from registry_tui.schemas.stores import (
    DirectoryStore,
    EnvironmentStore,
    Store,
    StoreProblem,
    credentials_of,
    endpoint_of,
    signs_in,
    uri_of,
)
from registry_tui.service.core.context import Service
from registry_tui.service.core.deadlines import within
from registry_tui.service.database.tables import EnvironmentStoreRow
from registry_tui.service.errors import (
    AlreadyThere,
    InUse,
    InvalidInput,
    Missing,
    PartUnavailable,
    ServiceError,
    WrongState,
)
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.opening import open_store

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: The object with the ID of the environment that owns a place in a store: no two share one, even of two installations.
MARK = ".registry-tui-environment.json"
#: The folder of archives in an environment's bucket of the embedded store.
EMBEDDED_FOLDER = "modelregistry"
_STORES: TypeAdapter[Store] = TypeAdapter(Store)
#: Folders of an environment's archives and artifacts; a place in one would be deleted with them.
_OWN_FOLDERS = re.compile(r"/(modelregistry|artifacts)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(/|$)")


#: Seconds that the deletion of an environment waits for its store: a directory whose server is lost may block forever.
_PATIENCE = 60.0


class _Opened:
    """Open stores by environment, each with the generation of its row."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.known: dict[str, tuple[int, Bucket]] = {}


def own_store(service: Service, environment_id: str) -> Bucket | None:
    """The environment's own store; None if it uses the embedded one. Raises InvalidInput."""
    with service.database.reading() as session:
        row = session.get(EnvironmentStoreRow, environment_id)
        if row is None:
            return None
        generation, raw = row.generation, row.store
    opened = service.kept.of(_Opened)
    with opened.guard:
        found = opened.known.get(environment_id)
        if found is None or found[0] != generation:
            found = opened.known[environment_id] = generation, open_store(store_of(raw))
        return found[1]


def own_address(service: Service, environment_id: str) -> str | None:
    """The address of an environment's own store, for messages, also while it cannot be opened; None without one."""
    try:
        bucket = own_store(service, environment_id)
    except InvalidInput:  # its profile, file, or extra with the library is missing
        with service.database.reading() as session:
            row = session.get(EnvironmentStoreRow, environment_id)
            return None if row is None else uri_of(store_of(row.store))
    return None if bucket is None else bucket.uri


def store_of(raw: Mapping[str, Any]) -> Store:
    """A store from its row."""
    return _STORES.validate_python(raw)


def place_of(store: Store) -> str:
    """Identifies a store: its endpoint and its address; for a directory, its path with links resolved."""
    if isinstance(store, DirectoryStore):
        return f"file://{str(Path(store.address.path).resolve()).rstrip('/')}/"
    return f"{endpoint_of(store).rstrip('/')} {uri_of(store)}".strip()


def is_among_archives(store: Store) -> bool:
    """Whether a place is in a folder of an environment's archives or artifacts, perhaps of another installation."""
    return _OWN_FOLDERS.search(place_of(store)) is not None


def archives_folder(session: Session, environment_id: str) -> str:
    """The folder of an environment's archives: in its own store, one that nobody else uses."""
    return _folder_of(environment_id) if session.get(EnvironmentStoreRow, environment_id) else EMBEDDED_FOLDER


def _folder_of(environment_id: str) -> str:
    return f"modelregistry-{environment_id}"


def artifacts_folder(session: Session, environment_id: str, mlflow_workspace: str) -> str:
    """The folder of a new project's artifacts in the environment's own store; empty for the embedded one."""
    row = session.get(EnvironmentStoreRow, environment_id)
    return f"artifacts-{environment_id}/{mlflow_workspace}" if row is not None and row.artifacts else ""


def new_row(
    environment_id: str, store: Store, notes: list[StoreProblem], *, artifacts: bool = True
) -> EnvironmentStoreRow:
    """The row of a store that was tried."""
    return EnvironmentStoreRow(
        artifacts=artifacts,
        environment_id=environment_id,
        place=place_of(store),
        store=store.model_dump(mode="json"),
        notes=[each.model_dump(mode="json") for each in notes],
    )


def shown(row: EnvironmentStoreRow | None) -> EnvironmentStore | None:
    """A store as people see it."""
    if row is None:
        return None
    store = store_of(row.store)
    return EnvironmentStore(
        kind=store.kind,
        uri=uri_of(store),
        endpoint=endpoint_of(store),
        credentials=credentials_of(store),
        signs_in=signs_in(store),
        notes=[StoreProblem.model_validate(each) for each in row.notes],
        artifacts=row.artifacts,
        settings=settings_of(store),
    )


def require_usable(store: Store) -> tuple[Bucket, list[StoreProblem]]:
    """Opens a store and tries every verb; returns it with the problems that are not fatal. Raises InvalidInput."""
    bucket = open_store(store)
    problems = list(bucket.probe())
    fatal = [each for each in problems if each.fatal]
    if fatal:
        detail = "; ".join(each.text for each in fatal)
        raise InvalidInput(f"The store {bucket.uri} cannot be used. {detail}", action=fatal[0].action or None)
    return bucket, problems


def claim(bucket: Bucket, environment_id: str, name: str) -> None:
    """Marks a place in a store as an environment's. Raises InUse when it is another's."""
    mark = json.dumps({"environment_id": environment_id, "environment": name}).encode()
    try:
        bucket.put_new(MARK, mark)
    except AlreadyThere as error:
        if not _is_of(bucket, environment_id):
            raise InUse(
                f"{bucket.uri} belongs to another environment, perhaps of another installation: {MARK} lies there",
                action="Choose another prefix; or remove that object, if nothing uses the place any more",
            ) from error


def require_claimed(bucket: Bucket, environment_id: str) -> None:
    """Raises WrongState for a place that is not the environment's."""
    if not _is_of(bucket, environment_id):
        raise _not_its(bucket)


def _not_its(bucket: Bucket) -> WrongState:
    return WrongState(
        f"{bucket.uri} is not this environment's store: {MARK} there names another environment, or is missing",
        action="Mend the endpoint and the credentials: an environment keeps its store",
    )


def claimed_store(service: Service, environment_id: str) -> Bucket | None:
    """As `own_store`, after a check of its mark: an empty folder under a missing mount is not the store.

    Raises PartUnavailable without a mark, WrongState for another environment's mark, InvalidInput.
    """
    bucket = own_store(service, environment_id)
    if bucket is not None:
        require_there(bucket, environment_id)
    return bucket


def require_there(bucket: Bucket, environment_id: str) -> None:
    """Raises PartUnavailable for a place without a mark, WrongState for one with the mark of another environment."""
    try:
        own = _names(bucket, environment_id)
    except Missing as error:
        mark = json.dumps({"environment_id": environment_id})
        raise PartUnavailable(
            f"{bucket.uri} is empty or another store now: {MARK}, which names this environment, is missing",
            action=f"Mount or mend it; if only that object was lost, put it back: {mark}",
        ) from error
    if not own:
        raise _not_its(bucket)


def release(bucket: Bucket, environment_id: str) -> None:
    """Removes the mark of an environment; other objects stay."""
    with suppress(Missing):
        if _is_of(bucket, environment_id):
            bucket.delete([MARK])


def forget(service: Service, environment_id: str) -> None:
    """Gives up the store of an environment that is deleted. Raises ServiceError when the store does not respond."""
    try:
        bucket = own_store(service, environment_id)
    except InvalidInput:  # without its profile or file the store cannot be reached
        bucket = None
    try:
        if bucket is not None:
            _patiently(bucket, lambda: release(bucket, environment_id))
    finally:
        opened = service.kept.of(_Opened)
        with opened.guard:
            opened.known.pop(environment_id, None)


def _patiently(bucket: Bucket, ask: Callable[[], T]) -> T:
    """Returns the result of `ask`. Raises PartUnavailable when that takes too long; its thread then keeps running."""
    try:
        return within(_PATIENCE, ask, "own-store")
    except TimeoutError as error:
        raise PartUnavailable(f"The store {bucket.uri} does not answer", action="Look at its mount") from error


def _is_of(bucket: Bucket, environment_id: str) -> bool:
    try:
        return _names(bucket, environment_id)
    except Missing:
        return False


def keeps_archives(service: Service, environment_id: str) -> bool:
    """Whether archives of an environment are in its own store; False without a store of its own."""
    try:
        bucket = own_store(service, environment_id)
        return bucket is not None and _patiently(bucket, lambda: _holds_archives(bucket, environment_id))
    except ServiceError as error:
        # It may be lost for good, and an environment must not wait for that.
        logger.warning(
            "whether the store of environment %s keeps archives is unknown: %s", environment_id, error.detail
        )
        return False


def _holds_archives(bucket: Bucket, environment_id: str) -> bool:
    require_there(bucket, environment_id)
    return any(True for _ in bucket.list(f"{_folder_of(environment_id)}/"))


def _names(bucket: Bucket, environment_id: str) -> bool:
    """Whether the mark is the environment's. Raises Missing without a mark."""
    body = bucket.read(MARK)
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("environment_id") == environment_id


def problem_of(bucket: Bucket) -> ServiceError | None:
    """Why a store cannot be used now."""
    fatal = [each for each in bucket.probe() if each.fatal]
    if not fatal:
        return None
    return WrongState(f"The store {bucket.uri} cannot be used: {fatal[0].text}", action=fatal[0].action or None)
