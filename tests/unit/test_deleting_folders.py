"""Deleting a folder of an environment's own store: lists that lag, and folders of very many objects."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from registry_tui.service.core import artifact_places
from registry_tui.service.core.artifact_places import delete_in
from registry_tui.service.stores.base import Bucket, StoredObject, Usage

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def stored(key: str, size: int) -> StoredObject:
    return StoredObject(key, size, _NOW)


class Lagging:
    """A store whose lists are some seconds old, on a clock that advances during sleeps."""

    def __init__(self, lag: float) -> None:
        self.lag, self.now = lag, 0.0
        self.objects: dict[str, int] = {}
        #: The content at each time, the oldest first.
        self.states: list[tuple[float, dict[str, int]]] = [(-1e9, {})]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _changed(self) -> None:
        self.states.append((self.now, dict(self.objects)))

    def put(self, key: str, size: int) -> None:
        self.objects[key] = size
        self._changed()

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)
        self._changed()

    def list(self, folder: str = "") -> Iterator[StoredObject]:
        shown = [state for at, state in self.states if at <= self.now - self.lag][-1]
        return (stored(key, size) for key, size in sorted(shown.items()) if key.startswith(folder))


@pytest.mark.parametrize("lag", [0.0, 0.1, 0.5, 1.0, 2.0])
def test_nothing_stays_where_lists_lag_by_seconds(monkeypatch: pytest.MonkeyPatch, lag: float) -> None:
    store = Lagging(lag)
    monkeypatch.setattr(artifact_places, "sleep", store.sleep, raising=False)
    store.put("a/old", 1)
    store.put("b/other", 1)
    store.sleep(lag)
    store.put("a/new", 10)
    assert delete_in(cast("Bucket", store), "a/") == Usage(2, 11)
    assert store.objects == {"b/other": 1}


def test_a_store_whose_lists_are_current_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Lagging(0.0)
    monkeypatch.setattr(artifact_places, "sleep", store.sleep, raising=False)
    assert delete_in(cast("Bucket", store), "a/") == Usage(0, 0)
    assert store.now == 0.0, "an empty folder needs no pause"
    store.put("a/x", 1)
    delete_in(cast("Bucket", store), "a/")
    assert 0 < store.now < 1


def test_a_folder_of_very_many_objects_is_deleted_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 200_000
    left = [count]

    class Large:
        def list(self, folder: str) -> Iterator[StoredObject]:
            return (stored(f"{folder}run-{number}/artifacts/file", 2) for number in range(left[0]))

        def delete(self, keys: Sequence[str]) -> None:
            left[0] -= len(keys)

    monkeypatch.setattr(artifact_places, "sleep", lambda _: None, raising=False)
    store: Any = Large()
    tracemalloc.start()
    try:
        # The count is that of the list at the beginning.
        assert delete_in(store, "a/") == Usage(count, 2 * count)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 15 << 20, f"{peak:,} bytes"
