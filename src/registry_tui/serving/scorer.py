"""Answers requests with one model, in the order of arrival, several at once if they can share a call."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry_tui.contracts.counts import counted
from registry_tui.serving import arrow, batching, streaming
from registry_tui.serving.answers import JSON, Answer, Events, problem, score_alone
from registry_tui.serving.batching import MAX_ROWS_TOGETHER, Parsed
from registry_tui.serving.calls import CallRecord
from registry_tui.serving.shortcuts import Shortcuts
from registry_tui.serving.turns import Turns

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

logger = logging.getLogger(__name__)

#: Answers in pieces that a replica makes at once; each has a thread, and they take turns at the model.
STREAMS = 32

#: Seconds after which a call of the model is long: up to `MOST_LONG` more run next to it.
#: `mlflow models serve` has a thread for each request, up to 4 and one for each CPU.
LONG_SECONDS, MOST_LONG = 0.5, 4
#: Seconds between two looks whether a large request has room beside long calls.
_ROOM_SECONDS = 0.05

Ask = Callable[[bytes, Any, Shortcuts | None], Answer]


@dataclass(eq=False)
class _Waiting:
    body: bytes
    content_type: str
    accept: str
    future: asyncio.Future[Answer]
    loop: asyncio.AbstractEventLoop
    #: Whether the outcome counts among the model's calls; False when the platform tries it.
    counted: bool = True
    #: The function that answers it instead of MLflow's, by its body.
    by: Ask | None = None
    parsed: Parsed | None = None

    @property
    def mergeable(self) -> bool:
        """Whether its body may be looked at: plain JSON without parameters of its media type."""
        return self.by is None and self.content_type.strip() == JSON


class QueueFull(Exception):
    """The queue has its maximum of requests or bytes."""


class Scorer:
    """Predicts in the order of arrival; requests that waited while the model worked share a call if possible."""

    def __init__(
        self,
        model: PyFuncModel,
        *,
        batch: bool,
        queue_length: int,
        queue_bytes: int = 64 << 20,
        threads: int = 1,
        strict_json: bool = False,
        on_alone: Callable[[str], None] = logger.info,
        record: CallRecord | None = None,
        shortcuts: Shortcuts | None = None,
    ) -> None:
        self._model, self._shortcuts = model, shortcuts
        self._streams = streaming.can(model)
        self._schema = model.metadata.get_input_schema()
        self.batch, self.strict = batch, strict_json
        #: Called with the reason when requests turn out not to be able to share calls.
        self._on_alone, self._record = on_alone, record
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._most, self._most_bytes = queue_length, queue_bytes
        #: Requests, and their bytes, that no call of the model has begun with.
        self._counting = threading.Lock()
        self._waiting = self._waiting_bytes = 0
        #: For a streaming model: turns of its calls and pieces, as many at once as there are threads.
        self._turns = Turns(max(1, threads)) if self._streams else None
        self._streaming: set[threading.Thread] = set()
        #: When each call of the model that is under way began (`time.monotonic`), and its bytes, by thread.
        self._calls: dict[int, tuple[float, int]] = {}
        #: The requests that each thread has taken from the queue besides those of its call.
        self._behind: dict[int, deque[list[_Waiting]]] = {}
        #: Threads in a long call whose place another one has taken; they end with it.
        self._relieved: set[threading.Thread] = set()
        self._threads = [self._thread() for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Requests that no call of the model has begun with."""
        return self._waiting

    def under_way(self) -> list[float]:
        """Seconds that each call of the model has taken so far."""
        now = time.monotonic()
        return [now - began for began, _ in list(self._calls.values())]

    def busy_beyond(self, seconds: float) -> bool:
        """Whether as many calls as are made at once have each taken longer than that."""
        return sum(taken > seconds for taken in self.under_way()) >= len(self._threads)

    def relieve(self) -> bool:
        """Answers waiting requests next to long calls of the model; to be called about once a second, by one thread.

        Returns whether requests wait: then it is to be called sooner.
        """
        now = time.monotonic()
        long = {thread for thread, (began, _) in list(self._calls.items()) if now - began > LONG_SECONDS}
        if long and len(long) < len(self._threads) + MOST_LONG:
            for thread in long:
                if self._turns is not None:
                    self._turns.lend(thread)
                for portion in _each(self._behind.get(thread, deque())):
                    for request in portion:
                        self._queue.put(request)
            if self._waiting and all(thread.ident in long for thread in self._threads):
                self._replace(self._threads[0])
        return bool(self._calls and (self._waiting or self._streaming))

    def _replace(self, thread: threading.Thread) -> None:
        """Has another thread take requests in place of one, which ends when its call does."""
        self._relieved.add(thread)
        another = self._thread()
        self._threads = [*self._threads[1:], another]
        another.start()

    def score(
        self, body: bytes, content_type: str, *, accept: str = "", counted: bool = True, by: Ask | None = None
    ) -> asyncio.Future[Answer]:
        """The answer to one request, on the running event loop. Raises QueueFull.

        `accept` has the formats that the caller takes.
        `by` answers it on a thread of the model's instead of MLflow's function, given body, model and shortcuts.
        """
        loop = asyncio.get_running_loop()
        with self._counting:
            # A request larger than the whole queue is accepted when the queue is empty.
            too_many_bytes = self._waiting and self._waiting_bytes + len(body) > self._most_bytes
            if self._waiting >= self._most or too_many_bytes:
                raise QueueFull
            self._waiting += 1
            self._waiting_bytes += len(body)
        waiting = _Waiting(body, content_type, accept, loop.create_future(), loop, counted, by)
        self._queue.put(waiting)
        return waiting.future

    def close(self) -> None:
        """Answers the waiting requests, then stops."""
        threads = [*self._threads, *self._relieved]
        for _ in threads:
            self._queue.put(None)
        for thread in [*threads, *self._streaming]:
            thread.join()

    # -- on a scorer's thread -------------------------------------------------------------------

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            requests = [first]
            # Without batching each thread takes one at a time: a taken request could not be given to another thread.
            while self.batch:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    self._answer(requests)
                    return
                requests.append(following)
            self._answer(requests)
            if self._relieved and (mine := threading.current_thread()) in self._relieved:
                self._relieved.discard(mine)
                return

    def _thread(self) -> threading.Thread:
        return threading.Thread(target=self._work, name="scorer", daemon=True)

    def _answer(self, requests: list[_Waiting]) -> None:
        if len(requests) == 1:
            self._answer_together(requests)
            return
        portions = deque(portion for group in self._groups(requests) for portion in _portions(group))
        thread = threading.get_ident()
        self._behind[thread] = portions
        try:
            for portion in _each(portions):
                self._answer_together(portion)
        finally:
            del self._behind[thread]

    def _answer_together(self, together: list[_Waiting]) -> None:
        size = sum(len(request.body) for request in together)
        if self._relieved:
            self._wait_for_room(together, size)
        # Read once, just before the call: the event loop may cancel it at any time, and each must leave the queue once.
        wanted = [request for request in together if not request.future.cancelled()]
        self._leave_queue(len(together), size)
        answers = None
        if len(wanted) > 1:
            with self._calling(any(request.counted for request in wanted), size):
                answers = self._together(wanted)
        for number, request in enumerate(wanted):
            if answers is not None:
                answer = answers[number]
            elif request.future.cancelled():
                continue
            elif self._streams and streaming.may_ask(request.body):
                self._answer_aside(request)
                continue
            else:
                answer = self._called(request)
            self._finish(request, answer)

    def _wait_for_room(self, together: list[_Waiting], size: int) -> None:
        """Requests next to long calls share the memory that one of the largest may take."""
        while (calls := list(self._calls.values())) and sum(taken for _, taken in calls) + size > self._most_bytes:
            if all(request.future.cancelled() for request in together):
                return
            time.sleep(_ROOM_SECONDS)

    def _called(self, request: _Waiting) -> Answer:
        """The answer of a call for one request; a streamed one has been sent already."""
        with self._calling(request.counted, len(request.body)):
            answer = self._alone(request)
            return answer if answer.events is None else self._in_pieces(request, answer, answer.events)

    def _finish(self, request: _Waiting, answer: Answer) -> None:
        if request.counted:
            self._note(answer)
        if self.strict and request.by is None and answer.status == 200 and answer.media_type == JSON:
            answer = replace(answer, body=batching.strictly(answer.body))
        request.loop.call_soon_threadsafe(_deliver, request.future, answer)

    def _answer_aside(self, request: _Waiting) -> None:
        """Answers a request that may be streamed on a thread of its own: others have their turns in between."""
        if len(self._streaming) >= STREAMS:
            why = f"This replica makes {counted(STREAMS, 'answer')} in pieces already; try again in a moment"
            full = problem(503, "too-many-streams", "RESOURCE_EXHAUSTED", why)
            answer = replace(full, headers=((b"retry-after", b"1"),))
            request.loop.call_soon_threadsafe(_deliver, request.future, answer)
            return

        def work() -> None:
            try:
                with suppress(RuntimeError):  # the loop is closed: the process ends
                    self._finish(request, self._called(request))
            finally:
                self._streaming.discard(threading.current_thread())

        thread = threading.Thread(target=work, name="stream", daemon=True)
        self._streaming.add(thread)
        thread.start()

    def _alone(self, request: _Waiting) -> Answer:
        if request.by is not None:
            return request.by(request.body, self._model, self._shortcuts)
        if self._streams and (asked := streaming.asked(request.body, request.content_type)) is not None:
            return streaming.invocations(asked, self._model, strict=self.strict)
        if request.content_type.partition(";")[0].strip() == arrow.STREAM:
            return arrow.score(request.body, request.accept, self._model, self._shortcuts)
        return score_alone(request.body, request.content_type, self._model, self._shortcuts)

    def _in_pieces(self, request: _Waiting, answer: Answer, events: Events) -> Answer:
        """Streams an answer while the model makes it; returns it with the reason if the model failed in the middle."""
        request.loop.call_soon_threadsafe(_deliver, request.future, answer)
        events.pump(request.loop, self._piece_made, self._at_rest)
        return replace(answer, failure=events.failure)

    def _piece_made(self) -> None:
        with self._at_rest():
            pass  # a waiting thread takes its turn now

    @contextmanager
    def _at_rest(self) -> Iterator[None]:
        thread = threading.get_ident()
        _, size = self._calls.pop(thread)
        try:
            with nullcontext() if self._turns is None else self._turns.given():
                yield
        finally:
            self._calls[thread] = time.monotonic(), size

    def _groups(self, requests: Sequence[_Waiting]) -> list[list[_Waiting]]:
        """The waiting requests in the order of arrival, grouped by tables that can be concatenated."""
        groups: dict[Any, list[_Waiting]] = {}
        for request in requests:
            key: Any = id(request)
            if self.batch and len(requests) > 1 and request.mergeable and not request.future.cancelled():
                request.parsed = batching.parse(request.body, self._schema, self._shortcuts)
                key = key if request.parsed is None else request.parsed.key
            groups.setdefault(key, []).append(request)
        return list(groups.values())

    def _leave_queue(self, requests: int, size: int) -> None:
        with self._counting:
            self._waiting -= requests
            self._waiting_bytes -= size

    @contextmanager
    def _calling(self, counted: bool, size: int) -> Iterator[None]:
        thread = threading.get_ident()
        with nullcontext() if self._turns is None else self._turns.taken():
            if self._record is not None and counted:
                self._record.began()
            self._calls[thread] = time.monotonic(), size
            try:
                yield
            finally:
                del self._calls[thread]

    def _note(self, answer: Answer) -> None:
        if self._record is None:
            return
        if answer.failure:
            self._record.raised(answer.failure)
        elif answer.status == 200:
            self._record.answered()
        else:
            self._record.refused()

    def _together(self, requests: Sequence[_Waiting]) -> list[Answer] | None:
        """One call for all; None if that is impossible: then each is answered alone."""
        parsed = [request.parsed for request in requests if request.parsed is not None]
        try:
            parts = batching.predict_together(self._model, parsed, self._shortcuts)
            if parts is None:
                self.batch = False
                self._on_alone("the model does not answer with one prediction a row")
                return None
            return [Answer(200, batching.to_json(part, self._shortcuts)) for part in parts]
        except BaseException:  # the invalid one gets its own error when it is answered alone
            return None


def _portions(group: list[_Waiting]) -> list[list[_Waiting]]:
    """Cuts a group so that no call gets more than MAX_ROWS_TOGETHER rows."""
    portions: list[list[_Waiting]] = [[]]
    rows = 0
    for request in group:
        count = request.parsed.rows if request.parsed is not None else 1
        if portions[-1] and rows + count > MAX_ROWS_TOGETHER:
            portions.append([])
            rows = 0
        portions[-1].append(request)
        rows += count
    return portions


def _each(portions: deque[list[_Waiting]]) -> Iterator[list[_Waiting]]:
    """Each portion once, also when two threads ask."""
    while True:
        try:
            portion = portions.popleft()
        except IndexError:
            return
        yield portion


def _deliver(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)
    elif future.cancelled() and answer.events is not None:
        answer.events.leave()
