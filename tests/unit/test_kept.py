"""The data that a service keeps in memory belongs to that service: two in one process share nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from registry_tui.service.core.kept import Kept, Locks
from registry_tui.service.models.changes import ModelChanges


class Slow:
    made = 0

    def __init__(self) -> None:
        type(self).made += 1


def test_all_threads_get_the_one_object_of_a_class() -> None:
    kept, ready = Kept(), threading.Barrier(8)

    def ask(_: int) -> Slow:
        ready.wait()
        return kept.of(Slow)

    Slow.made = 0
    with ThreadPoolExecutor(8) as threads:
        assert len({id(found) for found in threads.map(ask, range(8))}) == 1
    assert Slow.made == 1


def test_two_services_keep_their_own_objects() -> None:
    first, second = Kept(), Kept()
    first.of(ModelChanges).add("r1")
    assert (first.of(ModelChanges).count("r1"), second.of(ModelChanges).count("r1")) == (1, 0)


def test_a_lock_is_the_same_for_a_name_and_another_for_others() -> None:
    locks = Locks()
    with locks.of("projects"), locks.of("environments"):
        assert locks.of("projects") is locks.of("projects") is not locks.of("environments")
