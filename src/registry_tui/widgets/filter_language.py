"""MLflow's filter language for people: possible continuations, and mistakes in plain words. Plain functions.

The language: https://mlflow.org/docs/latest/ml/search/search-runs
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

KINDS = ("metrics", "params", "tags", "attributes")
ATTRIBUTES = ("run_name", "status", "start_time", "end_time", "run_id", "user_id", "artifact_uri")

#: The word being typed: a kind, then perhaps a dot and the beginning of a key, perhaps in backticks.
_LAST = re.compile(r"(?:^|[\s(])([A-Za-z]*)(?:\.(`?)([^`\s<>=!]*))?$")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TERM = re.compile(
    r"\b(metrics?|params?|parameters?|tags?|attributes?)\.(`[^`]*`|\"[^\"]*\"|[^\s<>=!]+)\s*([<>=!]+|(?:i?like|in|is|not)\b)?\s*(.*)",
    re.I,
)
#: Between two conditions.
_AND = re.compile(r"(?:^|(?<=\s))and(?=\s|$)", re.I)

#: Words of the language: a key with its kind, a text in quotes, an operator, a bracket, anything else.
_WORD = re.compile(
    r"[A-Za-z]+\.(?:`[^`]*`?|\"[^\"]*\"?|[^\s<>=!'\"`(),]*)|'[^']*'?|\"[^\"]*\"?|`[^`]*`?|[<>=!]+|[(),]|[^\s<>=!'\"`(),]+"
)
_NUMBERS = ("<", "<=", ">", ">=", "=", "!=")
_TEXTS = ("=", "!=", "LIKE", "ILIKE")
#: By kind; attributes that are times compare as numbers.
_OPERATORS = {
    "metrics": _NUMBERS,
    "params": (*_TEXTS, "IS NULL", "IS NOT NULL"),
    "tags": (*_TEXTS, "IS NULL", "IS NOT NULL"),
    "attributes": (*_TEXTS, "IN"),
}
_TIMES = ("start_time", "end_time")
STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
#: Maximum number of choices offered.
MOST = 50


@dataclass(frozen=True)
class Choices:
    """Continuations from `start` on, in place of the text there."""

    start: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """A probable mistake, in plain words, and its character."""

    position: int
    words: str


def quoted(key: str) -> str:
    """A key in the language's syntax: in backticks unless it is a plain word."""
    return key if _PLAIN.fullmatch(key) else f"`{key}`"


def complete(text: str, keys: Mapping[str, Iterable[str]]) -> str | None:
    """The whole text with its last word completed, or None. `keys` has the known keys of each kind."""
    found = _LAST.search(text)
    if found is None:
        return None
    kind, tick, begun = found[1], found[2], found[3]
    if begun is None:
        if not kind:
            return None
        match = next((each for each in KINDS if each.startswith(kind) and each != kind), None)
        return None if match is None else f"{text[: found.start(1)]}{match}."
    known = ATTRIBUTES if kind.startswith("attr") else sorted(keys.get(kind, ()))
    match = next((key for key in known if key.startswith(begun) and (key != begun or tick)), None)
    if match is None:
        return None
    start = found.start(2) if tick else found.start(3)
    # An odd key needs backticks from its beginning; a completion cannot change the text already typed.
    if tick:
        return f"{text[:start]}`{match}`"
    return f"{text[:start]}{match}" if _PLAIN.fullmatch(match) else None


def choices(text: str, keys: Mapping[str, Iterable[str]]) -> Choices:
    """Continuations at the end of `text`, which is the filter up to the cursor. `keys` has the known keys by kind."""
    expected, kind, name = "key", "", ""
    words = list(_WORD.finditer(text))
    typed = words.pop() if words and words[-1].end() == len(text) else None
    for word in (found[0] for found in words):
        if expected == "key":
            kind, _, name = word.partition(".")
            kind, name = _plural(kind), name.strip('`"')
            expected = "operator"
        elif expected == "operator":
            # `IS`, `IS NOT` and `NOT` are only beginnings.
            if word.upper() not in ("IS", "NOT"):
                expected = "and" if word.upper() == "NULL" else "value"
        elif expected == "value":
            expected = "inside" if word == "(" else "and"
        elif expected == "inside":
            expected = "and" if word == ")" else "inside"
        else:
            expected = "key"
    begun, start = ("", len(text)) if typed is None else (typed[0], typed.start())
    if expected == "key":
        offered = _keys(begun, keys)
    elif expected == "operator":
        operators = _NUMBERS if kind == "attributes" and name in _TIMES else _OPERATORS.get(kind, ())
        offered = [each for each in operators if each.startswith(begun.upper())]
    elif expected == "value" and (kind, name) == ("attributes", "status"):
        offered = [f"'{each}'" for each in STATUSES if f"'{each}'".startswith(begun)]
    else:
        offered = ["and"] if expected == "and" and "and".startswith(begun.lower()) else []
    return Choices(start, tuple(each for each in offered if each != begun)[:MOST])


