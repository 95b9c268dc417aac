"""A bucket of an S3 store, by boto3: the common part of the embedded store and all others with the S3 API."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSLError,
)

from registry_tui.schemas.stores import StoreProblem
from registry_tui.service.errors import (
    AlreadyThere,
    InvalidInput,
    Missing,
    NotPermitted,
    PartUnavailable,
    RightMissing,
    ServiceError,
    WrongState,
)
from registry_tui.service.stores import s3_checks
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
from registry_tui.service.stores.pieces import PiecesFile, own_errors
from registry_tui.service.stores.probing import PROBE_FOLDER, try_verbs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MIB = 1 << 20
#: S3's limits: the keys of one DeleteObjects, the parts of an upload.
_DELETE_BATCH, _MAX_PARTS = 1000, 10_000
#: Bytes of a part, and the parts under way at the same time: together, the memory of a transfer.
_PART_BYTES, _PARTS_AT_ONCE = 8 * _MIB, 4

#: By S3's error code: the exception, its text and its action. `{bucket}` and `{place}` are filled in.
_WORDS: Mapping[str, tuple[type[ServiceError], str, str]] = {
    "NoSuchBucket": (Missing, "There is no bucket {bucket}", "Make the bucket, or mend its name"),
    "NoSuchKey": (Missing, "There is no object {place}", ""),
    "NoSuchUpload": (Missing, "There is no such upload of {place}", "Begin it again"),
    "InvalidPart": (WrongState, "A part of {place} was not stored as it is named", "Send the file again"),
    "InvalidPartOrder": (WrongState, "The parts of {place} are not in their order", "Send the file again"),
    "EntityTooSmall": (WrongState, "A part of {place} is smaller than 5 MiB", "Send larger parts"),
    "InvalidAccessKeyId": (NotPermitted, "The store does not know the access key", "Give a key that it knows"),
    "SignatureDoesNotMatch": (
        NotPermitted,
        "The secret access key does not belong to the access key ID",
        "Give both again, as they were made together",
    ),
    "ExpiredToken": (NotPermitted, "The credentials have expired", "Give new ones"),
    "RequestTimeTooSkewed": (
        WrongState,
        "This machine's clock and the store's differ by more than 15 minutes",
        "Set this machine's clock (timedatectl set-ntp true)",
    ),
    "PreconditionFailed": (WrongState, "The object {place} changed meanwhile", "Look at it again, then repeat"),
    "KMS.NotFoundException": (WrongState, "The store has no such KMS key", "Mend the key's ID, or make the key"),
    "KMS.DisabledException": (WrongState, "The KMS key is disabled", "Enable the key"),
    "InvalidObjectState": (
        WrongState,
        "The object {place} lies in an archive class and must be restored first",
        "Restore it, and take the lifecycle rule that moved it off this prefix",
    ),
}
_WRONG_REGION = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
#: HEAD responses have no body: only the status describes the error.
_CODES = {"404": "NoSuchKey", "412": "PreconditionFailed", "ExpiredTokenException": "ExpiredToken"}


@dataclass(frozen=True)
class S3Bucket:
    """The objects below a prefix of a bucket. `prefix` is empty or ends with `/`."""

    client: S3Client
    bucket: str
    prefix: str = ""
    #: Arguments of every put: the encryption.
    put_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def put(self, key: str, body: bytes | Iterable[bytes], *, size: int | None = None) -> None:
        part = max(_PART_BYTES, math.ceil((size or 0) / _MAX_PARTS / _MIB) * _MIB)
        transfer = TransferConfig(multipart_threshold=part, multipart_chunksize=part, max_concurrency=_PARTS_AT_ONCE)
        transfer.max_in_memory_upload_chunks = _PARTS_AT_ONCE
        if isinstance(body, bytes):
            with self._translated(key):
                self.client.put_object(Bucket=self.bucket, Key=self._key(key), Body=body, **self.put_options)
            return
        with own_errors(body) as pieces, self._translated(key):
            # A file that cannot seek is read ahead of the parts under way.
            file: Any = PiecesFile(pieces)
            self.client.upload_fileobj(file, self.bucket, self._key(key), dict(self.put_options), Config=transfer)

    def put_new(self, key: str, body: bytes) -> None:
        try:
            with self._translated(key):
                self.client.put_object(
                    Bucket=self.bucket, Key=self._key(key), Body=body, IfNoneMatch="*", **self.put_options
                )
        except WrongState as error:
            # Two at the same moment: S3 returns ConditionalRequestConflict to the one that lost.
            if _code(error.__cause__) in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise AlreadyThere(f"There is an object {self.uri}{key} already") from error
            raise

    def read(self, key: str, start: int = 0, size: int | None = None, *, etag: str = "") -> bytes:
        if size == 0:
            return b""
        options: dict[str, Any] = {"IfMatch": etag} if etag else {}
        if start or size is not None:
            options["Range"] = f"bytes={start}-{'' if size is None else start + size - 1}"
        with self._looking_for(key):
            try:
                found = self.client.get_object(Bucket=self.bucket, Key=self._key(key), **options)
                return found["Body"].read()
            except ClientError as error:
                if _code(error) == "InvalidRange":
                    return b""
                raise

    def head(self, key: str) -> StoredObject:
        with self._looking_for(key):
            try:
                found = self.client.head_object(Bucket=self.bucket, Key=self._key(key))
            except ClientError as error:
                if _code(error) == "400":  # for example expired credentials: a list's response names the reason
                    self._reached()
                raise
            return StoredObject(key, found["ContentLength"], found["LastModified"], found["ETag"])

    def list(self, folder: str = "") -> Iterator[StoredObject]:
        with self._translated(folder):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self._key(folder))
            for page in pages:
                yield from self._objects(page)

    def entries(self, folder: str = "") -> Iterator[StoredObject | StoredFolder]:
        with self._translated(folder):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._key(folder), Delimiter="/"
            )
            for page in pages:
                for below in page.get("CommonPrefixes", ()):
                    yield StoredFolder(below["Prefix"].removeprefix(self.prefix))
                yield from self._objects(page)

    def delete(self, keys: Iterable[str]) -> None:
        for batch in batches(keys, _DELETE_BATCH):
            self._delete(batch)

    def abort_uploads(self, folder: str) -> None:
        with self._translated(folder):
            pages = self.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self._key(folder)
            )
            for page in pages:
                for upload in page.get("Uploads", ()):
                    # Another process may have ended it meanwhile.
                    with suppress(self.client.exceptions.NoSuchUpload):
                        self.client.abort_multipart_upload(
                            Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )

    def copy(self, source: str, target: str, *, etag: str = "") -> None:
        found = self.head(source)
        if etag and found.etag != etag:
            raise changed_meanwhile(f"{self.uri}{source}")
        with self._translated(source):
            self.client.copy(
                {"Bucket": self.bucket, "Key": self._key(source)},
                self.bucket,
                self._key(target),
                ExtraArgs={"CopySourceIfMatch": found.etag, **self.put_options},
                Config=TransferConfig(max_concurrency=_PARTS_AT_ONCE),
            )

    def signed_url(self, method: Method, key: str, seconds: int) -> str | None:
        operation = "get_object" if method == "GET" else "put_object"
        arguments = {"Bucket": self.bucket, "Key": self._key(key)}
        if method == "PUT":
            arguments |= self.put_options
        with self._translated(key):
            return self.client.generate_presigned_url(operation, Params=arguments, ExpiresIn=seconds)

    @property
    def reached_at(self) -> str:
        return str(self.client.meta.endpoint_url)

    def begin_upload(self, key: str, parts: int, seconds: int) -> BegunUpload | None:
        place: dict[str, Any] = {"Bucket": self.bucket, "Key": self._key(key)}
        with self._translated(key):
            upload = self.client.create_multipart_upload(**place, **self.put_options)["UploadId"]
            return BegunUpload(
                upload,
                [
                    self.client.generate_presigned_url(
                        "upload_part",
                        Params={**place, "UploadId": upload, "PartNumber": number},
                        ExpiresIn=seconds,
                    )
                    for number in range(1, parts + 1)
                ],
            )

    def complete_upload(self, key: str, upload: str, parts: Sequence[SentPart]) -> None:
        with self._translated(key):
            self.client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=self._key(key),
                UploadId=upload,
                MultipartUpload={"Parts": [{"PartNumber": each.number, "ETag": each.etag} for each in parts]},
            )

    def abort_upload(self, key: str, upload: str) -> None:
        with suppress(Missing), self._translated(key):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=self._key(key), UploadId=upload)

    def abort_older(self, folder: str, before: datetime) -> int:
        aborted = 0
        with self._translated(folder):
            pages = self.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self._key(folder)
            )
            for page in pages:
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"] < before:
                        self.abort_upload(upload["Key"].removeprefix(self.prefix), upload["UploadId"])
                        aborted += 1
        return aborted

    def usage(self, folder: str = "") -> Usage:
        return Usage.of(self.list(folder))

    def probe(self) -> Sequence[StoreProblem]:
        try:
            answer: Any = self._reached()
        except RightMissing:
            answer = {}  # the list among the verbs reports it
        except ServiceError as error:
            return [StoreProblem(text=error.detail, action=error.action or "")]
        problems = s3_checks.wrong_region(self.client, self.bucket) or [*try_verbs(self), *self._unfinished()]
        kept = s3_checks.keeps_what_is_deleted(self.client, self.bucket)
        return [*s3_checks.wrong_clock(answer), *problems, *kept]

    # -- underneath --------------------------------------------------------------------------------

    def _unfinished(self) -> Iterator[StoreProblem]:
        try:
            self.abort_uploads(PROBE_FOLDER)
        except RightMissing as error:
            text = f"Parts of uploads that were cut off stay, and take room: {error.detail}"
            yield StoreProblem(text=text, action=error.action or "", fatal=False)
        except ServiceError:
            pass  # the verbs report the store's problems

    @contextmanager
    def _looking_for(self, key: str) -> Iterator[None]:
        """As `_translated`, for an object that may not exist.

        S3 answers 403 for a missing one unless the credentials may list the whole bucket; a list of that name alone
        then shows whether it exists.
        """
        try:
            with self._translated(key):
                yield
        except RightMissing as error:
            with self._translated(key):
                page = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self._key(key), MaxKeys=1)
            if all(each["Key"] != self._key(key) for each in page.get("Contents", ())):
                raise Missing(f"There is no object {self.uri}{key}") from error
            raise

    def _objects(self, page: Any) -> Iterator[StoredObject]:
        for entry in page.get("Contents", ()):
            if not entry["Key"].endswith("/"):
                key = entry["Key"].removeprefix(self.prefix)
                yield StoredObject(key, entry["Size"], entry["LastModified"], entry["ETag"])

    def _key(self, key: str) -> str:
        return f"{self.prefix}{key}"

    def _delete(self, keys: Sequence[str]) -> None:
        with self._translated(keys[0]):
            answer = self.client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": [{"Key": self._key(key)} for key in keys], "Quiet": True}
            )
        if refused := answer.get("Errors"):
            first = refused[0]
            detail = f"The store did not delete {first.get('Key')}: {first.get('Code')} {first.get('Message')}"
            if first.get("Code") != "AccessDenied":
                raise WrongState(detail)
            raise RightMissing(f"s3:DeleteObject is missing. {detail}", action=self._allow("s3:DeleteObject"))

    def _reached(self) -> Any:
        """The store's response to a list: its refusals name their reason, those of HEAD do not. Raises ServiceError."""
        with self._translated(""):
            return self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Turns boto3's errors into service errors with an action."""
        try:
            yield
        except ClientError as error:
            raise self._service_error(error, key) from error
        except ParamValidationError as error:
            raise InvalidInput(f"S3 cannot take this name: {self.uri}{key}", action="Mend the bucket's name") from error
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
            raise NotPermitted(
                f"There are no credentials for {self.uri}: {error}",
                action="Give a profile or an access key; without both, this machine needs an instance role",
            ) from error
        except SSLError as error:
            raise PartUnavailable(
                f"The certificate of {self.client.meta.endpoint_url} is not known here",
                action="Give the file with its authority's certificate (CA bundle)",
            ) from error
        except (BotoCoreError, OSError) as error:
            raise PartUnavailable(
                f"The store at {self.client.meta.endpoint_url} does not answer",
                action="Check the endpoint, and that this machine reaches it",
            ) from error

    def _service_error(self, error: ClientError, key: str) -> ServiceError:
        answer: Any = error.response.get("Error", {})
        code, message = _code(error), str(answer.get("Message", "")).strip()
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        reason = f"{error.operation_name}: {answer.get('Code', '')} {message}".strip()
        if code in _WRONG_REGION:
            right = answer.get("Region") or "another region"
            return WrongState(
                f"The bucket {self.bucket} is in {right}, not in the region {self.client.meta.region_name} ({reason})",
                action="Set the bucket's region",
            )
        if code in _WORDS:
            kind, text, action = _WORDS[code]
            place = f"{self.uri}{key}"
            return kind(f"{text.format(bucket=self.bucket, place=place)} ({reason})", action=action or None)
        if status in (401, 403):
            right = s3_checks.right_of(error.operation_name)
            return RightMissing(f"{right} is missing in {self.uri} ({reason})", action=self._allow(right))
        if status >= 500 or code in ("SlowDown", "RequestTimeout", "Throttling"):
            return PartUnavailable(f"The store cannot do that now ({reason})", action="Try again later")
        return WrongState(f"The store refuses to work on {self.uri}{key} ({reason})")

    def _allow(self, right: str) -> str:
        """The action for a missing right."""
        kms = ", and kms:GenerateDataKey and kms:Decrypt on its key" if "SSEKMSKeyId" in self.put_options else ""
        where = self.bucket if right in s3_checks.OF_BUCKET else f"{self.bucket}/{self.prefix}*"
        return (
            f"Allow these credentials {right} on arn:aws:s3:::{where}{kms}; "
            "`registry-tui environments store-access` prints all that is needed"
        )


def _code(error: BaseException | None) -> str:
    """S3's name of an error."""
    if not isinstance(error, ClientError):
        return ""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return _CODES.get(code, code)
