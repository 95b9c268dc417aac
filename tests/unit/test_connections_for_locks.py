"""Locks across processes cost connections of PostgreSQL: how many are held at a time has a bound."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

from registry_tui.service.core.idempotency import Keyed
from registry_tui.service.core.kept import Locks
from registry_tui.service.http.routes import keyed


class Counted(Locks):
    """Locks that count how many are held against other processes, and how many were at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.most = 0, 0
        self._counting = threading.Lock()

    @contextmanager
    def across(self, *names: str) -> Iterator[None]:
        with self._counting:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            yield
        finally:
            with self._counting:
                self.now -= 1


async def test_many_keyed_requests_at_once_hold_few_connections() -> None:
    """The others wait, without a thread, and all are carried out."""
    locks, turns, done = Counted(), keyed.Turns(), list[int]()
    service = cast(Any, SimpleNamespace(database=SimpleNamespace(shared=True), locks=locks))

    async def carry_out(number: int) -> None:
        asked = cast(Keyed, SimpleNamespace(id=str(number), digest="d"))
        async with keyed._alone(service, asked, turns.places):
            await asyncio.sleep(0.001)
            done.append(number)

    await asyncio.gather(*(carry_out(number) for number in range(80)))
    assert sorted(done) == list(range(80))
    assert 1 < locks.most <= keyed.AT_ONCE and locks.now == 0


def test_locks_of_many_names_are_taken_against_other_processes_together() -> None:
    locks = Counted()
    names = [f"environment {number}" for number in range(70)]
    with locks.all_of(names):
        assert locks.most == 1
        held = [name for name in names if not locks._own(name).acquire(blocking=False)]
    assert held == names
    with locks.all_of(names):
        assert locks.now == 1
    assert locks.now == 0
