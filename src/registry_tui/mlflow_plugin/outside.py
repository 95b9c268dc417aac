"""Archives and artifacts in environments' own stores: through the service, as only it can sign in there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    RESOURCE_CONFLICT,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
    ErrorCode,
)

from registry_tui.contracts.mlflow_routes import Location, Routes
from registry_tui.mlflow_plugin.service_calls import INTERNAL, said, service
from registry_tui.mlflow_plugin.store_errors import no_artifact

_CHUNK = 1 << 20
#: Seconds between two pieces of a file; the service gives up sooner on a store that does not respond.
_PATIENCE = httpx.Timeout(120.0, connect=5.0)
#: Seconds until a store has put the parts of a large file together.
_UPLOAD_PATIENCE = httpx.Timeout(600.0, connect=5.0)
_CODES = {
    400: INVALID_PARAMETER_VALUE,
    403: PERMISSION_DENIED,
    404: RESOURCE_DOES_NOT_EXIST,
    409: RESOURCE_CONFLICT,
    422: INVALID_PARAMETER_VALUE,
}
_BINARY: Mapping[str, str] = {"Content-Type": "application/octet-stream"}
#: For missing files, and for folders.
_NO_FILE = tuple(ErrorCode.Name(code) for code in (RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE))


@dataclass(frozen=True)
class OutsideFiles:
    """Files of one registry or of one project, as the service reaches them. Raises MlflowException for people."""

    socket: Path
    #: The service's address for them.
    address: str
    #: The prefix of their keys.
    prefix: str

    def list(self, location: Location) -> list[FileInfo]:
        """The entries of a folder, with keys as in `Location`; empty if it does not exist."""
        with self._answer("GET", "files", location) as answer:
            entries = answer.json()["items"]
        return [
            FileInfo(f"{location.key}/{each['path']}", each["is_folder"], None if each["is_folder"] else each["size"])
            for each in entries
        ]

    def has(self, location: Location) -> bool:
        """Whether there is a file."""
        try:
            with self._answer("HEAD", "content", location):
                return True
        except MlflowException as error:
            if error.error_code in _NO_FILE:
                return False
            raise

    def download_file(self, location: Location, local: Callable[[], str]) -> str | None:
        """Fetches a file to the path that `local` makes for it; None when no file has that name."""
        try:
            with self._answer("GET", "content", location, whole=False) as answer:
                path = local()
                _write(answer, path)
                return path
        except MlflowException as error:
            if error.error_code in _NO_FILE:
                return None
            raise

    @contextmanager
    def opened(self, location: Location) -> Iterator[tuple[int, Iterator[bytes]]]:
        """A file's size and its bytes, piece by piece, to be read in the block."""
        with self._answer("GET", "content", location, whole=False) as answer:
            yield int(answer.headers["Content-Length"]), answer.iter_bytes(_CHUNK)

    def download(self, location: Location, local_path: str) -> None:
        """Fetches one file in constant memory."""
        with self._answer("GET", "content", location, whole=False) as answer:
            _write(answer, local_path)

    def upload(self, location: Location, body: Iterable[bytes], size: int | None) -> None:
        """Stores one file in constant memory; `size` is in bytes, where it is known."""
        with self._answer("PUT", "content", location, content=body, params=_size(size), timeout=_UPLOAD_PATIENCE):
            pass

    async def upload_stream(self, location: Location, body: AsyncIterable[bytes], size: int | None) -> None:
        """Like `upload`, for pieces that are still arriving; an error in them ends it, and nothing is stored."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket), verify=False, trust_env=False)
        params: dict[str, str | int] = {"path": self._path(location), **_size(size)}
        try:
            async with httpx.AsyncClient(transport=transport, timeout=_UPLOAD_PATIENCE) as client:
                answer = await client.put(self._url("content"), params=params, content=body, headers=_BINARY)
        except httpx.HTTPError as error:
            raise away() from error
        if answer.is_error:
            raise _refused(location, answer)

    def delete(self, location: Location) -> None:
        """Deletes a file, or a folder with all below it."""
        with self._answer("DELETE", "content", location):
            pass

    def begin_upload(self, location: Location, parts: int, *, elsewhere: bool) -> tuple[str, Sequence[str]] | None:
        """Begins an upload in parts: its ID, and an address a part; None where the client must send it here."""
        params = {"parts": parts, "elsewhere": elsewhere}
        with self._answer("POST", "uploads", location, params=params, missing=HTTPStatus.NOT_IMPLEMENTED) as answer:
            if answer.status_code == HTTPStatus.NOT_IMPLEMENTED:
                return None
            begun = answer.json()
            return begun["id"], begun["urls"]

    def complete_upload(self, location: Location, upload: str, parts: Sequence[tuple[int, str]]) -> None:
        """Puts the parts of an upload together, each named by its number and ETag."""
        body = json.dumps([{"number": number, "etag": etag} for number, etag in parts]).encode()
        with self._answer(
            "PUT",
            "uploads",
            location,
            params={"upload": upload},
            content=[body],
            headers={"Content-Type": "application/json"},
            timeout=_UPLOAD_PATIENCE,
        ):
            pass

    def abort_upload(self, location: Location, upload: str) -> None:
        """Throws away the parts of an upload."""
        with self._answer("DELETE", "uploads", location, params={"upload": upload}):
            pass

    def signed(self, location: Location, seconds: int, *, elsewhere: bool) -> tuple[str, int] | None:
        """An address that reads one file for so many seconds, and its size; None where it must be read here."""
        params = {"seconds": seconds, "elsewhere": elsewhere}
        with self._answer("GET", "signed", location, params=params, missing=HTTPStatus.NOT_IMPLEMENTED) as answer:
            if answer.status_code == HTTPStatus.NOT_IMPLEMENTED:
                return None
            found = answer.json()
            return found["url"], found["size"]

    def _path(self, location: Location) -> str:
        return location.key.removeprefix(self.prefix).strip("/")

    def _url(self, what: str) -> str:
        return f"{INTERNAL}/{self.address}/{what}"

    @contextmanager
    def _answer(
        self,
        method: str,
        what: str,
        location: Location,
        *,
        whole: bool = True,
        params: Mapping[str, Any] = {},
        content: Iterable[bytes] | None = None,
        headers: Mapping[str, str] = _BINARY,
        timeout: httpx.Timeout = _PATIENCE,
        missing: int | None = None,
    ) -> Iterator[httpx.Response]:
        """Calls the service. For the status `missing` the caller gets the response, and no error is raised."""
        try:
            with (
                service(self.socket, timeout) as client,
                client.stream(
                    method,
                    self._url(what),
                    params={"path": self._path(location), **params},
                    content=content,
                    headers=headers if content is not None else None,
                ) as answer,
            ):
                if whole or answer.is_error:
                    answer.read()
                if answer.is_error and answer.status_code != missing:
                    raise _refused(location, answer)
                yield answer
        except httpx.HTTPError as error:
            raise away() from error


def _write(answer: httpx.Response, path: str) -> None:
    with open(path, "wb") as file:
        for piece in answer.iter_bytes(_CHUNK):
            file.write(piece)


def outside_files(routes: Routes, location: Location, socket: Path) -> OutsideFiles:
    """The archives or artifacts that a location is among."""
    if location.registry is None:
        project = routes.projects[location.workspace]
        return OutsideFiles(socket, f"artifacts/{project.project_id}", location.folder)
    registry = routes.registries[location.registry]
    return OutsideFiles(socket, f"archives/{registry.registry_id}", registry.prefix)


def _size(size: int | None) -> dict[str, int]:
    return {} if size is None else {"size": size}


def away() -> MlflowException:
    return MlflowException(
        "The environment's store cannot be reached just now. `registry-tui status` shows whether the service is well.",
        error_code=TEMPORARILY_UNAVAILABLE,
    )


def _refused(location: Location, answer: httpx.Response) -> MlflowException:
    if answer.status_code == 404:
        return no_artifact(location)
    return MlflowException(said(answer), error_code=_CODES.get(answer.status_code, TEMPORARILY_UNAVAILABLE))
