"""A cache of the service's responses, so that a page that is opened again shows them until new ones arrive."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from registry_tui.client.errors import RegistryError

#: Bytes of cached responses in total, and of a single one.
MOST, MOST_OF_ONE = 4 << 20, 1 << 20


@dataclass
class _Recalling:
    """Whether the block is still running: tasks it started continue after it, and query the service."""

    active: bool = True


_recalling: ContextVar[_Recalling | None] = ContextVar("recalling", default=None)


class NotRemembered(RegistryError):
    """The response is not in the cache."""


@contextmanager
def recalling() -> Iterator[None]:
    """Inside, requests are served from the cache, or raise NotRemembered: the service is not queried."""
    state = _Recalling()
    token = _recalling.set(state)
    try:
        yield
    finally:
        state.active = False
        _recalling.reset(token)


def recalls() -> bool:
    """Whether the running code accepts cached responses."""
    state = _recalling.get()
    return state is not None and state.active


class Remembered:
    """The most recently used responses, by request."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def keep(self, question: str, answer: bytes) -> None:
        """Caches a response, replacing the previous one."""
        self._bytes -= len(self._answers.pop(question, b""))
        if len(answer) > MOST_OF_ONE:
            return
        self._answers[question] = answer
        self._bytes += len(answer)
        while self._bytes > MOST:
            self._bytes -= len(self._answers.popitem(last=False)[1])

    def find(self, question: str) -> bytes:
        """The last response to a request. Raises NotRemembered."""
        answer = self._answers.get(question)
        if answer is None:
            raise NotRemembered(f"{question} was not answered before")
        self._answers.move_to_end(question)
        return answer
