"""Streamed responses: the output of a model's `predict_stream` as server-sent events (HTML standard, 9.2).

Functions import MLflow, which takes seconds; in a replica, `load` has imported it by then.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from registry_tui.contracts import event_stream
from registry_tui.serving.answers import JSON, Answer, Unfit, Watched, answering, problem
from registry_tui.serving.bodies import decode
from registry_tui.serving.calls import last_line

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

logger = logging.getLogger(__name__)

#: The field of a request for a streamed response.
ASKS = "stream"
#: Where MLflow's own classes of models are.
_MLFLOWS = "mlflow.pyfunc.model"
#: Events that wait until the caller takes them; the model is paused meanwhile.
AHEAD = 16
#: Converts a model's output to the data of events.
Write = Callable[[Iterator[Any]], Iterator[Any]]
#: Makes an event's data from a message, a code and a status.
Word = Callable[[str, str, int], Mapping[str, Any]]


class Events:
    """A response between a thread of the model's, which makes its events, and the event loop that sends them."""

    def __init__(
        self, watched: Watched, pieces: Generator[Any], write: Write, word: Word, *, strict: bool = False
    ) -> None:
        self._watched, self._pieces, self._word = watched, pieces, word
        self._made = self._make(write, strict)
        self._room = threading.Semaphore(AHEAD)
        self._left = False
        self._came: asyncio.Queue[bytes | None] = asyncio.Queue()
        #: Why the model failed in the middle.
        self.failure = ""

    # -- on the model's thread -----------------------------------------------------------------------

    def begin(self) -> bytes:
        """The first event. Raises the model's errors before it."""
        try:
            return next(self._made)
        except BaseException:
            self.close()
            raise

    def pump(
        self,
        loop: asyncio.AbstractEventLoop,
        made: Callable[[], None],
        at_rest: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Makes event after event until the model has no more, or the caller has left; the model's generator is closed.

        `made` is called with each event. `at_rest` is around waiting for the caller: that time is not the model's.
        """
        try:
            for event in self._rest():
                made()
                if not self._room.acquire(blocking=False):
                    with at_rest():
                        self._room.acquire()
                if self._left:
                    return
                _tell(loop, self._came.put_nowait, event)
        finally:
            self.close()
            _tell(loop, self._came.put_nowait, None)

    def close(self) -> None:
        """Closes the model's generator, so that it releases its resources."""
        with suppress(BaseException):  # a model may raise anything when closed
            self._pieces.close()

    def _make(self, write: Write, strict: bool) -> Iterator[bytes]:
        for data in write(self._pieces):
            yield written(data, strict=strict)
        yield event_stream.DONE

    def _rest(self) -> Iterator[bytes]:
        try:
            yield from self._made
        except GeneratorExit:
            raise
        except BaseException as error:
            logger.error("An answer in pieces failed", exc_info=error)
            self.failure = last_line(error)
            if self._watched.raised is error:
                yield self.error("model-failed", f"The model failed: {self.failure}", 500)
            elif isinstance(error, Unfit):
                self.failure = str(error)
                yield self.error(error.code, self.failure, error.status)
            else:
                self.failure = f"The model's answer cannot be written as JSON: {self.failure}"
                yield self.error("answer-not-json", self.failure, 500)

    # -- on the event loop ---------------------------------------------------------------------------

    async def next(self) -> bytes | None:
        """The next event; None after the last one, and once the caller has left."""
        event = await self._came.get()
        self._room.release()
        return event

    def leave(self) -> None:
        """The caller has left: the model's generator is closed at its next piece."""
        self._left = True
        self._room.release()
        self._came.put_nowait(None)

    def error(self, code: str, detail: str, status: int) -> bytes:
        """The event of an error in the middle, which is the last one."""
        return event_stream.error(self._word(detail, code, status))


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[Any], None], value: Any) -> None:
    with suppress(RuntimeError):  # the loop is closed: the process ends
        loop.call_soon_threadsafe(what, value)


def can(model: PyFuncModel) -> bool:
    """Whether a model can stream responses."""
    if getattr(model, "_predict_stream_fn", None) is None:
        return False
    try:
        own = type(model.get_raw_model()).predict_stream
    except (AttributeError, NotImplementedError):
        return True
    # MLflow's classes have a method that only raises an error.
    return str(own.__module__) != _MLFLOWS


def may_ask(body: bytes) -> bool:
    """Whether a request may be for a streamed response; a quick check without parsing it."""
    return b'"stream"' in body


def asked(body: bytes, content_type: str) -> dict[str, Any] | None:
    """The request, if it is for a streamed response: JSON with `"stream": true`."""
    if not may_ask(body) or content_type.partition(";")[0].strip() != JSON:
        return None
    try:
        found = decode(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get(ASKS) is True else None


def invocations(document: dict[str, Any], model: PyFuncModel, *, strict: bool = False) -> Answer:
    """The response to a request to `/invocations`: each piece as MLflow's clients read them, `[DONE]` at the end."""

    def read() -> tuple[Any, Any]:
        from mlflow.pyfunc.scoring_server import _parse_json_data

        schema, params = model.metadata.get_input_schema(), model.metadata.get_params_schema()
        names = {
            *(schema.input_names() if schema is not None and schema.has_input_names() else ()),
            *(each.name for each in (params.params if params else ())),
        }
        # A model that does not declare the field would refuse it.
        sent = {name: value for name, value in document.items() if name != ASKS or ASKS in names}
        parsed = _parse_json_data(sent, model.metadata, schema)
        return parsed.data, parsed.params

    def word(detail: str, code: str, status: int) -> Mapping[str, Any]:
        return {**json.loads(problem(status, code, "INTERNAL_ERROR", detail).body), "error": detail}

    return begin(model, read, iter, word, strict=strict)


def begin(
    model: PyFuncModel, read: Callable[[], tuple[Any, Any]], write: Write, word: Word, *, strict: bool = False
) -> Answer:
    """A response whose first event is ready. Errors before it are an ordinary response.

    `read` returns the model's input, and its params; `write` converts the model's output to the data of events.
    """
    watched = Watched(model)

    def ask() -> Answer:
        data, params = read()
        pieces = watched.predict_stream(data, params=params) if params else watched.predict_stream(data)
        events = Events(watched, pieces, write, word, strict=strict)
        return Answer(200, events.begin(), event_stream.MEDIA_TYPE, events=events)

    return answering(watched, ask)


def written(data: Any, *, strict: bool = False) -> bytes:
    """One event. Raises TypeError, ValueError for values that are not JSON."""
    return event_stream.event(as_json(data, strict=strict))


def as_json(data: Any, *, strict: bool = False) -> str:
    """As MLflow writes it; `strict`:

    NaN and infinities are null. Raises TypeError, ValueError for values that are not JSON.
    """
    from mlflow.utils.proto_json_utils import NumpyEncoder

    text = json.dumps(data, cls=NumpyEncoder)
    if strict and ("NaN" in text or "Infinity" in text):
        text = json.dumps(json.loads(text, parse_constant=lambda _: None))
    return text
