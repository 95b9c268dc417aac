"""The response to one request: MLflow's own function parses, predicts and words the errors that it knows.

Functions import MLflow and pandas, which take seconds; in a replica, `load` has imported them by then.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from registry_tui.serving.bodies import decode
from registry_tui.serving.calls import last_line
from registry_tui.serving.shortcuts import Shortcuts, scoring

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

logger = logging.getLogger(__name__)

JSON = "application/json"
PROBLEM = "application/problem+json"


class Events(Protocol):
    """The rest of a response that the model is still making; see `streaming.py`."""

    #: Why the model failed in the middle.
    failure: str

    def pump(
        self,
        loop: asyncio.AbstractEventLoop,
        made: Callable[[], None],
        at_rest: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Makes it, on the model's thread."""

    async def next(self) -> bytes | None:
        """The next piece; None after the last one, and once the caller has left."""

    def leave(self) -> None:
        """The caller has left."""

    def error(self, code: str, detail: str, status: int) -> bytes:
        """The last event when something goes wrong in the middle."""


@dataclass(frozen=True)
class Answer:
    """An HTTP response's status, body and media type."""

    status: int
    body: bytes
    media_type: str = JSON
    #: Why the model failed, when it did: the last line of the cause.
    failure: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    #: The events that follow the body, in a streamed response.
    events: Events | None = None


def problem(status: int, code: str, error_code: str, detail: str, *, failure: str = "") -> Answer:
    """Problem details (RFC 9457), with the two fields that MLflow's clients read."""
    body = {
        "type": f"/problems/{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "error_code": error_code,
        "message": detail,
    }
    return Answer(status, json.dumps(body).encode(), PROBLEM, failure)


def said_in(answer: Answer) -> tuple[str, str]:
    """The message and the code of an error response, whichever component wrote it."""
    try:
        found = json.loads(answer.body)
    except ValueError:
        return answer.body.decode(errors="replace"), "error"
    fields = found if isinstance(found, dict) else {}
    text = next((fields[name] for name in ("error", "detail", "message") if name in fields), found)
    return str(text), str(fields.get("code") or fields.get("error_code") or "error").lower()


class Unfit(Exception):
    """A request that cannot be read; the message has the reason, as one sentence."""

    def __init__(self, detail: str, *, status: int = 400, code: str = "bad-request") -> None:
        super().__init__(detail)
        self.status, self.code = status, code


class Watched:
    """A model for MLflow's scoring function, which notes how far a call comes."""

    def __init__(self, model: PyFuncModel) -> None:
        self._model = model
        #: The error that the model raised itself, and whether it returned.
        self.raised: BaseException | None = None
        self.began = self.returned = False

        @functools.wraps(model.predict)
        def predict(*arguments: Any, **named: Any) -> Any:
            self.began = True
            try:
                predictions = model.predict(*arguments, **named)
            except BaseException as error:
                self.raised = error
                raise
            self.returned = True
            return predictions

        self.predict = predict

    def predict_stream(self, *arguments: Any, **named: Any) -> Generator[Any]:
        """Yields the model's output, piece by piece."""
        self.began = True
        try:
            for piece in self._model.predict_stream(*arguments, **named):
                self.returned = True
                yield piece
                self.returned = False
        except GeneratorExit:
            raise
        except BaseException as error:
            self.raised = error
            raise
        self.returned = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def score_alone(body: bytes, content_type: str, model: PyFuncModel, shortcuts: Shortcuts | None = None) -> Answer:
    """The response to one request, for any error of the model, `SystemExit` too."""
    if content_type.partition(";")[0].strip() == JSON and (decoded := _decoded(body)) is not None:
        watched = Watched(model)
        answer = _score(decoded, content_type, watched, shortcuts)
        if answer.status == 200 or watched.began:
            return answer
    # MLflow's messages about an invalid body refer to its bytes.
    return _score(body, content_type, Watched(model), shortcuts)


def _decoded(body: bytes) -> dict[str, Any] | None:
    try:
        found = decode(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _score(data: bytes | dict[str, Any], content_type: str, watched: Watched, shortcuts: Shortcuts | None) -> Answer:
    from mlflow.pyfunc.scoring_server import invocations

    def ask() -> Answer:
        with scoring(shortcuts) as written:
            found = invocations(data, content_type, watched, watched.metadata.get_input_schema())
        return Answer(found.status, found.response.encode() if written.body is None else written.body, found.mimetype)

    return answering(watched, ask)


def predict(
    model: PyFuncModel, read: Callable[[], tuple[Any, Any]], write: Callable[[Any], Answer], shortcuts: Shortcuts | None
) -> Answer:
    """The response to a request in a format that MLflow does not support. `read` returns the data and its params."""
    watched = Watched(model)

    def ask() -> Answer:
        data, params = read()
        with scoring(shortcuts):
            if shortcuts is not None and shortcuts.fits(data, model.metadata.get_input_schema()):
                shortcuts.is_checked(data)
            found = watched.predict(data, params=params) if params else watched.predict(data)
        return write(found)

    return answering(watched, ask)


def answering(watched: Watched, ask: Callable[[], Answer]) -> Answer:
    """The response of `ask`, or its error as a response."""
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except Unfit as error:
        return problem(error.status, error.code, "BAD_REQUEST", str(error))
    except MlflowException as error:
        # MLflow's own error, raised by the model itself, means that the request does not fit its signature.
        own = watched.raised is not None and not isinstance(watched.raised, MlflowException)
        failure = last_line(watched.raised) if own and watched.raised is not None else ""
        return Answer(error.get_http_status_code(), error.serialize_as_json().encode(), JSON, failure)
    except RecursionError as error:
        if not watched.began:
            return problem(400, "body-too-deep", "BAD_REQUEST", "The body is nested too deeply to be read")
        return _failed(error, watched)
    except BaseException as error:
        if not watched.began:
            return problem(400, "bad-request", "BAD_REQUEST", f"The body cannot be read: {last_line(error)}")
        return _failed(error, watched)


def _failed(error: BaseException, watched: Watched) -> Answer:
    cause = last_line(error)
    logger.error("A request failed", exc_info=error)
    if watched.returned:
        detail = f"The model's answer cannot be written as JSON: {cause}"
        return problem(500, "answer-not-json", "INTERNAL_ERROR", detail, failure=detail)
    return problem(500, "model-failed", "INTERNAL_ERROR", f"The model failed: {cause}", failure=cause)
