"""OpenAI's chat: `/v1/chat/completions`, `/v1/responses` and `/v1/models`, of models that declare such a signature.

Requests are converted to the model's signature, and results to the format of OpenAI's clients. Functions import MLflow,
which takes seconds; in a replica, `load` has imported it by then.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from registry_tui.serving import streaming
from registry_tui.serving.answers import JSON, Answer, Unfit, predict, said_in
from registry_tui.serving.bodies import decode
from registry_tui.serving.open_inference import Served
from registry_tui.serving.shortcuts import Shortcuts

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel


class Kind(Enum):
    """The kind of a model's signature; the value is the path that takes it."""

    COMPLETIONS = "chat/completions"
    RESPONSES = "responses"


#: Fields of a request that are not for the model.
_NOT_THE_MODELS = frozenset(
    ("model", "stream", "stream_options", "user", "store", "metadata", "service_tier", "safety_identifier")
)
#: Tasks in MLflow's metadata of chat models, and of agents whose requests have `input`.
_TASK, _RESPONSES = "llm/v1/chat", "agent/v1/responses"


def kind_of(model: PyFuncModel) -> Kind | None:
    """The kind of chat that a model declares by its task or its signature; None for other models."""
    metadata = model.metadata
    tasks = {(metadata.metadata or {}).get("task"), *(each.get("task") for each in metadata.flavors.values())}
    if _RESPONSES in tasks:
        return Kind.RESPONSES
    return Kind.COMPLETIONS if _TASK in tasks or _has_messages(metadata.get_input_schema()) else None


def _has_messages(schema: Any) -> bool:
    """Whether a signature has the column `messages`, a list of objects with a role and a content."""
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return False
    column = schema.input_dict().get("messages")
    properties = getattr(getattr(getattr(column, "type", None), "dtype", None), "properties", ())
    return {"role", "content"} <= {each.name for each in properties}


def why_not(served: Served) -> str:
    """Why a model has no chat."""
    return (
        f"{served.shown} is not a chat model: neither its signature (`messages`) nor its task "
        f"({_TASK}) says so; call /invocations"
    )


def answer_get(path: Sequence[str], served: Served, model: PyFuncModel) -> Answer:
    """The response to `GET /v1/…`; `path` is the part after `v1`."""
    if kind_of(model) is None:
        return error(404, "not-a-chat-model", why_not(served))
    described = {"id": served.name, "object": "model", "created": _created(model), "owned_by": "registry-tui"}
    if path == ("models",):
        return Answer(200, json.dumps({"object": "list", "data": [described]}).encode())
    if len(path) == 2 and path[0] == "models" and served.is_called(path[1]):
        return Answer(200, json.dumps({**described, "id": path[1]}).encode())
    return error(404, "path-missing", f"There is no path /{'/'.join(('v1', *path))} for GET")


def answer_post(path: Sequence[str], body: bytes, served: Served, model: PyFuncModel, **how: Any) -> Answer:
    """The response to `POST /v1/…`. `how`: `shortcuts`, and `strict`, whether NaN is null in events."""
    kind, asked = kind_of(model), "/".join(path)
    if kind is None:
        return error(404, "not-a-chat-model", why_not(served))
    if asked != kind.value and not (kind is Kind.RESPONSES and asked == Kind.COMPLETIONS.value):
        return error(
            404, "path-missing", f"{served.name} v{served.version} is called at /v1/{kind.value}, not /v1/{asked}"
        )
    answer = _answer(body, kind, Kind(asked), served, model, **how)
    return answer if answer.status == 200 else in_words(answer)


