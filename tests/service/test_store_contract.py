"""The contract of every store (`service/stores/base.py: Bucket`), tried on a real one of each kind."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from registry_tui.service.errors import AlreadyThere, Missing, PartUnavailable, WrongState
from registry_tui.service.stores.azure import AzureContainer
from registry_tui.service.stores.base import Bucket, SentPart, SignsParts, StoredFolder, Usage
from registry_tui.service.stores.directory import Directory
from registry_tui.service.stores.s3_bucket import S3Bucket
from support.other_stores import STORES, started
from support.platforms import unique

MIB = 1 << 20
#: Names that models' files have, and that servers and clients like to change on the way.
NAMES = [
    "plain.txt",
    "with space",
    "é.bin",
    "日本",
    "a+b&c=d",
    "50%",
    "%20",
    "x#1",
    "what?",
    "~tilde",
    "[1]",
    "'quoted'",
]


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    with started(request.param) as found:
        yield found


@pytest.fixture
def folder() -> str:
    """A folder of the test's own."""
    return f"{unique('contract')}/"


def test_an_object_comes_back_whole_and_in_parts(store: Bucket, folder: str) -> None:
    key = f"{folder}model.pkl"
    store.put(key, b"0123456789")
    assert store.read(key) == b"0123456789"
    assert store.read(key, 3, 4) == b"3456"
    assert store.read(key, 8, 100) == b"89"
    assert store.read(key, 7) == b"789"
    assert store.read(key, 10, 5) == store.read(key, 99, 5) == store.read(key, 2, 0) == b""
    store.put(key, b"replaced")
    assert store.read(key) == b"replaced"


def test_an_empty_object_is_one(store: Bucket, folder: str) -> None:
    store.put(f"{folder}__init__.py", b"")
    assert store.head(f"{folder}__init__.py").size == 0
    assert store.read(f"{folder}__init__.py") == store.read(f"{folder}__init__.py", 0, 8) == b""
    assert [found.key for found in store.list(folder)] == [f"{folder}__init__.py"]


def test_an_object_that_is_missing_is_missing_in_every_verb(store: Bucket, folder: str) -> None:
    for act in (
        lambda: store.read(f"{folder}none"),
        lambda: store.read(f"{folder}none", 1, 2),
        lambda: store.head(f"{folder}none"),
        lambda: store.copy(f"{folder}none", f"{folder}copy"),
    ):
        with pytest.raises(Missing):
            act()
    assert list(store.list(folder)) == []
    assert store.usage(folder) == Usage(0, 0)
    store.delete([f"{folder}none"])


@pytest.mark.parametrize("name", NAMES)
def test_names_are_kept_as_they_are(store: Bucket, folder: str, name: str) -> None:
    key = f"{folder}{name}/{name}"
    store.put(key, name.encode())
    assert [found.key for found in store.list(folder)] == [key]
    assert store.read(key) == name.encode()
    store.copy(key, f"{folder}copy/{name}")
    assert store.read(f"{folder}copy/{name}") == name.encode()
    store.delete([key])
    assert [found.key for found in store.list(folder)] == [f"{folder}copy/{name}"]


def test_a_list_has_every_object_once_with_its_size_and_stays_in_its_folder(store: Bucket, folder: str) -> None:
    keys = [f"{folder}{name}" for name in ("a", "a-b/c", "a.txt", "b/a/deep", "b/z", "b.txt", "é")]
    for size, key in enumerate(keys):
        store.put(key, b"x" * size)
    store.put(f"{folder[:-1]}2/beside", b"other")
    found = list(store.list(folder))
    assert sorted(each.key for each in found) == sorted(keys)
    assert {each.key: each.size for each in found} == {key: size for size, key in enumerate(keys)}
    assert sorted(each.key for each in store.list(f"{folder}b/")) == [f"{folder}b/a/deep", f"{folder}b/z"]
    assert store.usage(folder) == Usage(7, sum(range(7)))
    assert store.head(keys[3]) == next(each for each in found if each.key == keys[3])
    store.delete([f"{folder}b"])
    assert store.usage(folder) == Usage(7, sum(range(7))), "a folder is not an object"


