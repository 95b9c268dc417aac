"""The artifact repository inside MLflow's server: run artifacts of every project, and archives to read.

It has the server's only key to the object store, and it follows a path only when it belongs to the workspace of the
request.
"""

from __future__ import annotations

import asyncio
import mimetypes
import os
import threading
from collections.abc import AsyncIterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from mlflow.entities import FileInfo
from mlflow.entities.multipart_upload import (
    CreateMultipartUploadResponse,
    MultipartUploadCredential,
    MultipartUploadPart,
)
from mlflow.entities.presigned_download import PresignedDownloadUrlResponse
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED, TEMPORARILY_UNAVAILABLE
from mlflow.store.artifact.artifact_repo import MultipartDownloadMixin, MultipartUploadMixin, StreamUploadMixin
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository
from mlflow.utils.file_utils import create_tmp_dir
from mlflow.utils.workspace_context import get_request_workspace

from registry_tui.contracts import file_paths
from registry_tui.contracts.mlflow_routes import Location, RouteError, Routes, RoutesFile
from registry_tui.mlflow_plugin import streaming
from registry_tui.mlflow_plugin.asked import asked
from registry_tui.mlflow_plugin.identity import current_user
from registry_tui.mlflow_plugin.mlflow_private import (
    KeyedRepository,
    OneFileRepository,
    download_key,
    no_parts_download,
    no_parts_upload,
    registry_store,
    s3_client,
)
from registry_tui.mlflow_plugin.outside import OutsideFiles, outside_files
from registry_tui.mlflow_plugin.store_errors import clear_errors, no_artifact
from registry_tui.mlflow_plugin.uploads import Uploads
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import AccessKey, SecretsFile


class Buckets:
    """MLflow's own S3 repositories on whole buckets, with the server's key; each is made once."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._repositories: dict[str, S3ArtifactRepository] = {}
        self._secrets = SecretsFile(Home.resolve())

    def of(self, bucket: str) -> S3ArtifactRepository:
        """The repository of a bucket."""
        with self._guard:
            if bucket not in self._repositories:
                self._repositories[bucket] = KeyedRepository(f"s3://{bucket}", self._key)
            return self._repositories[bucket]

    def _key(self) -> AccessKey:
        """Called for each request: uploads continue while the key is replaced."""
        return self._secrets.current().object_store_mlflow


def bucket_repository(bucket: str) -> S3ArtifactRepository:
    """MLflow's own S3 repository on a whole bucket."""
    # MLflow makes an artifact repository for each request; its server has one registry store, which keeps these.
    return registry_store().buckets.of(bucket)


