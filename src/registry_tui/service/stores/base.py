"""The protocols of a store of artifacts and archives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.stores import StoreProblem
from registry_tui.service.errors import WrongState

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_Item = TypeVar("_Item")

#: The method of a signed URL.
Method = Literal["GET", "PUT"]

#: S3 error codes for keys that the store does not know, and the action to take then.
UNKNOWN_KEY = ("InvalidAccessKeyId", "SignatureDoesNotMatch")
RESTORE = "The key does not belong to this store's data: restore secrets.json and the folders of this home together"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object: its key, size in bytes, time, and an ETag that changes with its content."""

    key: str
    size: int
    modified: datetime
    etag: str = ""


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """The common prefix of the objects in a folder: a key that ends with `/`."""

    key: str


@dataclass(frozen=True)
class Usage:
    """The objects below a prefix."""

    objects: int
    bytes: int

    @classmethod
    def of(cls, listed: Iterable[StoredObject]) -> Usage:
        """The usage of objects as a store lists them."""
        objects = bytes_ = 0
        for each in listed:
            objects, bytes_ = objects + 1, bytes_ + each.size
        return cls(objects, bytes_)


def batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Lists of at most `size` items, in their order."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def changed_meanwhile(place: str) -> WrongState:
    """The error for an object, by its address, that changed since it was read."""
    return WrongState(f"The object {place} changed meanwhile", action="Look at it again, then repeat")


class Bucket(Protocol):
    """A place of objects: a bucket, a container or a directory, or a prefix of one. Threads may share it.

    Keys are relative to it. An object appears whole or not at all. Every method but `put_new` may be repeated, and may
    raise Missing, NotPermitted, InvalidInput, WrongState, StorageFull, or PartUnavailable when waiting helps.
    """

    @property
    def uri(self) -> str:
        """Its address, for messages; ends with `/`."""

    def put(self, key: str, body: bytes | Iterable[bytes], *, size: int | None = None) -> None:
        """Stores an object, replacing one with this key; pieces are streamed in constant memory.

        `size` is in bytes, and is needed for more than 80 GB in pieces. An exception of the pieces is passed on, and
        nothing is stored.
        """

    def put_new(self, key: str, body: bytes) -> None:
        """Stores an object if the key is free. Raises AlreadyThere: of several callers one succeeds."""

    def read(self, key: str, start: int = 0, size: int | None = None, *, etag: str = "") -> bytes:
        """Bytes of an object from `start` on, at most `size`; fewer at its end, none behind it.

        Raises Missing, WrongState when it has another ETag.
        """

    def head(self, key: str) -> StoredObject:
        """An object without its content. Raises Missing."""

    def list(self, folder: str = "") -> Iterator[StoredObject]:
        """All objects in a folder (empty, or with `/` at its end) and below, without markers of folders.

        In the store's own order: SeaweedFS has `b/z` before `b.txt`.
        """

    def entries(self, folder: str = "") -> Iterator[StoredObject | StoredFolder]:
        """The objects in a folder, and its subfolders that hold any; the content of those is not listed."""

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects; missing ones are ignored."""

    def abort_uploads(self, folder: str) -> None:
        """Discards the parts that killed uploads left in a folder, if the store keeps them.

        Call it only while nothing is being stored there.
        """

    def copy(self, source: str, target: str, *, etag: str = "") -> None:
        """Copies an object within the store. Raises Missing, WrongState when the source has another ETag."""

    def signed_url(self, method: Method, key: str, seconds: int) -> str | None:
        """An address that reads or writes one object without credentials; None where the store cannot sign one."""

    def usage(self, folder: str = "") -> Usage:
        """The objects in a folder and below."""

    def probe(self) -> Sequence[StoreProblem]:
        """Tries all required operations with an object of its own; returns the problems, in words. Raises nothing."""


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part of an upload that a client sent to its signed address, with the ETag that the store returned."""

    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class BegunUpload:
    """An upload in parts: its ID, and one signed address a part, for PUT, in their order."""

    id: str
    urls: Sequence[str]


@runtime_checkable
class SignsParts(Protocol):
    """A bucket to which clients can upload parts of an object directly. Methods raise as `Bucket`'s.

    An upload's ID is valid for its own object only.
    """

    @property
    def reached_at(self) -> str:
        """The address that signed addresses begin with; empty for the cloud's own."""

    def begin_upload(self, key: str, parts: int, seconds: int) -> BegunUpload | None:
        """Begins an upload whose URLs are valid for so long; None if these credentials cannot sign them."""

    def complete_upload(self, key: str, upload: str, parts: Sequence[SentPart]) -> None:
        """Puts the parts together. Raises Missing for an unknown upload, WrongState for parts that do not fit."""

    def abort_upload(self, key: str, upload: str) -> None:
        """Discards the parts of an upload; one that does not exist is ignored."""

    def abort_older(self, folder: str, before: datetime) -> int:
        """Discards uploads below a folder that were begun before a time; returns how many."""


class Objects(Protocol):
    """Buckets and their objects. Methods may be repeated, and may raise NotPermitted, WrongState, PartUnavailable."""

    def s3(self, key: AccessKey | None = None) -> S3Client:
        """A client with this key, or the administrator's. Its errors are boto3's own."""

    def create_bucket(self, bucket: str) -> None:
        """Makes a bucket; one that exists is kept."""

    def delete_bucket(self, bucket: str) -> None:
        """Deletes a bucket. Raises InUse when it holds something."""

    def bucket_holds_objects(self, bucket: str) -> bool:
        """Whether there is anything in a bucket."""

    def delete_prefix(self, bucket: str, prefix: str) -> Usage:
        """Deletes everything below a prefix; returns the number of objects and bytes."""

    def holds(self, bucket: str, key: str) -> bool:
        """Whether there is an object with this key."""

    def listing(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """The objects below a prefix."""

    def put_bucket_policy(self, bucket: str, statements: Sequence[Mapping[str, Any]]) -> None:
        """Sets the policy of a bucket, in addition to the users' own policies; removes it without statements."""


class MachineUsers(Protocol):
    """Machine users, whose keys have the rights of their policy. Methods raise as those of `Objects`."""

    def create_user(self, name: str) -> None:
        """Makes a user; one that exists is kept."""

    def create_access_key(self, name: str) -> AccessKey:
        """Makes a user's only key."""

    def add_access_key(self, name: str) -> AccessKey:
        """Makes another key of a user."""

    def retire_access_keys(self, name: str, old: AccessKey | None, kept: AccessKey) -> None:
        """Ends all keys of a user but `kept`, which clients of the old one use from then on."""

    def put_policy(self, name: str, policy: Mapping[str, Any]) -> None:
        """Sets a user's policy."""

    def delete_policy(self, name: str) -> None:
        """Removes all rights of a user."""

    def delete_user(self, name: str) -> None:
        """Deletes a user with its keys and policy."""

    def probe_prefix(self, key: AccessKey | None, bucket: str, prefix: str, registry: str = "") -> None:
        """Writes, reads and deletes an object below a prefix with a key."""


@dataclass(frozen=True)
class Stores:
    """The stores of artifacts and archives."""

    objects: Objects
    users: MachineUsers
