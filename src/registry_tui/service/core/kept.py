"""The memory of a running service: one object of each class that a capability needs, and locks by name."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, TypeVar

T = TypeVar("T")


class Kept:
    """Objects that live as long as the service; each is made on first use."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._objects: dict[type[Any], Any] = {}

    def of(self, kind: type[T]) -> T:
        """The service's one object of a class that is constructed without arguments."""
        with self._guard:
            if kind not in self._objects:
                self._objects[kind] = kind()
            found: T = self._objects[kind]
            return found


class Locks:
    """Locks by name, for work that only one thread of this process does at a time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def of(self, name: str) -> AbstractContextManager[object]:
        """The lock of this name; use it in a `with`."""
        return self._own(name)

    @contextmanager
    def all_of(self, names: Sequence[str]) -> Iterator[None]:
        """The locks of these names, each once, taken in their order."""
        with ExitStack() as held:
            for name in names:
                held.enter_context(self._own(name))
            held.enter_context(self.across(*names))
            yield

    def across(self, *names: str) -> AbstractContextManager[object]:
        """Locks against other processes only; the threads of this process never contend for it."""
        return nullcontext()

    def keep(self, name: str) -> bool:
        """Whether this process has the lock of this name, for as long as it lives; call it repeatedly."""
        return True

    def give_up(self, name: str) -> None:
        """Releases a lock that `keep` took."""

    def close(self) -> None:
        """Gives up everything that was kept."""

    def _own(self, name: str) -> threading.Lock:
        with self._guard:
            return self._locks[name]
