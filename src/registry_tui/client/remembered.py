"""Keeps answers of the service, so that a page that is opened again shows them until the next answers come."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from registry_tui.client.errors import RegistryError

#: Bytes of answers that are kept in all, and the most of one.
MOST, MOST_OF_ONE = 4 << 20, 1 << 20


@dataclass
class _Recalling:
    """Whether the block is still running: what it started goes on behind it, and asks the service."""

    active: bool = True


_recalling: ContextVar[_Recalling | None] = ContextVar("recalling", default=None)


class NotRemembered(RegistryError):
    """What is asked for was not answered before, or long ago."""


@contextmanager
def recalling() -> Iterator[None]:
    """Inside, questions are answered from what is remembered, or raise NotRemembered: the service is not asked."""
    state = _Recalling()
    token = _recalling.set(state)
    try:
        yield
    finally:
        state.active = False
        _recalling.reset(token)


def recalls() -> bool:
    """Whether the running code wants remembered answers."""
    state = _recalling.get()
    return state is not None and state.active


class Remembered:
    """The answers used last, by question."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def keep(self, question: str, answer: bytes) -> None:
        """Keeps an answer in place of the one before."""
        self._bytes -= len(self._answers.pop(question, b""))
        if len(answer) > MOST_OF_ONE:
            return
        self._answers[question] = answer
        self._bytes += len(answer)
        while self._bytes > MOST:
            self._bytes -= len(self._answers.popitem(last=False)[1])

    def find(self, question: str) -> bytes:
        """The last answer to a question. Raises NotRemembered."""
        answer = self._answers.get(question)
        if answer is None:
            raise NotRemembered(f"{question} was not answered before")
        self._answers.move_to_end(question)
        return answer
