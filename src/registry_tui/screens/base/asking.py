"""Questions to the service that are asked again: none cancels its own answer."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

Question = Callable[[], Coroutine[Any, Any, None]]


class Asking:
    """For what runs coroutines in named groups (`screens.frame.Working`)."""

    #: Questions that are under way, by group, each with the one to ask behind it.
    _asking: dict[str, Question | None]

    def ask(self, question: Question, group: str, *, again: bool = True) -> None:
        """Asks, unless the group's last question is under way: then once more behind it, or not at all.

        For what is asked by itself. A question that replaces another one, since something else was chosen, is
        `work_on`'s: a question that is asked periodically would cancel its own answer there.
        """
        asking = self.__dict__.setdefault("_asking", {})
        if group in asking:
            if again:
                asking[group] = question
            return
        asking[group] = None
        self.work_on(self._answered_in_turn(question, group), group, exclusive=False)

    def asks(self, group: str) -> bool:
        """Whether a question of the group is under way."""
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
        """Asks about what is chosen, in place of the question about what was chosen before; the same is asked once."""
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
