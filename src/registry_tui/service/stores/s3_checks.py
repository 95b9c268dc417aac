"""Checks of an S3 bucket besides its verbs, and the rights that each verb needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from registry_tui.schemas.stores import StoreProblem

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Seconds; stores refuse requests whose time is further away than 900.
_CLOCK_TOLERANCE = 300
#: Rights on the bucket itself; the others are on objects.
OF_BUCKET = frozenset({"s3:ListBucket", "s3:ListBucketMultipartUploads"})
_RIGHTS: Mapping[str, str] = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "HeadObject": "s3:GetObject",
    "DeleteObjects": "s3:DeleteObject",
    "CopyObject": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
}


def right_of(operation: str) -> str:
    """The right of IAM that an operation of S3 needs."""
    return _RIGHTS.get(operation, f"s3:{operation}")


def wrong_region(client: S3Client, bucket: str) -> Sequence[StoreProblem]:
    """Reports a bucket in another region: without this, AWS would redirect each request."""
    try:
        region = client.head_bucket(Bucket=bucket).get("BucketRegion")
    except (ClientError, BotoCoreError):
        return []
    if not region or region == client.meta.region_name:
        return []
    return [
        StoreProblem(
            text=f"The bucket {bucket} is in the region {region}, not in {client.meta.region_name}",
            action=f"Set the region to {region}",
        )
    ]


def keeps_what_is_deleted(client: S3Client, bucket: str) -> Iterator[StoreProblem]:
    """Settings of the bucket by which deleting frees no space. Not every store or key may read them."""
    try:
        if client.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled":
            yield StoreProblem(
                text=f"Versioning is on in the bucket {bucket}: deleted files still take room",
                action="Add a lifecycle rule that expires noncurrent versions",
                fatal=False,
            )
    except (ClientError, BotoCoreError):
        pass
    try:
        lock = client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
        if lock.get("Rule"):
            yield StoreProblem(
                text=f"Object lock is on in the bucket {bucket}: stored files cannot be deleted for a while",
                action="Use a bucket without a default retention, or expect that deleting versions frees no room",
                fatal=False,
            )
    except (ClientError, BotoCoreError):
        pass


def wrong_clock(answer: Mapping[str, Any]) -> Iterator[StoreProblem]:
    """Reports that this machine's clock is off before the store refuses its requests."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if date is None:
        return
    seconds = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    if abs(seconds) > _CLOCK_TOLERANCE:
        yield StoreProblem(
            text=f"This machine's clock and the store's differ by {abs(seconds) / 60:.0f} minutes",
            action="Set this machine's clock (timedatectl set-ntp true): beyond 15 minutes stores refuse everything",
            fatal=False,
        )
