"""Responses of MLflow servers that others run: their required fields, and lists in pages, which have to end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from registry_tui.service.errors import WrongState

logger = logging.getLogger(__name__)

#: Most pages of one list. Callers of whole lists request 100 entries or more per page.
MOST_PAGES = 2000
#: Required fields of a response: a path of keys, or a list's key and such a path in each entry.
_ONE: Mapping[str, tuple[str, ...]] = {
    "runs/get": ("run", "info", "run_id"),
    "experiments/get": ("experiment", "experiment_id"),
    "experiments/get-by-name": ("experiment", "experiment_id"),
    "registered-models/get": ("registered_model", "name"),
    "model-versions/get": ("model_version", "name"),
}
_MANY: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "runs/search": ("runs", ("info", "run_id")),
    "experiments/search": ("experiments", ("experiment_id",)),
    "registered-models/search": ("registered_models", ("name",)),
    "model-versions/search": ("model_versions", ("name",)),
    "logged-models/search": ("models", ("info", "model_id")),
    "artifacts/list": ("files", ("path",)),
}


class NotMlflow(WrongState):
    """The server at an address is not an MLflow server."""


class OddAnswer(NotMlflow):
    """An MLflow server's response differs from MLflow's."""


@contextmanager
def as_mlflow_does(url: str) -> Iterator[None]:
    """Wraps code that reads a server's response: raises OddAnswer for fields that are missing or of another type."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        logger.info("an answer of MLflow at %s cannot be read", url, exc_info=error)
        raise odd_answer(url) from error


def check_answer(url: str, path: str, answer: Mapping[str, Any]) -> None:
    """Raises OddAnswer for a response without the fields that every version of MLflow includes."""
    with as_mlflow_does(url):
        if path in _ONE:
            _require(answer, _ONE[path])
        if path in _MANY:
            key, inside = _MANY[path]
            for each in answer.get(key, ()):
                _require(each, inside)


def pages(where: str, ask: Callable[[str], Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yields results of `ask(page_token)` until the last page; the first token is empty. `where`: the server, for
    people.

    Raises OddAnswer for a list that does not end.
    """
    token, before = "", set[str]()
    for _ in range(MOST_PAGES):
        answer = ask(token)
        yield answer
        token = str(answer.get("next_page_token") or "")
        if not token:
            return
        if token in before:
            break
        before.add(token)
    raise OddAnswer(
        f"A list of MLflow at {where} does not end",
        action="Look whether a proxy before it drops `page_token` from requests",
    )


def odd_answer(url: str) -> OddAnswer:
    """The exception for a response that cannot be read."""
    return OddAnswer(f"MLflow at {url} does not respond as MLflow does", action="Look at its responses and its version")


def _require(found: Any, keys: tuple[str, ...]) -> None:
    for key in keys:
        found = found[key]
    if not isinstance(found, str):
        raise TypeError(f"{keys[-1]} is not a text")