def _answer(
    body: bytes,
    kind: Kind,
    asked: Kind,
    served: Served,
    model: PyFuncModel,
    *,
    shortcuts: Shortcuts | None = None,
    strict: bool = False,
) -> Answer:
    try:
        document = _document(body, served)
    except Unfit as wrong:
        return error(wrong.status, wrong.code, str(wrong))
    shape = _Completion(served) if asked is Kind.COMPLETIONS else _Response(served)

    def read() -> tuple[Any, Any]:
        return _input(document, kind, asked, model)

    if document.get(streaming.ASKS) is True:
        if not streaming.can(model):
            no = f"{served.shown} does not answer in pieces: it has no predict_stream; leave out `stream`"
            return error(400, "stream-unsupported", no)
        return streaming.begin(model, read, shape.chunks, _word, strict=strict)

    def write(found: Any) -> Answer:
        return Answer(200, streaming.as_json(shape.whole(found), strict=strict).encode())

    return predict(model, read, write, shortcuts)


# -- requests ------------------------------------------------------------------------------------------


def _document(body: bytes, served: Served) -> dict[str, Any]:
    try:
        document = decode(body)
    except (ValueError, RecursionError) as wrong:
        raise Unfit(f"The body is not valid JSON: {wrong}") from wrong
    if not isinstance(document, dict):
        raise Unfit("The body is not a JSON object")
    name = document.get("model", served.name)
    if not isinstance(name, str) or not served.is_called(name):
        raise Unfit(
            f"There is no model {str(name)[:100]!r} here; it is called {served.name}",
            status=404,
            code="model_not_found",
        )
    return document


def _input(document: Mapping[str, Any], kind: Kind, asked: Kind, model: PyFuncModel) -> tuple[Any, Any]:
    """The model's input, and its params. Raises Unfit."""
    sent = {name: value for name, value in document.items() if value is not None and name not in _NOT_THE_MODELS}
    if asked is Kind.COMPLETIONS:
        sent["messages"] = _messages(sent.get("messages"))
        if kind is Kind.RESPONSES:
            sent["input"] = _as_input(sent.pop("messages"))
    elif isinstance(sent.get("input"), str):
        sent["input"] = [{"role": "user", "content": sent["input"]}]
    schema, params_schema = model.metadata.get_input_schema(), model.metadata.get_params_schema()
    columns = schema.input_dict() if schema is not None and schema.has_input_names() else None
    wanted = {each.name for each in params_schema.params} if params_schema is not None else set()
    if columns is not None:
        if "max_completion_tokens" in sent and "max_tokens" in columns:
            sent["max_tokens"] = sent.pop("max_completion_tokens")
        if unknown := sorted(sent.keys() - columns.keys() - wanted):
            known = ", ".join(sorted({*columns, *wanted} - {streaming.ASKS}))
            raise Unfit(f"The model does not take the field `{unknown[0]}`; it takes {known}", code="unknown_parameter")
        if streaming.ASKS in columns:
            sent[streaming.ASKS] = document.get(streaming.ASKS) is True
        sent = {name: _of_type(value, columns.get(name)) for name, value in sent.items()}
    params = {name: sent.pop(name) for name in wanted & sent.keys()}
    return sent, params


def _of_type(value: Any, column: Any) -> Any:
    """A value as its column has it: OpenAI's clients send whole numbers for fractions, and one text for a list."""
    type_ = getattr(column, "type", None)
    if getattr(type_, "name", "") == "double" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and hasattr(type_, "dtype"):
        return [value]
    return value


def _messages(messages: Any) -> list[dict[str, Any]]:
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise Unfit("The field `messages` is not a list of messages")
    return [
        {name: _text(value) if name == "content" else value for name, value in message.items() if value is not None}
        for message in messages
    ]


def _text(content: Any) -> Any:
    """A message's text; its parts are put together."""
    if not isinstance(content, list):
        return content
    texts = [each.get("text") for each in content if isinstance(each, dict) and each.get("type", "text") == "text"]
    if len(texts) != len(content) or not all(isinstance(each, str) for each in texts):
        raise Unfit("The content of a message has parts that are not text, and the model takes text")
    return "".join(str(each) for each in texts)


