"""A container of Azure Blob storage, by obstore; an account with a hierarchical namespace by its blob endpoint."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import ssl
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import httpx
import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore

from registry_tui.schemas.stores import AzureAddress, AzureCredentials, StoreProblem
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
    batches,
    changed_meanwhile,
)
from registry_tui.service.stores.pieces import own_errors
from registry_tui.service.stores.probing import try_verbs

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import AzureConfig, ClientConfig

#: Bytes of a block, and the blocks under way at the same time. A blob has at most 50 000 blocks, so 400 GB.
_BLOCK_BYTES, _BLOCKS_AT_ONCE = 8 << 20, 4
#: Azure's limit on the requests of one batch.
_DELETE_BATCH = 256
_LIST_PAGE = 1000
#: Seconds for putting the blocks of a blob together.
_COMMIT_SECONDS = 120
#: Of a SAS: its version, and its permissions: read, add, create, write, delete, list.
_SAS_VERSION, _SAS_MAY = "2021-12-02", "racwdl"
_UPLOAD = re.compile(r"[0-9a-f]{32}")
#: Put by a probe, and never put.
_PROBE, _NO_OBJECT = ".registry-tui-probe/azure", ".registry-tui-probe/none"


def open_container(address: AzureAddress, credentials: AzureCredentials) -> AzureContainer:
    """A container, not contacted yet. Raises InvalidInput for a file or an endpoint that cannot be used."""
    options: ClientConfig = {
        "connect_timeout": timedelta(seconds=5),
        "timeout": timedelta(seconds=60),
        "allow_http": address.endpoint.startswith("http://"),
    }
    if address.ca_bundle:
        try:
            options["root_certificate"] = Path(address.ca_bundle).read_bytes()
        except OSError as error:
            raise InvalidInput(
                f"The CA bundle {address.ca_bundle} cannot be read by the service",
                action="Name a PEM file on the service's machine that its account may read",
            ) from error
    prefix = address.prefix.strip("/")
    try:
        store = AzureStore(
            address.container,
            prefix=prefix or None,
            config=_config(address, credentials),
            client_options=options,
            retry_config={"max_retries": 3},
        )
    except (BaseError, ValueError) as error:
        raise InvalidInput(
            f"The address or the credentials of {address.account}/{address.container} are not valid",
            action="Mend the endpoint, the account key (base64) or the SAS",
        ) from error
    uri = f"az://{address.account}/{address.container}/{prefix}"
    return AzureContainer(
        store,
        f"{uri}/" if prefix else uri,
        signs=not credentials.sas,
        endpoint=address.endpoint,
        ca_bundle=address.ca_bundle,
    )


def open_limited(address: AzureAddress, credentials: AzureCredentials, seconds: int) -> AzureContainer:
    """The container by a SAS that the account key signs, for so long: it reaches nothing else of the account.

    Addresses of single blobs are signed with the account key. Raises InvalidInput as `open_container` does.
    """
    whole = open_container(address, credentials)
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    sas = container_sas(address, credentials.account_key, until)
    return replace(open_container(address, AzureCredentials(sas=sas)), signer=whole.store)


def container_sas(address: AzureAddress, account_key: str, until: datetime) -> str:
    """A SAS with which blobs of a container are read, stored, listed and deleted until a moment.

    The text that is signed is the one of `Create a service SAS` in Azure's documentation. Raises InvalidInput.
    """
    ends = until.strftime("%Y-%m-%dT%H:%M:%SZ")
    protocol = "https,http" if address.endpoint.startswith("http://") else "https"
    place = f"/blob/{address.account}/{address.container}"
    # Permissions, start, end, place, policy, addresses, protocol, version, kind, snapshot, scope, five headers.
    fields = [_SAS_MAY, "", ends, place, "", "", protocol, _SAS_VERSION, "c", *[""] * 7]
    try:
        key = base64.b64decode(account_key, validate=True)
    except ValueError as error:
        raise InvalidInput("The account key is not valid", action="Give it as Azure shows it (base64)") from error
    signature = base64.b64encode(hmac.new(key, "\n".join(fields).encode(), hashlib.sha256).digest()).decode()
    found = {"sp": _SAS_MAY, "se": ends, "spr": protocol, "sv": _SAS_VERSION, "sr": "c", "sig": signature}
    return urlencode(found)


def _config(address: AzureAddress, credentials: AzureCredentials) -> AzureConfig:
    """The kind of credentials is always named, so that variables of the service's environment choose no other."""
    config: AzureConfig = {"account_name": address.account, "disable_tagging": True, "use_emulator": False}
    if address.endpoint:
        config["endpoint"] = address.endpoint
    if key := credentials.account_key:
        return {**config, "credential_type": "access_key", "account_key": key}
    if sas := credentials.sas:
        return {**config, "credential_type": "sas_token", "sas_key": sas}
    if credentials.tenant_id:
        return {
            **config,
            "credential_type": "client_secret",
            "tenant_id": credentials.tenant_id,
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }
    managed: AzureConfig = {**config, "credential_type": "managed_identity"}
    return {**managed, "client_id": credentials.client_id} if credentials.client_id else managed


