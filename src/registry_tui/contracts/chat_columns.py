"""The columns of a chat: its length and newest text; requests and answers in OpenAI's formats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: The column with a text, and the fields that it comes from: a rule that leaves one of those out is about the text.
TEXT = "content"
REQUEST_FIELDS, ANSWER_FIELDS = ("messages", "input"), ("choices", "output", "message", "messages")
#: Settings of a request that are numbers.
_NUMBERS = ("temperature", "top_p", "max_tokens", "max_completion_tokens", "max_output_tokens")


def of_request(found: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Turns, characters of all of them, the newest one's text, and the settings that are numbers; one row."""
    value = next((found[name] for name in REQUEST_FIELDS if name in found), None)
    turns = value if isinstance(value, list) else [value]
    texts = ["".join(_texts(each)) for each in turns]
    columns: dict[str, list[Any]] = {
        "turns": [len(turns)],
        "characters": [sum(map(len, texts))],
        TEXT: [texts[-1] if texts else ""],
    }
    for name in _NUMBERS:
        number = found.get(name)
        if isinstance(number, int | float) and not isinstance(number, bool):
            columns[name] = [number]
    return columns


def is_example(found: Mapping[str, Any]) -> bool:
    """Whether an object is a chat of training data: a request, with or without its answer."""
    return any(isinstance(found.get(name), list) and found[name] for name in REQUEST_FIELDS)


def of_example(found: Mapping[str, Any]) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Columns of the request and of its answer; those of the answer are empty where it has none.

    The answer is in fields of its own, as answers have it, or the last message, as in OpenAI's files for fine-tuning.
    """
    if is_answer(found):
        return of_request(found), of_answer(found)
    name = next(each for each in REQUEST_FIELDS if found.get(each))
    *before, last = found[name]
    if not before or not isinstance(last, dict) or last.get("role") not in ("assistant", "model"):
        return of_request(found), {}
    return of_request({**found, name: before}), of_answer({"choices": [{"message": last}]})


def is_answer(found: Mapping[str, Any]) -> bool:
    """Whether an answer is one of a chat."""
    return any(isinstance(found.get(name), list) for name in ("choices", "output"))


def of_answer(found: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Characters and text of an answer, its finish reason, and its tokens; one row."""
    output = found["choices"] if "choices" in found else found.get("output")
    first = output[0] if isinstance(output, list) and output else {}
    text = "".join(_texts(first.get("message") if isinstance(first, dict) and "message" in first else output))
    columns: dict[str, list[Any]] = {"characters": [len(text)], TEXT: [text]}
    reason = first.get("finish_reason") if isinstance(first, dict) else found.get("status")
    if isinstance(reason, str):
        columns["finish_reason"] = [reason]
    usage = found.get("usage")
    if isinstance(usage, dict):
        tokens = usage.get("completion_tokens", usage.get("output_tokens"))
        if isinstance(tokens, int):
            columns["tokens"] = [tokens]
    return columns


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts of a message, which is one, or has parts with a text each."""
    if isinstance(value, str):
        yield value
    elif depth < 8 and isinstance(value, list):
        for each in value:
            yield from _texts(each, depth + 1)
    elif depth < 8 and isinstance(value, dict):
        for name in ("content", "text"):
            yield from _texts(value.get(name), depth + 1)
