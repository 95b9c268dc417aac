"""Archives in environments' own stores: the service reads them, as only it can sign in there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    INVALID_STATE,
    PERMISSION_DENIED,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
    ErrorCode,
)

from registry_tui.contracts.mlflow_routes import Location, Routes
from registry_tui.mlflow_plugin.store_errors import no_artifact

_CHUNK = 1 << 20
#: Seconds between two pieces of a file; the service gives up on a store that does not answer sooner.
_PATIENCE = httpx.Timeout(120.0, connect=5.0)
_CODES = {
    403: PERMISSION_DENIED,
    404: RESOURCE_DOES_NOT_EXIST,
    409: INVALID_STATE,
    422: INVALID_PARAMETER_VALUE,
}
#: Of what is not there, and of folders.
_NO_FILE = tuple(ErrorCode.Name(code) for code in (RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE))


@dataclass(frozen=True)
class OutsideArchives:
    """The archives of one registry. Raises MlflowException with a text for people."""

    socket: Path
    registry_id: str
    #: What keys of this registry begin with.
    prefix: str

    def list(self, location: Location) -> list[FileInfo]:
        """What lies in a folder, with keys as in `Location`; nothing when there is no such folder."""
        with self._answer("files", location) as answer:
            answer.read()
            entries = answer.json()["items"]
        return [
            FileInfo(f"{location.key}/{each['path']}", each["is_folder"], None if each["is_folder"] else each["size"])
            for each in entries
        ]

    def has(self, location: Location) -> bool:
        """Whether there is a file."""
        try:
            with self._answer("content", location, "HEAD"):
                return True
        except MlflowException as error:
            if error.error_code in _NO_FILE:
                return False
            raise

    def download_file(self, location: Location, local: Callable[[], str]) -> str | None:
        """Fetches a file to the path that `local` makes for it; None when there is no file of that name."""
        try:
            with self._answer("content", location) as answer:
                path = local()
                _write(answer, path)
                return path
        except MlflowException as error:
            if error.error_code in _NO_FILE:
                return None
            raise

    def download(self, location: Location, local_path: str) -> None:
        """Fetches one file in constant memory."""
        with self._answer("content", location) as answer:
            _write(answer, local_path)

    @contextmanager
    def _answer(self, what: str, location: Location, method: str = "GET") -> Iterator[httpx.Response]:
        path = location.key.removeprefix(f"{self.prefix}/")
        transport = httpx.HTTPTransport(uds=str(self.socket), verify=False, trust_env=False)
        try:
            with (
                httpx.Client(transport=transport, timeout=_PATIENCE) as client,
                client.stream(
                    method,
                    f"http://registry-tui/api/v1/internal/archives/{self.registry_id}/{what}",
                    params={"path": path},
                ) as answer,
            ):
                if answer.is_error:
                    answer.read()
                    raise _refused(location, answer)
                yield answer
        except httpx.HTTPError as error:
            raise MlflowException(
                "The archive cannot be read just now. `registry-tui status` shows whether the service is well.",
                error_code=TEMPORARILY_UNAVAILABLE,
            ) from error


def _write(answer: httpx.Response, path: str) -> None:
    with open(path, "wb") as file:
        for piece in answer.iter_bytes(_CHUNK):
            file.write(piece)


def outside_archives(routes: Routes, location: Location, socket: Path) -> OutsideArchives:
    """The archives that a location with `outside` is among."""
    registry = routes.registries[location.registry or ""]
    return OutsideArchives(socket, registry.registry_id, registry.prefix)


def _refused(location: Location, answer: httpx.Response) -> MlflowException:
    if answer.status_code == 404:
        return no_artifact(location)
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError):
        detail = f"The service answered {answer.status_code}"
    return MlflowException(detail, error_code=_CODES.get(answer.status_code, TEMPORARILY_UNAVAILABLE))
