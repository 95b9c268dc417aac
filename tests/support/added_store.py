"""A store that keeps objects in folders: the parts of a new store. `tests/unit/test_adding.py` adds it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry_tui.platform.paths import Home
from registry_tui.platform.ports import Ports
from registry_tui.platform.secrets import AccessKey, Secrets
from registry_tui.service.errors import InUse, WrongState
from registry_tui.service.stores.base import StoredObject, Stores, Usage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Folders:
    """Buckets are folders, objects are files. Every process of this user may read all, so users have no keys."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def s3(self, key: AccessKey | None = None) -> S3Client:
        raise WrongState("Folders do not speak S3", action="Choose the store `seaweedfs`")

    def create_bucket(self, bucket: str) -> None:
        (self._root / bucket).mkdir(parents=True, exist_ok=True)

    def delete_bucket(self, bucket: str) -> None:
        if self.bucket_holds_objects(bucket):
            raise InUse(f"The bucket {bucket} holds objects")
        shutil.rmtree(self._root / bucket, ignore_errors=True)

    def bucket_holds_objects(self, bucket: str) -> bool:
        return any(self.listing(bucket, ""))

    def delete_prefix(self, bucket: str, prefix: str) -> Usage:
        found = list(self.listing(bucket, prefix))
        for each in found:
            (self._root / bucket / each.key).unlink()
        return Usage(len(found), sum(each.size for each in found))

    def holds(self, bucket: str, key: str) -> bool:
        return (self._root / bucket / key).is_file()

    def listing(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        for path in sorted((self._root / bucket).rglob("*")):
            key = path.relative_to(self._root / bucket).as_posix()
            if path.is_file() and key.startswith(prefix):
                status = path.stat()
                yield StoredObject(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def put_bucket_policy(self, bucket: str, statements: Sequence[Mapping[str, Any]]) -> None:
        """Nothing to set."""

    def create_user(self, name: str) -> None:
        """Nothing to make."""

    def create_access_key(self, name: str) -> AccessKey:
        return AccessKey(name, "not needed")

    def add_access_key(self, name: str) -> AccessKey:
        return AccessKey(name, "not needed")

    def retire_access_keys(self, name: str, old: AccessKey | None, kept: AccessKey) -> None:
        """Nothing to end."""

    def put_policy(self, name: str, policy: Mapping[str, Any]) -> None:
        """Nothing to set."""

    def delete_policy(self, name: str) -> None:
        """Nothing to take away."""

    def delete_user(self, name: str) -> None:
        """Nothing to delete."""

    def probe_prefix(self, key: AccessKey | None, bucket: str, prefix: str, registry: str = "") -> None:
        path = self._root / bucket / prefix / "probe"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"probe")
        path.unlink()


def open_stores(home: Home, ports: Ports, secrets: Secrets) -> Stores:
    store = Folders(home.root / "folders")
    return Stores(objects=store, users=store)
