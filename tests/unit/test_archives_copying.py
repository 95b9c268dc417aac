"""The parts of copying and reading that need no object store."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from registry_tui.service.errors import InvalidInput, NotPermitted
from registry_tui.service.stores.bucket_files import Place, StoreFolder, clear_errors, in_parallel, list_files, slices
from registry_tui.service.stores.content import RangeNotSatisfiable, clean_path, parse_range
from registry_tui.service.stores.copying import copy_files
from registry_tui.service.stores.directory import Directory
from registry_tui.service.stores.uploads import MAX_PARTS, PART_BYTES, part_size


def test_results_come_in_order_and_few_are_under_way() -> None:
    running, most, guard = 0, 0, threading.Lock()

    def work(number: int) -> int:
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        with guard:
            running -= 1
        return number * 2

    assert list(in_parallel(work, range(200), 4, 2)) == [number * 2 for number in range(200)]
    assert most <= 4


def test_the_first_error_stops_the_rest() -> None:
    seen: list[int] = []

    def work(number: int) -> int:
        seen.append(number)
        if number == 3:
            raise ValueError(number)
        return number

    with pytest.raises(ValueError, match="3"):
        list(in_parallel(work, range(1000), 2))
    assert len(seen) < 20


@given(st.integers(min_value=1, max_value=5 << 40))
def test_parts_cover_the_file_within_s3_limits(size: int) -> None:
    step = part_size(size)
    assert step >= PART_BYTES
    assert -(-size // step) <= MAX_PARTS


@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=1, max_value=999))
def test_slices_cover_every_byte_once(size: int, step: int) -> None:
    covered = [byte for first, last in slices(size, step) for byte in range(first, last + 1)]
    assert covered == list(range(size))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, (0, 10)),
        ("bytes=0-3", (0, 4)),
        ("bytes=4-", (4, 6)),
        ("bytes=-3", (7, 3)),
        ("bytes=-30", (0, 10)),
        ("bytes=8-99", (8, 2)),
        ("bytes=5-2", (0, 10)),
        ("bytes=0-1,4-5", (0, 10)),
        ("lines=1-2", (0, 10)),
        ("bytes=-", (0, 10)),
    ],
)
def test_range_headers(header: str | None, expected: tuple[int, int]) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_ranges_behind_the_end(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range(header, 10)
    assert caught.value.headers == {"Content-Range": "bytes */10"}


def test_an_empty_file_has_no_range_but_can_be_read() -> None:
    assert parse_range(None, 0) == (0, 0)
    with pytest.raises(RangeNotSatisfiable):
        parse_range("bytes=0-", 0)


@pytest.mark.parametrize(
    "path", ["..", "../x", "a/../b", "/etc/passwd", "a//b", "a\\b", "a\0b", "./a", "a\nb", "x" * 2000, "\ud800"]
)
def test_paths_that_leave_the_run_are_refused(path: str) -> None:
    with pytest.raises(InvalidInput):
        clean_path(path)


@pytest.mark.parametrize(("path", "clean"), [("", ""), ("a/b/", "a/b"), ("ü/%2e%2e/x", "ü/%2e%2e/x"), ("...", "...")])
def test_other_paths_are_kept(path: str, clean: str) -> None:
    assert clean_path(path) == clean


def refused(code: str, registry: str) -> NotPermitted:
    """The error for a refusal of the object store."""
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    with pytest.raises(NotPermitted) as caught, clear_errors(Place(None, "bucket", "models/", registry).below("m")):
        raise ClientError(answer, "ListObjectsV2")
    assert "s3://bucket/models/m/" in caught.value.detail
    return caught.value


def test_who_is_refused_by_the_store_reads_which_registry_to_grant() -> None:
    for code in ("AccessDenied", "403"):
        assert "`registry-tui registries grant-storage wines`" in str(refused(code, "wines").action)
        assert "grant-storage" not in str(refused(code, "").action), "not a machine user's key"
    for code in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
        assert "secrets.json" in str(refused(code, "wines").action)


def test_a_file_that_an_earlier_copy_left_in_another_store_is_compared_too(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for root in (here, there):
        root.mkdir()
    source, target = StoreFolder(Directory(here), "run/"), StoreFolder(Directory(there), "archive/")
    source.store.put("run/model.bin", b"right")
    target.store.put("archive/model.bin", b"wrong")  # of the same length
    sums = copy_files(list_files(source), source, target)
    assert sums == {"model.bin": hashlib.sha256(b"right").hexdigest()}
    assert target.store.read("archive/model.bin") == b"right"
