"""The protocols of a store of artifacts and archives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from registry_tui.platform.secrets import AccessKey

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


from dataclasses import dataclass
from datetime import datetime

#: The store's codes for keys that it does not know, and what to do then.
UNKNOWN_KEY = ("InvalidAccessKeyId", "SignatureDoesNotMatch")
RESTORE = "The key does not belong to this store's data: restore secrets.json and the folders of this home together"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing; its size in bytes."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Usage:
    """The objects below a prefix."""

    objects: int
    bytes: int


class Objects(Protocol):
    """Buckets and what they hold. Methods may be repeated, and may raise NotPermitted, WrongState, PartUnavailable."""

    def s3(self, key: AccessKey | None = None) -> S3Client:
        """A client with this key, or the administrator's. Its errors are boto3's own."""

    def create_bucket(self, bucket: str) -> None:
        """Makes a bucket; one that exists is kept."""

    def delete_bucket(self, bucket: str) -> None:
        """Deletes a bucket. Raises InUse when it holds something."""

    def bucket_holds_objects(self, bucket: str) -> bool:
        """Whether there is anything in a bucket."""

    def delete_prefix(self, bucket: str, prefix: str) -> Usage:
        """Deletes everything below a prefix; returns what that was."""

    def holds(self, bucket: str, key: str) -> bool:
        """Whether there is an object with this key."""

    def listing(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """The objects below a prefix."""

    def put_bucket_policy(self, bucket: str, statements: Sequence[Mapping[str, Any]]) -> None:
        """Sets who may do what with a bucket, besides what users may anywhere; nothing without statements."""


class MachineUsers(Protocol):
    """Machine users, whose keys reach what their policy says. Methods raise as those of `Objects`."""

    def create_user(self, name: str) -> None:
        """Makes a user; one that exists is kept."""

    def create_access_key(self, name: str) -> AccessKey:
        """Makes a user's only key."""

    def add_access_key(self, name: str) -> AccessKey:
        """Makes another key of a user."""

    def retire_access_keys(self, name: str, old: AccessKey | None, kept: AccessKey) -> None:
        """Ends all keys of a user but `kept`, with which clients of the old one go on."""

    def put_policy(self, name: str, policy: Mapping[str, Any]) -> None:
        """Sets what a user may do."""

    def delete_policy(self, name: str) -> None:
        """Takes all access from a user."""

    def delete_user(self, name: str) -> None:
        """Deletes a user with its keys and policy."""

    def probe_prefix(self, key: AccessKey | None, bucket: str, prefix: str, registry: str = "") -> None:
        """Writes, reads and deletes an object below a prefix with a key."""


@dataclass(frozen=True)
class Stores:
    """Where artifacts and archives lie."""

    objects: Objects
    users: MachineUsers