class EnvironmentArtifactRepository(
    OneFileRepository,
    StreamUploadMixin,  # type: ignore[misc]
    MultipartUploadMixin,  # type: ignore[misc]
    MultipartDownloadMixin,  # type: ignore[misc]
):
    """Artifacts by their path behind MLflow's proxy. Raises MlflowException with a text for people."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._root = urlsplit(artifact_uri).path.strip("/")
        self._home = Home.resolve()
        self._routes = RoutesFile(self._home.routes_file)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        location = self._locate_new(artifact_path, Path(local_file).name)
        if location.outside:
            self._upload_outside(location, local_file)
            return
        with clear_errors(location):
            bucket_repository(location.bucket).log_artifact(local_file, location.key.rpartition("/")[0])

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        new = []
        for folder, _, names in os.walk(local_dir):
            below = Path(folder).relative_to(local_dir).as_posix()
            for name in names:
                path = name if below == "." else f"{below}/{name}"
                new.append((self._locate_new(artifact_path, path), Path(folder) / name))
        location = self._locate(artifact_path, write=True)
        if location.outside:
            for file_location, file in new:
                self._upload_outside(file_location, str(file))
            return
        with clear_errors(location):
            bucket_repository(location.bucket).log_artifacts(local_dir, location.key)

    async def log_artifact_from_async_stream(
        self, chunks: AsyncIterable[bytes], artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        request, pieces = asked(), aiter(chunks)
        size = None if request is None else request.length
        uploads: Uploads = registry_store().uploads
        try:
            async with uploads.place(current_user() or ""):
                location = await uploads.aside(self._locate_new, artifact_path, artifact_file_name)
                if location.outside:
                    await self._outside(location).upload_stream(location, pieces, size)
                    return
                file = streaming.ArrivingFile(pieces, asyncio.get_running_loop())
                await file.begin()
                await uploads.aside(self._upload, location, file, size)
        except MlflowException:
            await streaming.drained(pieces)
            raise

    def log_artifact_from_stream(
        self, stream: IO[bytes], artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        location = self._locate_new(artifact_path, artifact_file_name)
        if location.outside:
            self._outside(location).upload(location, streaming.pieces_of(stream), None)
            return
        with clear_errors(location):
            client = s3_client(bucket_repository(location.bucket))
            client.upload_fileobj(stream, location.bucket, location.key, ExtraArgs=_type_of(artifact_file_name))

    def _upload(self, location: Location, file: streaming.ArrivingFile, size: int | None) -> None:
        with clear_errors(location):
            client = s3_client(bucket_repository(location.bucket))
            streaming.send(client, location.bucket, location.key, file, size, _type_of(location.key))

    def _upload_outside(self, location: Location, local_file: str) -> None:
        with open(local_file, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._outside(location).upload(location, streaming.pieces_of(file), size)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        location = self._locate(path)
        if not _sees(location):
            return []  # as a folder that does not exist
        if location.outside:
            found = self._outside(location).list(location)
        else:
            with clear_errors(location):
                found = bucket_repository(location.bucket).list_artifacts(location.key)
        asked = (path or "").strip("/")
        return [
            FileInfo(f"{asked}{info.path.removeprefix(location.key)}".strip("/"), info.is_dir, info.file_size)
            for info in found
        ]

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None, **options: Any) -> str:
        location = self._locate_seen(artifact_path)
        if location.outside:
            return self._download_outside(artifact_path, location, dst_path or create_tmp_dir())
        repository = bucket_repository(location.bucket)
        folder = dst_path or create_tmp_dir()
        with clear_errors(location):
            if not self._has(location):
                if not repository.list_artifacts(location.key):
                    raise no_artifact(location)
                return str(repository.download_artifacts(location.key, folder, **options))
            # Clients of the proxy request single files: fetch one without MLflow's listing of a folder first.
            local = self.new_local_path(artifact_path, folder)
            download_key(repository, location.key, local)
            return local

    def download_file(self, path: str, local_path: str) -> None:
        location = self._locate_seen(path)
        if location.outside:
            self._outside(location).download(location, local_path)
            return
        with clear_errors(location):
            download_key(bucket_repository(location.bucket), location.key, local_path)

    @contextmanager
    def opened(self, path: str) -> Iterator[tuple[int, Iterator[bytes]]]:
        """A file's size and its bytes, piece by piece, to be read in the block. Raises MlflowException."""
        location = self._locate_seen(path)
        if location.outside:
            with self._outside(location).opened(location) as found:
                yield found
            return
        with clear_errors(location):
            client = s3_client(bucket_repository(location.bucket))
            try:
                answer = client.get_object(Bucket=location.bucket, Key=location.key)
            except client.exceptions.NoSuchKey as error:
                if self._has_files_below(location, location.key):
                    raise MlflowException(
                        f"'{location.key}' is a folder. Name a file in it.", error_code=INVALID_PARAMETER_VALUE
                    ) from error
                raise
            with closing(answer["Body"]) as body:
                yield int(answer["ContentLength"]), body.iter_chunks(streaming.CHUNK)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        location = self._locate(artifact_path, write=True)
        if location.outside:
            self._outside(location).delete(location)
            return
        with clear_errors(location):
            bucket_repository(location.bucket).delete_artifacts(location.key)

    def create_multipart_upload(
        self, local_file: str, num_parts: int = 1, artifact_path: str | None = None
    ) -> CreateMultipartUploadResponse:
        location = self._locate_new(artifact_path, _sent_name(local_file))
        begun = self._outside(location).begin_upload(location, num_parts, elsewhere=_is_elsewhere())
        if begun is None:
            raise no_parts_upload()
        upload, urls = begun
        return CreateMultipartUploadResponse(
            upload, [MultipartUploadCredential(url, number, {}) for number, url in enumerate(urls, 1)]
        )

    def complete_multipart_upload(
        self, local_file: str, upload_id: str, parts: list[MultipartUploadPart], artifact_path: str | None = None
    ) -> None:
        location = self._locate_new(artifact_path, _sent_name(local_file))
        self._outside(location).complete_upload(
            location, upload_id, [(part.part_number, part.etag or "") for part in parts]
        )

    def abort_multipart_upload(self, local_file: str, upload_id: str, artifact_path: str | None = None) -> None:
        location = self._locate(f"{artifact_path or ''}/{_sent_name(local_file)}", write=True)
        self._outside(location).abort_upload(location, upload_id)

    def get_download_presigned_url(self, artifact_path: str, expiration: int = 300) -> PresignedDownloadUrlResponse:
        location = self._locate_seen(artifact_path)
        found = self._outside(location).signed(location, expiration, elsewhere=_is_elsewhere())
        if found is None:
            raise no_parts_download()
        return PresignedDownloadUrlResponse(found[0], {}, found[1])

    def has_file(self, path: str) -> bool:
        """Whether there is a file at a path."""
        location = self._locate(path)
        if not _sees(location):
            return False
        if location.outside:
            return self._outside(location).has(location)
        with clear_errors(location):
            return self._has(location)

    def _outside(self, location: Location) -> OutsideFiles:
        return outside_files(load_routes(self._routes), location, self._home.service_socket)

    def _download_outside(self, artifact_path: str, location: Location, folder: str) -> str:
        archives = self._outside(location)
        # Clients of the proxy request single files, one after the other: try one before listing its folder.
        if (local := archives.download_file(location, lambda: self.new_local_path(artifact_path, folder))) is not None:
            return local
        entries = archives.list(location)
        if not entries:
            raise no_artifact(location)
        for entry in entries:
            below = f"{artifact_path.rstrip('/')}/{entry.path.removeprefix(location.key).strip('/')}"
            self._download_outside(below, replace(location, key=entry.path), folder)
        return str(Path(folder) / artifact_path)

    @staticmethod
    def _has(location: Location) -> bool:
        try:
            s3_client(bucket_repository(location.bucket)).head_object(Bucket=location.bucket, Key=location.key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return False
            raise
        return True

    def _locate_seen(self, path: str | None) -> Location:
        location = self._locate(path)
        if not _sees(location):
            raise no_artifact(location)
        return location

    def _locate_new(self, folder: str | None, name: str) -> Location:
        """Where a new file goes, its whole key checked. Raises MlflowException when its name is a folder's."""
        location = self._locate(f"{folder or ''}/{name}", write=True)
        project = f"{location.folder}/"
        if not location.key.startswith(project):
            raise MlflowException("A file belongs into an experiment's folder.", error_code=INVALID_PARAMETER_VALUE)
        if location.outside:
            return location  # the service checks it
        with clear_errors(location):
            if taken := self._in_the_way(location, project):
                raise MlflowException(
                    f"'{location.key.removeprefix(project)}' cannot be stored: {taken}. A file and a folder cannot "
                    "have the same name; choose another one.",
                    error_code=INVALID_PARAMETER_VALUE,
                )
        return location

    def _in_the_way(self, location: Location, project: str) -> str | None:
        """Why a file cannot be stored there: the path is a folder, or one of its parent folders is a file."""
        if self._has_files_below(location, location.key):
            return "it is a folder"
        if self._has_files_below(location, location.key.rpartition("/")[0]):
            return None  # its siblings were checked, so none of its folders is a file
        for folder in file_paths.folders_of(location.key.removeprefix(project)):
            if self._has(replace(location, key=f"{project}{folder}")):
                return f"'{folder}' is a file"
        return None

    @staticmethod
    def _has_files_below(location: Location, folder: str) -> bool:
        client = s3_client(bucket_repository(location.bucket))
        return bool(client.list_objects_v2(Bucket=location.bucket, Prefix=f"{folder}/", MaxKeys=1).get("Contents"))

    def _locate(self, path: str | None, *, write: bool = False) -> Location:
        try:
            location = load_routes(self._routes).locate(f"{self._root}/{path or ''}")
        except RouteError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error
        if location.workspace != get_request_workspace():
            raise MlflowException(
                f"The artifacts of '{location.workspace}' cannot be reached from another project.",
                error_code=PERMISSION_DENIED,
            )
        if write and not location.writable:
            raise MlflowException(
                "A registered version's archive is read-only. Log the model again and register a new version.",
                error_code=PERMISSION_DENIED,
            )
        return location


def _sent_name(local_file: str) -> str:
    """The name of a file for a multipart upload, from its path at the client. Raises MlflowException."""
    name = local_file.rpartition("/")[2]
    if found := file_paths.problem(name):
        raise MlflowException(f"The file's name {found}: {name[-100:]!r}", error_code=INVALID_PARAMETER_VALUE)
    return name


def _is_elsewhere() -> bool:
    request = asked()
    return request is not None and request.elsewhere


def _type_of(name: str) -> dict[str, str]:
    """The arguments of MLflow's own uploads for a file's name."""
    type_, encoding = mimetypes.guess_type(name)
    return {
        **({"ContentType": type_} if type_ else {}),
        **({"ContentEncoding": encoding} if encoding else {}),
    }


def _sees(location: Location) -> bool:
    """Whether the request may see this location; archives of models that it may not see do not exist for it."""
    if location.registry is None or location.model_id is None:
        return True
    return bool(registry_store().sees_archives(location.registry, location.model_id))


def load_routes(file: RoutesFile) -> Routes:
    """The current routes. Raises MlflowException when the file cannot be read."""
    try:
        return file.load()
    except (OSError, ValueError) as error:
        raise MlflowException(
            f"MLflow's server does not know the projects: {error}. `registry-tui restart service` writes them again.",
            error_code=TEMPORARILY_UNAVAILABLE,
        ) from error
