"""A store that responds badly or not at all: acknowledged data exists, and the rest is a temporary error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from registry_tui.service.errors import NotPermitted, PartUnavailable
from registry_tui.service.stores.azure import open_container
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.google import open_google
from support.faulty_http import Faults, faulty
from support.other_stores import azurite, google, seaweedfs
from support.platforms import unique
from support.team import free_port

MIB = 1 << 20
#: Answers to HEAD have no body.
EXPIRED_AT_AWS = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
CONTENT = bytes(range(256)) * 4096


@dataclass(frozen=True)
class Shaky:
    """A store behind a server that makes faults, the same store without it, and one where nobody answers."""

    bucket: Bucket
    sound: Bucket
    gone: Bucket
    faults: Faults


def shaken(buckets: Sequence[Bucket], faults: Faults) -> Shaky:
    bucket, sound, gone = buckets
    return Shaky(bucket, sound, gone, faults)


@pytest.fixture(scope="module", params=["seaweedfs", "azurite", "google"])
def shaky(request: pytest.FixtureRequest) -> Iterator[Shaky]:
    nowhere = f"http://127.0.0.1:{free_port()}"
    if request.param == "seaweedfs":
        with seaweedfs() as s3, faulty(s3.endpoint) as faults:
            faults.refusal = (400, [], EXPIRED_AT_AWS)
            endpoints = (faults.url, s3.endpoint, nowhere)
            yield shaken([replace(s3, endpoint=each).open("shaky") for each in endpoints], faults)
    elif request.param == "azurite":
        with azurite() as azure, faulty(azure.endpoint) as faults:
            faults.refusal = (403, [("x-ms-error-code", "AuthenticationFailed")], b"")
            account = azure.endpoint.rpartition("/")[2]
            endpoints = (faults.url, azure.endpoint, f"{nowhere}/{account}")
            accounts = [replace(azure, endpoint=each) for each in endpoints]
            yield shaken([open_container(each.address("shaky"), each.credentials) for each in accounts], faults)
    else:
        with google() as cloud, faulty(cloud.endpoint) as faults:
            faults.refusal = (401, [("Content-Type", "application/json")], b'{"error": {"message": "expired"}}')
            endpoints = (faults.url, cloud.endpoint, nowhere)
            clouds = [replace(cloud, endpoint=each) for each in endpoints]
            yield shaken([open_google(each.address("shaky"), each.credentials) for each in clouds], faults)


def verbs(bucket: Bucket, folder: str) -> dict[str, Callable[[], object]]:
    """Each verb on objects of a folder in which `there` exists."""
    return {
        "put": lambda: bucket.put(f"{folder}put", b"1"),
        "put in pieces": lambda: bucket.put(f"{folder}pieces", iter([b"1" * MIB] * 9)),
        "put new": lambda: bucket.put_new(f"{folder}new", b"1"),
        "read": lambda: bucket.read(f"{folder}there"),
        "read a range": lambda: bucket.read(f"{folder}there", 1, 2),
        "head": lambda: bucket.head(f"{folder}there"),
        "list": lambda: list(bucket.list(folder)),
        "copy": lambda: bucket.copy(f"{folder}there", f"{folder}copy"),
        "list a folder": lambda: list(bucket.entries(folder)),
        "usage": lambda: bucket.usage(folder),
        "delete": lambda: bucket.delete([f"{folder}there"]),
    }


def test_a_request_that_is_refused_for_a_moment_is_sent_again(shaky: Shaky) -> None:
    folder = f"{unique('moment')}/"
    shaky.sound.put(f"{folder}there", CONTENT)
    for name, act in verbs(shaky.bucket, folder).items():
        met = shaky.faults.met
        shaky.faults.unavailable = 1
        act()
        assert shaky.faults.met == met + 1, name
    assert {each.key.removeprefix(folder): each.size for each in shaky.sound.list(folder)} == {
        "put": 1,
        "pieces": 9 * MIB,
        "new": 1,
        "copy": len(CONTENT),
    }


@pytest.mark.parametrize("verb", verbs(object(), ""))  # type: ignore[arg-type]
def test_a_store_that_stays_unavailable_is_an_error_to_wait_for(shaky: Shaky, verb: str) -> None:
    folder = f"{unique('down')}/"
    shaky.sound.put(f"{folder}there", CONTENT)
    shaky.faults.down = True
    try:
        with pytest.raises(PartUnavailable):
            verbs(shaky.bucket, folder)[verb]()
    finally:
        shaky.faults.down = False
    assert [each.key for each in shaky.sound.list(folder)] == [f"{folder}there"]
    assert shaky.bucket.read(f"{folder}there") == CONTENT


@pytest.mark.parametrize("verb", verbs(object(), ""))  # type: ignore[arg-type]
def test_a_store_that_is_gone_is_an_error_to_wait_for(shaky: Shaky, verb: str) -> None:
    with pytest.raises(PartUnavailable):
        verbs(shaky.gone, "gone/")[verb]()


@pytest.mark.parametrize("verb", verbs(object(), ""))  # type: ignore[arg-type]
def test_credentials_that_expired_are_named_and_nothing_changes(shaky: Shaky, verb: str) -> None:
    folder = f"{unique('expired')}/"
    shaky.sound.put(f"{folder}there", CONTENT)
    shaky.faults.expired = True
    try:
        with pytest.raises(NotPermitted) as refused:
            verbs(shaky.bucket, folder)[verb]()
    finally:
        shaky.faults.expired = False
    assert refused.value.action
    assert [each.key for each in shaky.sound.list(folder)] == [f"{folder}there"]
    verbs(shaky.bucket, folder)[verb]()


def test_a_content_that_breaks_off_never_comes_back_short(shaky: Shaky) -> None:
    key = f"{unique('broken')}/model"
    shaky.sound.put(key, CONTENT)
    for start, size in ((0, None), (10, len(CONTENT) - 20)):
        shaky.faults.broken_off = 1
        try:
            found = shaky.bucket.read(key, start, size)
        except PartUnavailable:
            found = shaky.bucket.read(key, start, size)
        assert shaky.faults.broken_off == 0
        assert found == CONTENT[start:][:size]


def test_a_folder_of_many_folders_is_asked_for_with_a_delimiter(shaky: Shaky) -> None:
    folder = f"{unique('wide')}/"
    for number in range(3):
        shaky.sound.put(f"{folder}{number}/deep/model", CONTENT)
    shaky.faults.asked.clear()
    assert [each.key for each in shaky.bucket.entries(folder)] == [f"{folder}{number}/" for number in range(3)]
    assert len(shaky.faults.asked) == 1
    assert all("delimiter=%2F" in each for each in shaky.faults.asked)


def test_a_probe_of_a_store_that_is_gone_says_so(shaky: Shaky) -> None:
    (problem,) = shaky.gone.probe()
    assert problem.fatal and problem.action
