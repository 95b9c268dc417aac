"""A bucket of Google Cloud Storage, by Google's own library (JSON API).

obstore would do as well, but uses the XML API, which no server that tests could start supports.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from google.api_core import exceptions
from google.auth.compute_engine import Credentials as MachineCredentials
from google.auth.credentials import Signing
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from google.oauth2.service_account import Credentials as ServiceAccountCredentials
from requests.exceptions import RequestException, SSLError

from registry_tui.schemas.stores import GoogleAddress, GoogleCredentials, StoreProblem
from registry_tui.service.errors import (
    AlreadyThere,
    InvalidInput,
    Missing,
    NotPermitted,
    PartUnavailable,
    ServiceError,
    WrongState,
)
from registry_tui.service.stores.base import (
    BegunUpload,
    Method,
    SentPart,
    StoredFolder,
    StoredObject,
    Usage,
    changed_meanwhile,
)
from registry_tui.service.stores.pieces import PiecesFile, own_errors
from registry_tui.service.stores.probing import try_verbs

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
#: Bytes of the requests of an upload in pieces; one is kept in memory.
_CHUNK_BYTES = 8 << 20
#: Deletions under way at the same time: the library's batches would end at the first object that does not exist.
_DELETERS = 8
#: Timeout of a request, in seconds; and its retries, for errors of a moment: workflows retry for longer by themselves.
_SECONDS = 60
#: Objects of parts, below the prefix; and how many objects Google puts together at once.
_PARTS, _COMPOSED = ".registry-tui-parts/", 32
_UPLOAD = re.compile(r"[0-9a-f]{32}")
_RETRY = DEFAULT_RETRY.with_delay(0.1, 1, 2).with_timeout(3)


def open_google(address: GoogleAddress, credentials: GoogleCredentials) -> GoogleBucket:
    """A bucket, not contacted yet. Raises InvalidInput for a file, key or endpoint that cannot be used."""
    if address.ca_bundle and not os.access(address.ca_bundle, os.R_OK):
        raise InvalidInput(
            f"The CA bundle {address.ca_bundle} cannot be read by the service",
            action="Name a PEM file on the service's machine that its account may read",
        )
    signing_in = _credentials(credentials)
    session = AuthorizedSession(signing_in)
    if address.ca_bundle:
        session.verify = address.ca_bundle
    # Named, so that the library does not look for a project in the service's environment.
    client = Client(
        project="registry-tui",
        credentials=signing_in,
        _http=session,
        client_options={"api_endpoint": address.endpoint} if address.endpoint else None,
    )
    prefix = address.prefix.strip("/")
    return GoogleBucket(client, address.bucket, f"{prefix}/" if prefix else "", address.endpoint)


def _credentials(credentials: GoogleCredentials) -> Any:
    if not credentials.service_account:
        return MachineCredentials(scopes=[_SCOPE])
    try:
        return ServiceAccountCredentials.from_service_account_info(
            json.loads(credentials.service_account), scopes=[_SCOPE]
        )
    except (ValueError, TypeError, AttributeError, GoogleAuthError) as error:
        raise InvalidInput(
            "The key of the service account is not valid",
            action="Give the whole JSON file that Google made for the key",
        ) from error


@dataclass(frozen=True)
class GoogleBucket:
    """The objects below a prefix of a bucket. `prefix` is empty or ends with `/`. ETags are generations."""

    client: Any
    bucket: str
    prefix: str
    endpoint: str

    @property
    def uri(self) -> str:
        return f"gs://{self.bucket}/{self.prefix}"

    def put(self, key: str, body: bytes | Iterable[bytes], *, size: int | None = None) -> None:
        blob = self._blob(key)
        if isinstance(body, bytes):
            with self._translated(key):
                blob.upload_from_string(body, timeout=_SECONDS, retry=_RETRY)
            return
        blob.chunk_size = _CHUNK_BYTES
        with own_errors(body) as pieces, self._translated(key):
            blob.upload_from_file(PiecesFile(pieces), timeout=_SECONDS, retry=_RETRY)

    def put_new(self, key: str, body: bytes) -> None:
        with self._translated(key):
            try:
                self._blob(key).upload_from_string(body, if_generation_match=0, timeout=_SECONDS, retry=_RETRY)
            except exceptions.PreconditionFailed as error:
                raise AlreadyThere(f"There is an object {self.uri}{key} already") from error

    def read(self, key: str, start: int = 0, size: int | None = None, *, etag: str = "") -> bytes:
        if size == 0:
            return b""
        self._require(key, etag)
        with self._translated(key):
            try:
                found: bytes = self._blob(key).download_as_bytes(
                    start=start or None,
                    end=None if size is None else start + size - 1,
                    raw_download=True,
                    if_generation_match=_generation(etag),
                    timeout=_SECONDS,
                    retry=_RETRY,
                )
            except exceptions.RequestRangeNotSatisfiable:
                return b""
            return found

    def head(self, key: str) -> StoredObject:
        with self._translated(key):
            blob = self._blob(key)
            blob.reload(timeout=_SECONDS, retry=_RETRY)
            return self._object(blob)

    def list(self, folder: str = "") -> Iterator[StoredObject]:
        with self._translated(folder):
            for blob in self.client.list_blobs(
                self.bucket, prefix=f"{self.prefix}{folder}", timeout=_SECONDS, retry=_RETRY
            ):
                if not blob.name.endswith("/"):
                    yield self._object(blob)

    def entries(self, folder: str = "") -> Iterator[StoredObject | StoredFolder]:
        with self._translated(folder):
            found = self.client.list_blobs(
                self.bucket, prefix=f"{self.prefix}{folder}", delimiter="/", timeout=_SECONDS, retry=_RETRY
            )
            for page in found.pages:
                for blob in page:
                    if not blob.name.endswith("/"):
                        yield self._object(blob)
            # The library collects the folders of all pages.
            for name in sorted(found.prefixes):
                yield StoredFolder(name.removeprefix(self.prefix))

    def delete(self, keys: Iterable[str]) -> None:
        with ThreadPoolExecutor(_DELETERS, thread_name_prefix="google") as pool:
            for _ in pool.map(self._delete, keys):
                pass

    def abort_uploads(self, folder: str) -> None:
        """Does nothing: Google ends uploads that were not finished within a week."""

    def copy(self, source: str, target: str, *, etag: str = "") -> None:
        self._require(source, etag)
        with self._translated(source):
            original, made, token = self._blob(source), self._blob(target), None
            # Large objects are copied by several requests.
            while True:
                token, _, _ = made.rewrite(
                    original,
                    token=token,
                    if_source_generation_match=_generation(etag),
                    timeout=_SECONDS,
                    retry=_RETRY,
                )
                if token is None:
                    return

    def signed_url(self, method: Method, key: str, seconds: int) -> str | None:
        if not isinstance(self.client._credentials, Signing):
            return None
        with self._translated(key):
            found: str = self._blob(key).generate_signed_url(
                version="v4",
                expiration=timedelta(seconds=seconds),
                method=method,
                **({"api_access_endpoint": self.endpoint} if self.endpoint else {}),
            )
            return found

    @property
    def reached_at(self) -> str:
        return self.endpoint

    def begin_upload(self, key: str, parts: int, seconds: int) -> BegunUpload | None:
        # Each part is an object of its own until they are composed: only the XML API supports uploads in parts.
        upload = token_hex(16)
        urls = []
        for number in range(1, parts + 1):
            url = self.signed_url("PUT", f"{_parts_folder(key, upload)}{number:05}", seconds)
            if url is None:
                return None
            urls.append(url)
        return BegunUpload(upload, urls)

    def complete_upload(self, key: str, upload: str, parts: Sequence[SentPart]) -> None:
        folder = _parts_folder(key, upload)
        stored = {each.key.removeprefix(folder) for each in self.list(folder)} if _UPLOAD.fullmatch(upload) else set()
        if not stored:
            raise Missing(f"There is no such upload of {self.uri}{key}", action="Begin it again")
        names = [f"{each.number:05}" for each in parts]
        if not names or not stored.issuperset(names):
            raise WrongState(f"Not all parts of {self.uri}{key} were stored", action="Send the file again")
        level = 0
        while len(names) > _COMPOSED:
            joined = []
            for first in range(0, len(names), _COMPOSED):
                joined.append(f"joined-{level}-{first:05}")
                self._compose(f"{folder}{joined[-1]}", [f"{folder}{name}" for name in names[first : first + _COMPOSED]])
            names, level = joined, level + 1
        self._compose(key, [f"{folder}{name}" for name in names])
        self.abort_upload(key, upload)

    def abort_upload(self, key: str, upload: str) -> None:
        if _UPLOAD.fullmatch(upload):
            self.delete([each.key for each in self.list(_parts_folder(key, upload))])

    def abort_older(self, folder: str, before: datetime) -> int:
        """Checks all uploads: parts are not in the folder of their object."""
        old = [each.key for each in self.list(_PARTS) if each.modified < before]
        self.delete(old)
        return len({key.rpartition("/")[0] for key in old})

    def usage(self, folder: str = "") -> Usage:
        return Usage.of(self.list(folder))

    def probe(self) -> Sequence[StoreProblem]:
        try:
            next(self.list(), None)
        except Missing:
            return [StoreProblem(text=f"There is no bucket {self.bucket}", action="Make the bucket, or mend its name")]
        except ServiceError as error:
            return [StoreProblem(text=error.detail, action=error.action or "")]
        return [*try_verbs(self), *self._keeps_what_is_deleted()]

    # -- underneath --------------------------------------------------------------------------------

    def _compose(self, target: str, sources: Sequence[str]) -> None:
        with self._translated(target):
            self._blob(target).compose([self._blob(each) for each in sources], timeout=_SECONDS, retry=_RETRY)

    def _blob(self, key: str) -> Any:
        return self.client.bucket(self.bucket).blob(f"{self.prefix}{key}")

    def _require(self, key: str, etag: str) -> None:
        """Compares an ETag also where a server in between leaves out the request's own condition."""
        if etag and self.head(key).etag != etag:
            raise changed_meanwhile(f"{self.uri}{key}")

    def _object(self, blob: Any) -> StoredObject:
        return StoredObject(blob.name.removeprefix(self.prefix), blob.size, blob.updated, f'"{blob.generation}"')

    def _delete(self, key: str) -> None:
        with self._translated(key):
            try:
                self._blob(key).delete(timeout=_SECONDS, retry=_RETRY)
            except exceptions.NotFound:
                return

    def _keeps_what_is_deleted(self) -> Iterator[StoreProblem]:
        """Settings of the bucket by which deleting frees no space. Not every account may read them."""
        bucket = self.client.bucket(self.bucket)
        try:
            bucket.reload(timeout=_SECONDS, retry=_RETRY)
        except (exceptions.GoogleAPICallError, GoogleAuthError, RequestException):
            return
        if bucket.versioning_enabled:
            yield StoreProblem(
                text=f"Versioning is on in the bucket {self.bucket}: deleted files still take room",
                action="Add a lifecycle rule that deletes noncurrent versions",
                fatal=False,
            )
        if bucket.retention_period:
            yield StoreProblem(
                text=f"The bucket {self.bucket} has a retention policy: stored files cannot be deleted for a while",
                action="Use a bucket without one, or expect that deleting versions fails",
                fatal=False,
            )

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Turns the library's errors into service errors with an action."""
        try:
            yield
        except exceptions.NotFound as error:
            raise Missing(f"There is no object {self.uri}{key}") from error
        except exceptions.PreconditionFailed as error:
            raise changed_meanwhile(f"{self.uri}{key}") from error
        except (exceptions.Forbidden, exceptions.Unauthorized) as error:
            raise NotPermitted(
                f"Google refuses access to {self.uri}{key} ({error.message})",
                action="Give the account the role Storage Object Admin on this bucket",
            ) from error
        except (exceptions.BadRequest, ValueError) as error:
            raise InvalidInput(f"Google cannot take this: {self.uri}{key} ({error})") from error
        except SSLError as error:
            raise PartUnavailable(
                f"The certificate of {self.endpoint or 'Google'} is not known here",
                action="Give the file with its authority's certificate (CA bundle)",
            ) from error
        except TransportError as error:
            raise PartUnavailable(
                "Google's sign-in does not answer", action="Check that this machine reaches it, or give a key"
            ) from error
        except GoogleAuthError as error:
            raise NotPermitted(
                f"Google does not accept the credentials for {self.uri}",
                action="Give the key of a service account again; without one, this machine needs an account of its own",
            ) from error
        except (exceptions.GoogleAPICallError, exceptions.RetryError, InvalidResponse, DataCorruption) as error:
            raise PartUnavailable(
                f"Google did not do that at {self.uri}{key} ({error})", action="Try again later"
            ) from error
        except RequestException as error:
            raise PartUnavailable(
                f"The store at {self.endpoint or 'Google'} does not answer",
                action="Check the endpoint, and that this machine reaches it",
            ) from error


def _parts_folder(key: str, upload: str) -> str:
    """The folder of an upload's parts: it includes their object, so that an ID is valid for no other."""
    return f"{_PARTS}{hashlib.sha256(key.encode()).hexdigest()[:32]}-{upload}/"


def _generation(etag: str) -> int | None:
    return int(etag.strip('"')) if etag else None