def _keys(begun: str, keys: Mapping[str, Iterable[str]]) -> list[str]:
    """Keys for the typed beginning: those of its kind, or kinds and then keys of any that contain it."""
    kind, dot, name = begun.partition(".")
    if not dot:
        kinds = [f"{each}." for each in KINDS if each.startswith(begun)]
        return kinds + ([key for each in KINDS for key in _of_kind(each, each, begun, keys)] if begun else [])
    return _of_kind(_plural(kind), kind, name.strip('`"'), keys)


def _of_kind(kind: str, written: str, part: str, keys: Mapping[str, Iterable[str]]) -> list[str]:
    """The keys of a kind that contain a part, those that begin with it first."""
    known = ATTRIBUTES if kind == "attributes" else sorted(keys.get(kind, ()))
    part = part.lower()
    found = [key for key in known if part in key.lower()]
    found.sort(key=lambda key: not key.lower().startswith(part))
    return [f"{written}.{quoted(key)}" for key in found]


def _plural(kind: str) -> str:
    """A kind by its name in this module; the language has several names."""
    kind = kind.lower()
    for known, first in (("metrics", "metric"), ("params", "param"), ("tags", "tag"), ("attributes", "attr")):
        if kind.startswith(first):
            return known
    return "attributes" if kind == "run" else kind


def hint(text: str, keys: Mapping[str, Iterable[str]]) -> str | None:
    """The words of `problem`."""
    found = problem(text, keys)
    return None if found is None else found.words


def problem(text: str, keys: Mapping[str, Iterable[str]]) -> Problem | None:
    """The probable mistake in a filter that MLflow refuses; None when none is found."""
    # Quoted text is not part of the language; all positions stay the same.
    bare = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", lambda found: "_" * len(found[0]), text)
    for quote, name in (("'", "apostrophe"), ('"', "quotation mark"), ("`", "backtick")):
        if (at := bare.rfind(quote)) >= 0:
            return Problem(at, f"a {name} is missing: there is no second {quote} to this one")
    for pattern, words in (
        (r"==", "write = for equal, not =="),
        (r"\bor\b", "conditions are joined with `and`; there is no `or` in this language"),
        (r"&&|\|\|", "conditions are joined with the word and"),
    ):
        if (found := re.search(pattern, bare, re.I)) is not None:
            return Problem(found.start(), words)
    start = 0
    for end, following in [*((each.start(), each.end()) for each in _AND.finditer(bare)), (len(text), len(text))]:
        wrong = _term_problem(text[start:end], keys)
        if wrong is not None:
            return Problem(start + wrong.position, wrong.words)
        start = following
    return None


def _term_problem(part: str, keys: Mapping[str, Iterable[str]]) -> Problem | None:
    """The mistake in one condition."""
    term = part.strip()
    indent = len(part) - len(part.lstrip())
    if not term:
        return Problem(0, "a condition is missing beside `and`")
    found = _TERM.match(term)
    if found is None:
        word = term.split()[0]
        return Problem(
            indent, f"{word}: a condition begins with metrics. params. tags. or attributes., e.g. metrics.rmse < 0.8"
        )
    kind, key, operator, value = found[1].lower(), found[2].strip('`"'), found[3], found[4].strip()
    at_value = indent + found.start(4)
    plural = _plural(kind)
    known = list(ATTRIBUTES) if plural == "attributes" else list(keys.get(plural, ()))
    if not operator:
        return Problem(indent + found.end(2), f"{kind}.{key}: a comparison is missing, e.g. {kind}.{key} = …")
    if operator.lower() == "is":
        return None
    if not value:
        return Problem(indent + len(term), f"{kind}.{key} {operator}: a value is missing")
    if plural == "metrics" and value[0] in "'\"":
        return Problem(at_value, f"{kind}.{key}: a metric's value is a number without quotes")
    if plural in ("params", "tags") and value[0] not in "'\"(":
        return Problem(at_value, f"{kind}.{key}: the value stands in quotes, '{value}'")
    if known and key not in known:
        close = get_close_matches(key, known, n=1)
        advice = f"; did you mean {close[0]}?" if close else ""
        return Problem(indent + found.start(2), f"{kind}.{key} is in none of the runs seen so far{advice}")
    return None