def _as_input(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages as the items that an agent of OpenAI's newer protocol takes."""
    items: list[dict[str, Any]] = []
    for message in messages:
        if message.get("role") == "tool":
            output = {"call_id": message.get("tool_call_id", ""), "output": message.get("content", "")}
            items.append({"type": "function_call_output", **output})
            continue
        if "content" in message:
            items.append({"role": message.get("role", "user"), "content": message["content"]})
        for call in message.get("tool_calls") or ():
            function = {"call_id": call.get("id", ""), "id": call.get("id", ""), **(call.get("function") or {})}
            items.append({"type": "function_call", **function})
    return items


# -- responses -----------------------------------------------------------------------------------------


class _Shape:
    """A response's frame: the same ID and time in all of its pieces."""

    def __init__(self, served: Served) -> None:
        self.model, self.created = served.name, int(time.time())

    def framed(self, id_: str, found: Mapping[str, Any], **frame: Any) -> dict[str, Any]:
        """The model's output, completed with its missing fields."""
        fields = {name: value for name, value in found.items() if value is not None}
        return {"id": id_, "model": self.model, **frame, **fields}


class _Completion(_Shape):
    """`chat.completion` and its chunks."""

    def __init__(self, served: Served) -> None:
        super().__init__(served)
        self._id = f"chatcmpl-{uuid.uuid4().hex}"

    def whole(self, found: Any) -> dict[str, Any]:
        """The response for a model's result. Raises Unfit for any other result."""
        found = found[0] if isinstance(found, list) and len(found) == 1 else found
        found = found.model_dump() if hasattr(found, "model_dump") else found
        if isinstance(found, str):
            return self._with([_choice("message", {"role": "assistant", "content": found}, "stop")])
        if isinstance(found, dict) and isinstance(found.get("choices"), list):
            return self.framed(self._id, found, object="chat.completion", created=self.created)
        if isinstance(found, dict) and isinstance(found.get("messages"), list) and found["messages"]:
            reason = found.get("finish_reason") or "stop"
            return self._with([_choice("message", _plain(found["messages"][-1]), reason)], usage=found.get("usage"))
        if isinstance(found, dict) and isinstance(found.get("output"), list):
            message = _of_items(found["output"])
            reason = "tool_calls" if "tool_calls" in message else "stop"
            return self._with([_choice("message", message, reason)], usage=_usage(found.get("usage")))
        raise Unfit("The model's answer is not a chat completion", status=500, code="answer-not-chat")

    def chunks(self, pieces: Iterator[Any]) -> Iterator[dict[str, Any]]:
        """A model's pieces as chunks; the last one has the finish reason. Raises Unfit."""
        streamed: set[Any] = set()
        ended, calls, began = False, 0, False
        for piece in pieces:
            data = piece.model_dump() if hasattr(piece, "model_dump") else piece
            if isinstance(data, dict) and isinstance(data.get("choices"), list):
                chunk = self.framed(self._id, data, object="chat.completion.chunk", created=self.created)
                ended = ended or any(each.get("finish_reason") for each in data["choices"] if isinstance(each, dict))
                yield {**chunk, "id": data.get("id") or self._id}
                continue
            usage, reason = None, None
            if isinstance(data, str):
                delta: dict[str, Any] | None = {"content": data}
            elif isinstance(data, dict) and isinstance(data.get("delta"), dict):
                delta, reason, usage = _plain(data["delta"]), data.get("finish_reason"), data.get("usage")
            elif isinstance(data, dict) and "type" in data:
                delta = _of_event(data, streamed, calls)
                calls += len((delta or {}).get("tool_calls", ()))
                usage = _usage((data.get("response") or {}).get("usage"))
            else:
                raise Unfit("The model's answer is not a piece of a chat", status=500, code="answer-not-chat")
            if delta is None and usage is None:
                continue
            ended = ended or bool(reason)
            start = {} if began else {"role": "assistant"}
            began = True
            yield self._with([_choice("delta", {**start, **(delta or {})}, reason)], chunk=True, usage=usage)
        if not ended:
            yield self._with([_choice("delta", {}, "tool_calls" if calls else "stop")], chunk=True)

    def _with(self, choices: list[Any], *, chunk: bool = False, usage: Any = None) -> dict[str, Any]:
        kind = "chat.completion.chunk" if chunk else "chat.completion"
        found = {"choices": choices, "usage": usage}
        return self.framed(self._id, found, object=kind, created=self.created)


class _Response(_Shape):
    """`response` and its events, which an agent makes itself."""

    def __init__(self, served: Served) -> None:
        super().__init__(served)
        self._id = f"resp_{uuid.uuid4().hex}"

    def whole(self, found: Any) -> dict[str, Any]:
        """The response for an agent's result. Raises Unfit for any other result."""
        if not isinstance(found, dict) or not isinstance(found.get("output"), list):
            raise Unfit("The model's answer is not a response", status=500, code="answer-not-chat")
        frame = {"object": "response", "created_at": self.created, "status": "completed"}
        return self.framed(self._id, found, **frame)

    def chunks(self, pieces: Iterator[Any]) -> Iterator[Any]:
        """The events as the agent yields them."""
        return pieces


def _choice(field: str, message: Mapping[str, Any], reason: str | None) -> dict[str, Any]:
    return {"index": 0, field: dict(message), "finish_reason": reason}


def _plain(message: Any) -> dict[str, Any]:
    """An agent's message, without the fields that a chat's has not."""
    known = ("role", "content", "refusal", "name", "tool_calls", "tool_call_id")
    return {name: message[name] for name in known if isinstance(message, dict) and message.get(name) is not None}


def _of_items(items: list[Any]) -> dict[str, Any]:
    """An agent's output as one message."""
    texts, calls = [], []
    for item in items:
        if not isinstance(item, dict):
            continue
        texts += [str(part.get("text", "")) for part in item.get("content") or () if isinstance(part, dict)]
        if item.get("type") == "function_call":
            calls.append(_call(item))
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
    return {**message, "tool_calls": calls} if calls else message


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": item.get("name", ""), "arguments": item.get("arguments", "")}
    return {"id": item.get("call_id", ""), "type": "function", "function": function}


def _of_event(event: Mapping[str, Any], streamed: set[Any], calls: int) -> dict[str, Any] | None:
    """An agent's event as a delta of a message; None for events that a chat does not have. Raises Unfit."""
    if event["type"] == "response.output_text.delta":
        streamed.add(event.get("item_id"))
        return {"content": event.get("delta", "")}
    if event["type"] == "error":
        raise Unfit(str(event.get("message") or "The model failed"), status=500, code="model-failed")
    item = event.get("item")
    if event["type"] != "response.output_item.done" or not isinstance(item, dict):
        return None
    if item.get("type") == "function_call":
        return {"tool_calls": [{"index": calls, **_call(item)}]}
    # The text of a streamed item was sent already.
    text = _of_items([item])["content"]
    return {"content": text} if text and item.get("type") == "message" and item.get("id") not in streamed else None


def _usage(usage: Any) -> dict[str, Any] | None:
    """Counts of tokens as a chat has them."""
    if not isinstance(usage, dict):
        return None
    counts = {"prompt_tokens": usage.get("input_tokens"), "completion_tokens": usage.get("output_tokens")}
    return {**counts, "total_tokens": usage.get("total_tokens")} if None not in counts.values() else usage


def _created(model: PyFuncModel) -> int:
    """When the model was logged, in seconds since 1970; 0 if unknown."""
    try:
        return int(datetime.fromisoformat(str(model.metadata.utc_time_created)).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0


# -- errors --------------------------------------------------------------------------------------------


def _word(detail: str, code: str, status: int) -> dict[str, Any]:
    type_ = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": detail, "type": type_, "param": None, "code": code}}


def error(status: int, code: str, detail: str, *, failure: str = "") -> Answer:
    """An error as OpenAI's clients read it."""
    return Answer(status, json.dumps(_word(detail, code, status)).encode(), JSON, failure)


def in_words(answer: Answer) -> Answer:
    """An error response in OpenAI's format."""
    try:
        if isinstance(json.loads(answer.body)["error"], dict):
            return answer
    except (ValueError, KeyError, TypeError):
        pass
    sentence, code = said_in(answer)
    return error(answer.status, code, sentence, failure=answer.failure)