def test_a_folder_is_listed_without_what_lies_in_its_folders(store: Bucket, folder: str) -> None:
    names = ("a", "a-b/c", "a-b/d/e", "a.txt", "b/a/deep", "b.txt", "é/é", "with space/x")
    for size, name in enumerate(names):
        store.put(f"{folder}{name}", b"x" * size)
    store.put(f"{folder[:-1]}2/beside", b"other")
    found = {each.key.removeprefix(folder): each for each in store.entries(folder)}
    assert sorted(found) == sorted(["a", "a-b/", "a.txt", "b/", "b.txt", "é/", "with space/"])
    listed = {each.key: each for each in store.list(folder)}
    for name, each in found.items():
        assert each == (StoredFolder(f"{folder}{name}") if name.endswith("/") else listed[f"{folder}{name}"])
    assert [each.key for each in store.entries(f"{folder}a-b/d/")] == [f"{folder}a-b/d/e"]
    assert list(store.entries(f"{folder}none/")) == []
    assert folder in {each.key for each in store.entries()}


def test_parts_of_a_killed_upload_go_where_the_store_keeps_them(store: Bucket, folder: str) -> None:
    store.put(f"{folder}whole", b"stays")
    if isinstance(store, S3Bucket):
        client: Any = store.client
        asked = {"Bucket": store.bucket, "Prefix": f"{store.prefix}{folder}"}
        for key in (f"{folder}a", f"{folder}b/c", f"{folder[:-1]}2/beside"):
            at = {"Bucket": store.bucket, "Key": f"{store.prefix}{key}"}
            begun = client.create_multipart_upload(**at)["UploadId"]
            client.upload_part(**at, UploadId=begun, PartNumber=1, Body=b"part")
        assert len(client.list_multipart_uploads(**asked).get("Uploads", ())) == 2
        store.abort_uploads(folder)
        assert not client.list_multipart_uploads(**asked).get("Uploads", ())
        beside = asked | {"Prefix": f"{store.prefix}{folder[:-1]}2/"}
        assert len(client.list_multipart_uploads(**beside).get("Uploads", ())) == 1
        store.abort_uploads(f"{folder[:-1]}2/")
    store.abort_uploads(folder)
    assert store.read(f"{folder}whole") == b"stays"


def test_more_objects_than_a_page_are_listed_and_deleted(store: Bucket, folder: str) -> None:
    keys = [f"{folder}{number:04}" for number in range(1100)]

    def put(part: list[str]) -> None:
        for key in part:
            store.put(key, b"1")

    threads = [threading.Thread(target=put, args=(keys[start::2],)) for start in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found.key for found in store.list(folder)] == keys
    store.delete([*keys[:600], f"{folder}none"])
    assert [found.key for found in store.list(folder)] == keys[600:]
    store.delete(found.key for found in store.list(folder))
    assert list(store.list(folder)) == []


def test_pieces_become_one_object(store: Bucket, folder: str) -> None:
    content = random.Random(1).randbytes(21 * MIB + 17)
    pieces = [content[start : start + 3 * MIB] for start in range(0, len(content), 3 * MIB)]
    store.put(f"{folder}large", iter(pieces), size=len(content))
    assert store.head(f"{folder}large").size == len(content)
    assert store.read(f"{folder}large", 8 * MIB - 3, 9) == content[8 * MIB - 3 : 8 * MIB + 6]
    store.copy(f"{folder}large", f"{folder}copy")
    assert store.read(f"{folder}copy") == content
    store.put(f"{folder}small", iter([b"a", b"", b"bc"]))
    assert store.read(f"{folder}small") == b"abc"
    store.put(f"{folder}none", iter([]))
    assert store.read(f"{folder}none") == b""


@pytest.mark.parametrize("error", [ValueError, OSError, WrongState])
def test_pieces_that_break_off_leave_nothing_and_say_why(store: Bucket, folder: str, error: type[Exception]) -> None:
    def broken() -> Iterator[bytes]:
        yield os.urandom(9 * MIB)
        raise error("the source is gone")

    with pytest.raises(error, match="the source is gone"):
        store.put(f"{folder}model", broken())
    assert list(store.list(folder)) == []


