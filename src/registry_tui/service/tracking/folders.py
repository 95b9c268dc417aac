"""Folders of artifacts: in the object store here, or behind an attached server's REST API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from registry_tui.contracts import file_paths
from registry_tui.contracts.counts import counted
from registry_tui.schemas.tracking import Artifact
from registry_tui.service.adapters.attached_mlflow import AttachedMlflow
from registry_tui.service.adapters.mlflow_answers import OddAnswer, as_mlflow_does, pages
from registry_tui.service.errors import InvalidInput, Missing, PartUnavailable
from registry_tui.service.stores import bucket_files
from registry_tui.service.stores.bucket_files import clear_errors
from registry_tui.service.stores.content import CHUNK, Content, entries_of, open_file, parse_range

#: Most folders requested from an attached server when their files are counted: a request each.
MOST_FOLDERS = 300


@dataclass(frozen=True)
class Sizes:
    """Bytes of files by their path; `complete` if these are all files."""

    files: dict[str, int]
    complete: bool


class Folder(Protocol):
    """A folder of artifacts. Every method may raise a ServiceError."""

    def below(self, path: str) -> Folder:
        """A folder below it; itself for an empty path."""

    def entries(self, base: str) -> list[Artifact]:
        """The direct entries, with paths behind `base`; empty also if the folder does not exist."""

    def sizes(self, most: int) -> Sizes:
        """The files in it and below, of at most `most`."""

    def open(self, path: str, range_header: str | None) -> Content:
        """A file below it, or a part of it. Raises Missing, InvalidInput for a folder, RangeNotSatisfiable."""


@dataclass(frozen=True)
class StoreFolder:
    """A folder in the embedded store, or in the own store of an environment."""

    place: bucket_files.Folder

    def below(self, path: str) -> StoreFolder:
        return StoreFolder(self.place.below(path)) if path else self

    def entries(self, base: str) -> list[Artifact]:
        return entries_of(self.place, base)

    def sizes(self, most: int) -> Sizes:
        files: dict[str, int] = {}
        if isinstance(self.place, bucket_files.StoreFolder):
            for found in self.place.store.list(self.place.prefix):
                if len(files) >= most:
                    return Sizes(files, complete=False)
                files[found.key.removeprefix(self.place.prefix)] = found.size
            return Sizes(files, complete=True)
        with clear_errors(self.place):
            pages = self.place.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.place.bucket, Prefix=self.place.prefix
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    if entry["Key"].endswith("/"):  # a marker of an empty folder
                        continue
                    if len(files) >= most:
                        return Sizes(files, complete=False)
                    files[entry["Key"].removeprefix(self.place.prefix)] = int(entry["Size"])
        return Sizes(files, complete=True)

    def open(self, path: str, range_header: str | None) -> Content:
        return open_file(self.place, path, range_header)


@dataclass(frozen=True)
class RemoteFolder:
    """A folder that an attached server lists and sends; the place of the bytes is the server's own concern.

    `lists` and `sends` are the paths of its calls, each with the parameter that names a folder or file.
    """

    client: AttachedMlflow
    lists: tuple[str, str]
    sends: tuple[str, str]
    #: Parameters of both calls, e.g. the run.
    params: Mapping[str, str] = field(default_factory=dict)
    path: str = ""

    def below(self, path: str) -> RemoteFolder:
        if not path:
            return self
        return RemoteFolder(self.client, self.lists, self.sends, self.params, self._at(path))

    def entries(self, base: str) -> list[Artifact]:
        prefix = f"{base}/" if base else ""
        return [entry.model_copy(update={"path": f"{prefix}{entry.name}"}) for entry in self._listed(self.path)[0]]

    def sizes(self, most: int) -> Sizes:
        files: dict[str, int] = {}
        asked, waiting, complete = 0, [self.path], True
        while waiting:
            if asked >= MOST_FOLDERS:
                return Sizes(files, complete=False)
            asked += 1
            listed, whole = self._listed(waiting.pop())
            complete = complete and whole
            for entry in listed:
                if entry.is_folder:
                    waiting.append(entry.path)
                elif len(files) >= most:
                    return Sizes(files, complete=False)
                else:
                    files[entry.path.removeprefix(f"{self.path}/" if self.path else "")] = entry.size or 0
        return Sizes(files, complete)

    def open(self, path: str, range_header: str | None) -> Content:
        whole = self._at(path)
        folder = whole.rpartition("/")[0]
        found = next((entry for entry in self._listed(folder)[0] if entry.path == whole), None)
        if found is None:
            raise Missing(f"There is no file {path!r}")
        if found.is_folder:
            raise InvalidInput(f"{path!r} is a folder", action="Name a file in it")
        size = found.size or 0
        start, length = parse_range(range_header, size)
        chunks = self._chunks(whole, start, length)
        # Requests the first bytes now, so that a refusal becomes an error response, and not a body that breaks off.
        next(chunks, None)
        # The server sends no ETag of a file: a weak one, so that clients do not combine parts of two versions.
        return Content(start, length, size, f'W/"{size}"', chunks)

    # -- underneath -----------------------------------------------------------------------------

    def _at(self, path: str) -> str:
        return f"{self.path}/{path}" if self.path else path

    def _listed(self, path: str) -> tuple[list[Artifact], bool]:
        """The entries of a folder by their whole path, and whether these are all.

        Entries that are not directly in it, or have impossible paths, are left out.
        """
        address, name = self.lists
        params: dict[str, Any] = {**self.params, name: path}
        found: list[Artifact] = []
        whole = True

        def ask(token: str) -> Mapping[str, Any]:
            return self.client.call("GET", address, params={**params, "page_token": token})

        for answer in pages(self.client.address.url, ask):
            with as_mlflow_does(self.client.address.url):
                for entry in answer.get("files", ()):
                    at = str(entry["path"])
                    if at.rpartition("/")[0] != path or file_paths.problem(at, decode=False):
                        whole = False
                        continue
                    size = None if entry.get("is_dir") else int(entry.get("file_size") or 0)
                    found.append(Artifact(path=at, is_folder=bool(entry.get("is_dir")), size=size))
        return found, whole

    def _chunks(self, path: str, start: int, length: int) -> Iterator[bytes]:
        """Yields the bytes of a part of a file, after an empty piece once the server begins to send.

        Raises PartUnavailable when there are fewer than the server has listed, OddAnswer for another part.
        """
        if length == 0:
            return
        address, name = self.sends
        last = start + length - 1
        with self.client.stream(address, params={**self.params, name: path}, part=(start, last)) as answer:
            # Not every server supports ranges: then the bytes before are read and dropped.
            skip = 0 if answer.status_code == 206 else start
            if answer.status_code == 206 and not _begins_at(answer.headers.get("Content-Range", ""), start):
                raise OddAnswer(
                    f"MLflow at {self.client.address.url} sends another part of {path!r} than was asked for"
                )
            yield b""
            left = length
            for chunk in answer.iter_bytes(CHUNK):
                taken = chunk[skip : skip + left]
                skip = max(0, skip - len(chunk))
                left -= len(taken)
                if taken:
                    yield taken
                if left == 0:
                    return
        missing = counted(left, "byte")
        raise PartUnavailable(f"MLflow at {self.client.address.url} ended {missing} before the end of {path!r}")


def _begins_at(content_range: str, start: int) -> bool:
    """Whether a `Content-Range` (RFC 9110, 14.4) begins with this byte."""
    found = re.match(r"\s*bytes\s+(\d{1,19})-", content_range, re.IGNORECASE | re.ASCII)
    return found is not None and int(found[1]) == start


def run_artifacts(client: AttachedMlflow, run_id: str) -> RemoteFolder:
    """The artifacts of a run of an attached server."""
    return RemoteFolder(client, ("artifacts/list", "path"), ("/get-artifact", "path"), {"run_id": run_id})


def model_artifacts(client: AttachedMlflow, model_id: str) -> RemoteFolder:
    """The files of a logged model of an attached server."""
    return RemoteFolder(
        client,
        (f"logged-models/{model_id}/artifacts/directories", "artifact_directory_path"),
        (f"/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files", "artifact_file_path"),
    )
