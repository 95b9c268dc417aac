"""The object store: buckets, and machine users whose keys reach their registry's prefix only (S3 and IAM).

SeaweedFS's handling of IAM policies was tried on 4.48: a policy applies from the next request on; a prefix of a list
needs a condition on `s3:prefix`; an unknown action makes the whole policy malformed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from registry_tui.contracts.counts import counted
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import Ports
from registry_tui.platform.s3 import s3_client
from registry_tui.platform.secrets import AccessKey, Secrets
from registry_tui.service.errors import (
    InUse,
    InvalidInput,
    Missing,
    NotPermitted,
    PartUnavailable,
    ServiceError,
    StorageNotGranted,
    WrongState,
)
from registry_tui.service.stores.base import RESTORE, UNKNOWN_KEY, StoredObject, Stores, Usage, batches

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client

#: The bucket that probes of the store itself use.
PROBE_BUCKET = "registry-tui-probe"
_POLICY = "storage"
#: Most objects of one DeleteObjects request (S3 API).
_DELETE_BATCH = 1000


def machine_policy(bucket: str, prefix: str) -> dict[str, Any]:
    """The policy of a registry's machine user: everything below its own prefix, reading run artifacts, nothing else."""
    here = f"arn:aws:s3:::{bucket}"
    own = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"{here}/workspaces/*"]},
            {"Effect": "Allow", "Action": own, "Resource": [f"{here}/{prefix}/*"]},
            {
                "Effect": "Allow",
                # Also lists unfinished uploads, whose own action SeaweedFS does not know by name.
                "Action": ["s3:List*"],
                "Resource": [here],
                "Condition": {"StringLike": {"s3:prefix": ["workspaces/*", f"{prefix}/*"]}},
            },
        ],
    }