def test_an_object_that_changed_is_not_taken_for_the_old_one(store: Bucket, folder: str) -> None:
    key = f"{folder}model"
    store.put(key, b"first")
    etag = store.head(key).etag
    assert etag
    assert next(store.list(folder)).etag == etag
    assert store.read(key, 0, 3, etag=etag) == b"fir"
    store.copy(key, f"{folder}copy", etag=etag)
    store.put(key, b"other")
    with pytest.raises(WrongState):
        store.read(key, 0, 3, etag=etag)
    with pytest.raises(WrongState):
        store.copy(key, f"{folder}copy", etag=etag)
    assert store.read(f"{folder}copy") == b"first"


def test_of_many_that_put_a_new_object_one_succeeds(store: Bucket, folder: str) -> None:
    key = f"{folder}manifest.json"
    results: list[str] = []

    def put(name: str) -> None:
        try:
            store.put_new(key, name.encode())
            results.append(name)
        except AlreadyThere:
            results.append("")

    threads = [threading.Thread(target=put, args=(f"writer {number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [name for name in results if name]
    assert len(results) == 6
    assert store.read(key) == winner.encode()
    with pytest.raises(AlreadyThere):
        store.put_new(key, b"late")
    store.delete([key])
    store.put_new(key, b"again")
    assert store.read(key) == b"again"


def test_a_signed_url_reads_and_writes_without_credentials(store: Bucket, folder: str) -> None:
    key = f"{folder}model.bin"
    store.put(key, b"content")
    reading, writing = store.signed_url("GET", key, 300), store.signed_url("PUT", f"{folder}new", 300)
    if isinstance(store, Directory):
        assert reading is None and writing is None
        return
    assert reading is not None and writing is not None
    assert httpx.get(reading).content == b"content"
    headers = {"x-ms-blob-type": "BlockBlob"} if isinstance(store, AzureContainer) else {}
    assert httpx.put(writing, content=b"signed", headers=headers).status_code in (200, 201)
    assert store.read(f"{folder}new") == b"signed"


def test_parts_that_nobody_completed_are_thrown_away_when_they_are_old(store: Bucket, folder: str) -> None:
    if not isinstance(store, SignsParts):
        assert isinstance(store, Directory)
        return
    begun = store.begin_upload(f"{folder}large.bin", 1, 300)
    assert begun is not None
    sent = httpx.put(begun.urls[0], content=b"part")
    assert sent.is_success
    now, hour = datetime.now(UTC), timedelta(hours=1)
    parts = [SentPart(1, sent.headers.get("etag", ""))]
    # moto reports that every upload was begun in 2010, and returns 500 for an aborted one.
    is_moto = isinstance(store, S3Bucket) and store.client.meta.region_name == "eu-west-1"
    if not is_moto:
        assert store.abort_older(folder, now - hour) == 0
    store.complete_upload(f"{folder}large.bin", begun.id, parts)
    assert store.read(f"{folder}large.bin") == b"part"

    left = store.begin_upload(f"{folder}left.bin", 1, 300)
    assert left is not None and left.id != begun.id
    assert httpx.put(left.urls[0], content=b"part").is_success
    aborted = store.abort_older(folder, now + hour)
    assert [each.key for each in store.list(folder)] == [f"{folder}large.bin"]
    if not isinstance(store, AzureContainer):  # which throws parts away by itself, after a week
        assert aborted == 1
        with pytest.raises(PartUnavailable if is_moto else Missing):
            store.complete_upload(f"{folder}left.bin", left.id, parts)


@pytest.mark.parametrize("name", NAMES)
def test_a_signed_url_of_any_name_reads_that_object_or_there_is_none(store: Bucket, folder: str, name: str) -> None:
    store.put(f"{folder}{name}", name.encode())
    url = store.signed_url("GET", f"{folder}{name}", 300)
    assert url is None or httpx.get(url).content == name.encode()


def test_a_sound_store_lacks_nothing_and_the_probe_leaves_nothing(store: Bucket) -> None:
    before = [found.key for found in store.list()]
    assert store.probe() == []
    assert [found.key for found in store.list()] == before
