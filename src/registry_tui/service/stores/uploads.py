"""Multipart uploads to the embedded store, and the removal of parts that killed uploads left in any store."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from registry_tui.service.errors import ServiceError
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.bucket_files import MIB, Folder, Place, StoreFolder, clear_errors

logger = logging.getLogger(__name__)

#: Larger files are copied in parts. S3 takes parts from 5 MiB, at most 10 000 of them. Small parts cost SeaweedFS least
#: (`bench/archive.py`: larger ones make its garbage collector work).
PART_BYTES = 5 * MIB
MAX_PARTS = 10_000


def part_size(size: int) -> int:
    """Bytes of each part of a file, so that S3's number of parts suffices."""
    return max(PART_BYTES, math.ceil(size / MAX_PARTS / MIB) * MIB)


@contextmanager
def new_upload(target: Place, key: str) -> Iterator[str]:
    """A multipart upload's ID; aborts it when the block fails, so that no part stays."""
    with clear_errors(target):
        upload = str(target.client.create_multipart_upload(Bucket=target.bucket, Key=key)["UploadId"])
    try:
        yield upload
    except BaseException:
        try:
            with clear_errors(target):
                target.client.abort_multipart_upload(Bucket=target.bucket, Key=key, UploadId=upload)
        except ServiceError as error:  # raise the first error; the next copy aborts the rest
            logger.warning("The parts of %s%s stay for now: %s", target.uri, key, error.detail)
        raise


def complete_upload(target: Place, key: str, upload: str, parts: list[dict[str, Any]]) -> None:
    with clear_errors(target):
        target.client.complete_multipart_upload(
            Bucket=target.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
        )


def abort_uploads(target: Folder) -> None:
    """Discards the parts that a killed copy left below a place."""
    if isinstance(target, StoreFolder):
        abort_outside(target.store, target.prefix)
        return
    with clear_errors(target):
        pages = target.client.get_paginator("list_multipart_uploads").paginate(
            Bucket=target.bucket, Prefix=target.prefix
        )
        for page in pages:
            for upload in page.get("Uploads", ()):
                target.client.abort_multipart_upload(
                    Bucket=target.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )


def abort_outside(store: Bucket, folder: str) -> None:
    """Discards the parts that killed uploads left in a folder of an own store, which may not permit that."""
    try:
        store.abort_uploads(folder)
    except ServiceError as error:
        # The work there does not depend on it.
        logger.warning("parts of unfinished uploads may stay in %s%s: %s", store.uri, folder, error.detail)