@dataclass(frozen=True)
class AzureContainer:
    """The blobs below a prefix of a container."""

    store: AzureStore
    uri: str
    #: Whether its credentials can sign: a SAS cannot sign another.
    signs: bool
    #: The account's endpoint, empty for its public address; and the file with the authorities trusted there.
    endpoint: str = ""
    ca_bundle: str = ""
    #: Signs URLs of blobs where a SAS opens the container.
    signer: AzureStore | None = None

    def put(self, key: str, body: bytes | Iterable[bytes], *, size: int | None = None) -> None:
        if isinstance(body, bytes):
            with self._translated(key):
                obstore.put(self.store, key, body, use_multipart=False)
            return
        with own_errors(body) as pieces, self._translated(key):
            obstore.put(
                self.store, key, pieces, chunk_size=_BLOCK_BYTES, max_concurrency=_BLOCKS_AT_ONCE, use_multipart=True
            )

    def put_new(self, key: str, body: bytes) -> None:
        with self._translated(key):
            obstore.put(self.store, key, body, mode="create", use_multipart=False)

    def read(self, key: str, start: int = 0, size: int | None = None, *, etag: str = "") -> bytes:
        if size == 0:
            return b""
        with self._translated(key):
            # Azure returns an error for a range that begins behind the end, or in an empty blob.
            found = obstore.head(self.store, key)
            if etag and _object(found).etag != etag:
                raise changed_meanwhile(f"{self.uri}{key}")
            end = found["size"] if size is None else min(found["size"], start + size)
            if start >= end:
                return b""
            part = obstore.get(self.store, key, options={"range": (start, end), "if_match": found["e_tag"]})
            return bytes(part.bytes())

    def head(self, key: str) -> StoredObject:
        with self._translated(key):
            return _object(obstore.head(self.store, key))

    def list(self, folder: str = "") -> Iterator[StoredObject]:
        with self._untyped(folder):
            pages = obstore.list(self.store, folder or None, chunk_size=_LIST_PAGE)
            yield from without_folders(_object(found) for page in pages for found in page)

    def entries(self, folder: str = "") -> Iterator[StoredObject | StoredFolder]:
        with self._untyped(folder):
            found = obstore.list_with_delimiter(self.store, folder or None)
            below = [f"{each.rstrip('/')}/" for each in found["common_prefixes"]]
            yield from (StoredFolder(each) for each in below)
            # An empty object with a folder's name represents the folder.
            named = frozenset(below)
            yield from (_object(each) for each in found["objects"] if each["size"] or f"{each['path']}/" not in named)

    def delete(self, keys: Iterable[str]) -> None:
        for batch in batches(keys, _DELETE_BATCH):
            self._delete(batch)

    def abort_uploads(self, folder: str) -> None:
        """Does nothing: Azure discards blocks that were not committed within a week."""

    def copy(self, source: str, target: str, *, etag: str = "") -> None:
        found = self.head(source)
        if etag and found.etag != etag:
            raise changed_meanwhile(f"{self.uri}{source}")
        with self._translated(source):
            obstore.copy(self.store, source, target)
        # Azure may continue copying after its response.
        if self.head(target).size != found.size:
            raise PartUnavailable(f"Azure has not finished copying {self.uri}{source}", action="Try again later")

    def signed_url(self, method: Method, key: str, seconds: int) -> str | None:
        # obstore 0.12 signs the address as it is encoded, which Azure refuses: it compares the decoded one.
        if not (self.signs or self.signer) or quote(key) != key:
            return None
        with self._translated(key):
            return obstore.sign(self.signer or self.store, method, key, timedelta(seconds=seconds))

    @property
    def reached_at(self) -> str:
        return self.endpoint

    def begin_upload(self, key: str, parts: int, seconds: int) -> BegunUpload | None:
        # A signature is for the blob; the block is named in addition.
        signed = self.signed_url("PUT", key, seconds)
        if signed is None:
            return None
        upload = token_hex(16)
        blocks = (quote(_block(upload, number), safe="") for number in range(1, parts + 1))
        return BegunUpload(upload, [f"{signed}&comp=block&blockid={block}" for block in blocks])

    def complete_upload(self, key: str, upload: str, parts: Sequence[SentPart]) -> None:
        signed = self.signed_url("PUT", key, _COMMIT_SECONDS)
        if signed is None or not _UPLOAD.fullmatch(upload):
            raise Missing(f"There is no such upload of {self.uri}{key}", action="Begin it again")
        listed = "".join(f"<Uncommitted>{_block(upload, each.number)}</Uncommitted>" for each in parts)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'
        try:
            with httpx.Client(
                verify=_trusted(self.ca_bundle) if self.ca_bundle else True, trust_env=False, timeout=_COMMIT_SECONDS
            ) as client:
                answer = client.put(f"{signed}&comp=blocklist", content=body.encode())
        except httpx.HTTPError as error:
            raise PartUnavailable(
                f"Azure does not answer at {self.uri}{key}",
                action="Check the endpoint, and that this machine reaches it",
            ) from error
        if answer.status_code == HTTPStatus.BAD_REQUEST:
            raise WrongState(f"Not all parts of {self.uri}{key} were stored", action="Send the file again")
        if answer.is_error:
            raise PartUnavailable(f"Azure did not store {self.uri}{key} (HTTP {answer.status_code})")

    def abort_upload(self, key: str, upload: str) -> None:
        """Does nothing: Azure discards uncommitted blocks after a week."""

    def abort_older(self, folder: str, before: datetime) -> int:
        return 0

    def usage(self, folder: str = "") -> Usage:
        return Usage.of(self.list(folder))

    def probe(self) -> Sequence[StoreProblem]:
        try:
            self.put(_PROBE, b"registry-tui")
            self.delete([_PROBE])
        except Missing:
            return [
                StoreProblem(text=f"There is no container at {self.uri}", action="Make the container, or mend its name")
            ]
        except ServiceError as error:
            return [StoreProblem(text=f"Cannot store an object: {error.detail}", action=error.action or "")]
        return try_verbs(self)

    # -- underneath --------------------------------------------------------------------------------

    def _delete(self, keys: Sequence[str]) -> None:
        with self._untyped(keys[0]):
            try:
                obstore.delete(self.store, keys)
                return
            except FileNotFoundError:
                pass
            # Which one does not exist is not named, nor whether those after it were deleted.
            for key in keys:
                try:
                    obstore.delete(self.store, key)
                except FileNotFoundError:
                    continue

    @contextmanager
    def _untyped(self, folder: str) -> Iterator[None]:
        """As `_translated`, for lists and batches, whose errors have no type: a HEAD finds the missing permission."""
        try:
            with self._translated(folder):
                yield
        except PartUnavailable:
            with suppress(Missing):
                self.head(_NO_OBJECT)
            raise

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Turns obstore's errors into service errors with an action."""
        try:
            yield
        except FileNotFoundError as error:
            raise Missing(f"There is no object {self.uri}{key}") from error
        except AlreadyExistsError as error:
            raise AlreadyThere(f"There is an object {self.uri}{key} already") from error
        except PreconditionError as error:
            raise changed_meanwhile(f"{self.uri}{key}") from error
        except UnauthenticatedError as error:
            raise NotPermitted(
                f"Azure does not accept the credentials for {self.uri}",
                action="Give the account key, SAS or secret again",
            ) from error
        except PermissionDeniedError as error:
            raise NotPermitted(
                f"Azure refuses access to {self.uri}",
                action="Give them again, or the role Storage Blob Data Contributor on this container",
            ) from error
        except (InvalidPathError, ValueError) as error:
            raise InvalidInput(f"Azure cannot take this name: {self.uri}{key}") from error
        except BaseError as error:
            raise PartUnavailable(
                f"Azure did not do that at {self.uri}{key}: {_first_line(error)}",
                action="Check the endpoint, and that this machine reaches it",
            ) from error


def _block(upload: str, number: int) -> str:
    """A block's name: all of a blob have the same length."""
    return base64.b64encode(f"{upload}-{number:05}".encode()).decode()


def _trusted(bundle: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=bundle)


def without_folders(found: Iterable[StoredObject]) -> Iterator[StoredObject]:
    """Leaves out empty objects that represent folders: those with another object below them.

    Accounts with a hierarchical namespace list each directory as an empty blob. Azure lists by key.
    """
    waiting: deque[StoredObject] = deque()
    for each in found:
        # The objects below `a` follow it, but not at once: `a.txt` comes between `a` and `a/b`.
        waiting = deque(other for other in waiting if other.size or not each.key.startswith(f"{other.key}/"))
        waiting.append(each)
        while waiting and (waiting[0].size or each.key > f"{waiting[0].key}/"):
            yield waiting.popleft()
    yield from waiting


def _object(found: ObjectMeta) -> StoredObject:
    # Azure quotes the ETag in a header, but not in a list.
    etag = (found["e_tag"] or "").strip('"')
    return StoredObject(found["path"], found["size"], found["last_modified"], f'"{etag}"' if etag else "")


def _first_line(error: BaseError) -> str:
    return (str(error).splitlines() or [""])[0]
