"""Repeated requests to the service, none of which cancels the one before."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

Question = Callable[[], Coroutine[Any, Any, None]]


class Asking:
    """For classes that run coroutines in named groups (`screens.frame.Working`)."""

    #: Requests in flight, by group, each with the one to send after it.
    _asking: dict[str, Question | None]

    def ask(self, question: Question, group: str, *, again: bool = True) -> None:
        """Sends a request; while the group's last one is in flight, queues it (`again`) or drops it.

        For requests that are made periodically. Use `work_on` for a request that replaces another one, because the
        choice changed: a periodic request would cancel its own response there.
        """
        asking = self.__dict__.setdefault("_asking", {})
        if group in asking:
            if again:
                asking[group] = question
            return
        asking[group] = None
        self.work_on(self._answered_in_turn(question, group), group, exclusive=False)

    def asks(self, group: str) -> bool:
        """Whether a request of the group is in flight."""
        return group in self.__dict__.get("_asking", {})

    async def _answered_in_turn(self, question: Question, group: str) -> None:
        try:
            while True:
                await self._guarded(question())
                following = self._asking[group]
                if following is None:
                    return
                question, self._asking[group] = following, None
        finally:
            del self._asking[group]

    def ask_chosen(self, question: Question, group: str, key: object) -> None:
        """Sends a request about the chosen item, cancelling the one about the item before; repeats are sent once."""
        chosen = self.__dict__.setdefault("_chosen", {})
        if chosen.get(group, _NOTHING) != key:
            chosen[group] = key
            self.work_on(self._answered_for(question, group, key), group)

    async def _answered_for(self, question: Question, group: str, key: object) -> None:
        chosen = self.__dict__["_chosen"]
        try:
            await self._guarded(question())
        finally:
            if chosen.get(group, _NOTHING) == key:
                del chosen[group]

    def work_on(self, work: Coroutine[Any, Any, None], group: str, *, exclusive: bool = True) -> None:
        """Runs it in a group."""
        raise NotImplementedError

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        raise NotImplementedError


_NOTHING = object()