class ObjectStore:
    """One object store. Threads may share it.

    Every method may be repeated, and may raise NotPermitted, WrongState, or PartUnavailable when waiting helps.
    """

    def __init__(self, ports: Ports, secrets: Secrets) -> None:
        self._endpoint = ports.s3_endpoint
        self._secrets = secrets
        #: Replaced keys of machine users, with their successors.
        self._successors: dict[AccessKey, AccessKey] = {}
        self._clients: dict[tuple[str, AccessKey], Any] = {}
        self._guard = threading.Lock()

    def s3(self, key: AccessKey | None = None) -> S3Client:
        """A boto3 client with this key, or the administrator's. Its errors are boto3's own."""
        client: S3Client = self._client("s3", key or self._secrets.object_store_admin)
        return client

    # -- buckets -----------------------------------------------------------------------------------

    def create_bucket(self, bucket: str) -> None:
        """Makes a bucket; one that already exists is kept."""
        with _translated(f"bucket {bucket}", ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")):
            self.s3().create_bucket(Bucket=bucket)

    def delete_bucket(self, bucket: str) -> None:
        """Deletes an empty bucket, if it exists. Raises InUse when it holds objects."""
        if self.bucket_holds_objects(bucket):
            raise InUse(f"Bucket {bucket} still holds objects", action="Remove them first")
        with _translated(f"bucket {bucket}", ("NoSuchBucket",)):
            self.s3().delete_bucket(Bucket=bucket)

    def bucket_holds_objects(self, bucket: str) -> bool:
        """Whether a bucket contains anything; a bucket that does not exist is empty."""
        found = False
        with _translated(f"bucket {bucket}", ("NoSuchBucket",)):
            found = bool(self.s3().list_objects_v2(Bucket=bucket, MaxKeys=1).get("Contents"))
        return found

    def delete_prefix(self, bucket: str, prefix: str) -> Usage:
        """Deletes everything below a prefix, unfinished uploads too; returns the number of objects and bytes."""
        objects = bytes_ = 0
        for batch in batches(self.listing(bucket, prefix), _DELETE_BATCH):
            self._delete(bucket, [each.key for each in batch])
            objects, bytes_ = objects + len(batch), bytes_ + sum(each.size for each in batch)
        self._abort_uploads(bucket, prefix)
        return Usage(objects, bytes_)

    def usage(self, bucket: str, prefix: str) -> Usage:
        """The number of objects and bytes below a prefix."""
        return Usage.of(self.listing(bucket, prefix))

    def holds(self, bucket: str, key: str) -> bool:
        """Whether an object exists."""
        found = False
        with _translated(f"s3://{bucket}/{key}", ("404", "NoSuchKey", "NoSuchBucket")):
            self.s3().head_object(Bucket=bucket, Key=key)
            found = True
        return found

    def listing(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """Every object below a prefix, by key, a page of a thousand in memory; none for a missing bucket."""
        with _translated(f"s3://{bucket}/{prefix}", ("NoSuchBucket",)):
            for page in self.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    yield StoredObject(entry["Key"], entry["Size"], entry["LastModified"])

    def put_bucket_policy(self, bucket: str, statements: Sequence[Mapping[str, Any]]) -> None:
        """Sets a bucket's policy, from the next request on. Raises InvalidInput when it is too large (20 KB)."""
        with _translated(f"the policy of bucket {bucket}", ("NoSuchBucketPolicy",)):
            if not statements:
                self.s3().delete_bucket_policy(Bucket=bucket)
                return
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            self.s3().put_bucket_policy(Bucket=bucket, Policy=document)

    # -- machine users -----------------------------------------------------------------------------

    def create_user(self, name: str) -> None:
        """Makes a user without any permission; one that already exists is kept."""
        with _translated(f"user {name}", ("EntityAlreadyExists",)):
            self._iam().create_user(UserName=name)

    def create_access_key(self, name: str) -> AccessKey:
        """A new key of a user. Its older keys end, so that a key whose response was lost does not stay."""
        with _translated(f"the key of {name}"):
            self._delete_keys(name)
            made = self._iam().create_access_key(UserName=name)["AccessKey"]
            return AccessKey(made["AccessKeyId"], made["SecretAccessKey"])

    def add_access_key(self, name: str) -> AccessKey:
        """A new key of a user, whose other keys stay valid."""
        with _translated(f"the key of {name}"):
            made = self._iam().create_access_key(UserName=name)["AccessKey"]
            return AccessKey(made["AccessKeyId"], made["SecretAccessKey"])

    def retire_access_keys(self, name: str, old: AccessKey | None, kept: AccessKey) -> None:
        """Ends all keys of a user but one, which clients of the old one use from then on."""
        if old is not None and old != kept:
            self._successors[old] = kept
        with _translated(f"the key of {name}"):
            self._delete_keys(name, kept)

    def put_policy(self, name: str, policy: Mapping[str, Any]) -> None:
        """Sets a user's policy, from the next request on."""
        with _translated(f"the policy of {name}"):
            self._iam().put_user_policy(UserName=name, PolicyName=_POLICY, PolicyDocument=json.dumps(policy))

    def delete_policy(self, name: str) -> None:
        """Removes a user's policy, and so all rights; does nothing without a policy or a user."""
        with _translated(f"the policy of {name}", ("NoSuchEntity",)):
            self._iam().delete_user_policy(UserName=name, PolicyName=_POLICY)

    def delete_user(self, name: str) -> None:
        """Deletes a user with policy and keys, if it exists."""
        self.delete_policy(name)
        with _translated(f"user {name}", ("NoSuchEntity",)):
            self._delete_keys(name)
            self._iam().delete_user(UserName=name)

    # -- probes ------------------------------------------------------------------------------------

    def probe(self) -> None:
        """Puts, gets and deletes an object as the administrator."""
        self.create_bucket(PROBE_BUCKET)
        self.probe_prefix(None, PROBE_BUCKET, "service")

    def probe_prefix(self, key: AccessKey | None, bucket: str, prefix: str, registry: str = "") -> None:
        """Puts, gets and deletes an object below a prefix with a key, of that registry's machine user."""
        client, name, body = self.s3(key), f"{prefix}/.probe-{time.time_ns()}", b"registry-tui"
        with _translated(f"s3://{bucket}/{prefix}/", registry=registry):
            client.put_object(Bucket=bucket, Key=name, Body=body)
            found = client.get_object(Bucket=bucket, Key=name)["Body"].read()
            client.delete_object(Bucket=bucket, Key=name)
            if found != body:
                raise WrongState(f"An object of s3://{bucket}/{prefix}/ came back changed")

    # -- underneath --------------------------------------------------------------------------------

    def _client(self, service: str, key: AccessKey) -> Any:
        with self._guard:
            known = self._clients.get((service, key))
            if known is None:
                known = self._clients[service, key] = s3_client(service, self._endpoint, self._newest(key))
            return known

    def _newest(self, key: AccessKey) -> Callable[[], AccessKey]:
        """The successor of a key, looked up for each request: its clients continue while it is replaced."""
        for name in ("object_store_admin", "object_store_mlflow"):
            if key == getattr(self._secrets, name):
                return lambda: cast(AccessKey, getattr(self._secrets, name))

        def newest() -> AccessKey:
            found = key
            while found in self._successors:
                found = self._successors[found]
            return found

        return newest

    def _iam(self) -> IAMClient:
        client: IAMClient = self._client("iam", self._secrets.object_store_admin)
        return client

    def _delete_keys(self, name: str, kept: AccessKey | None = None) -> None:
        for key in self._iam().list_access_keys(UserName=name)["AccessKeyMetadata"]:
            if kept is not None and key["AccessKeyId"] == kept.access_key_id:
                continue
            self._iam().delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])

    def _delete(self, bucket: str, keys: list[str]) -> None:
        with _translated(f"bucket {bucket}"):
            answer = self.s3().delete_objects(
                Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
            if errors := answer.get("Errors"):
                first = errors[0]
                raise WrongState(
                    f"{counted(len(errors), 'object')} of bucket {bucket} could not be deleted, "
                    f"first {first.get('Key')}: {first.get('Code')} {first.get('Message')}"
                )

    def _abort_uploads(self, bucket: str, prefix: str) -> None:
        with _translated(f"s3://{bucket}/{prefix}", ("NoSuchBucket", "NoSuchUpload")):
            pages = self.s3().get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
            for upload in [upload for page in pages for upload in page.get("Uploads", [])]:
                self.s3().abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


@contextmanager
def _translated(what: str, fine: tuple[str, ...] = (), registry: str = "") -> Iterator[None]:
    """Turns boto3's errors into service errors; codes in `fine` are ignored.

    `registry` is the one whose machine user makes the request; without it, it is the administrator's.
    """
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in fine:
            raise _service_error(error, what, registry) from error
    except ParamValidationError as error:
        raise WrongState(f"The object store cannot work on {what}: its name is not valid there") from error
    except (BotoCoreError, OSError) as error:
        raise PartUnavailable(
            "The object store does not answer",
            action="`registry-tui status` shows its state, `registry-tui logs object-store` why",
        ) from error


def _service_error(error: Any, what: str, registry: str) -> ServiceError:
    answer = error.response.get("Error", {})
    code, message = str(answer.get("Code", "")), str(answer.get("Message", "")).strip()
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    reason = f"{error.operation_name}: {code} {message}".strip()
    if status == 403:
        detail = f"The object store refuses access to {what} ({reason})"
        if registry and code not in UNKNOWN_KEY:
            return StorageNotGranted(detail, registry)
        return NotPermitted(detail, action=RESTORE)
    if code == "PolicyTooLarge":
        return InvalidInput(
            f"The policies are too large for the object store ({reason})",
            action="Use fewer paths, with `*` or recursive ones in place of many",
        )
    if status == 404:
        return Missing(f"The object store does not find {what} ({reason})")
    # Right after its start the store lists buckets, but its filer is not ready for puts yet: retry.
    if status >= 500 or code in ("SlowDown", "RequestTimeout", "ServiceUnavailable"):
        return PartUnavailable(
            f"The object store cannot do that now ({reason})", action="See `registry-tui logs object-store`"
        )
    return WrongState(f"The object store refuses to work on {what} ({reason})")


def open_stores(home: Home, ports: Ports, secrets: Secrets) -> Stores:
    """The object store that the platform starts."""
    store = ObjectStore(ports, secrets)
    return Stores(objects=store, users=store)
