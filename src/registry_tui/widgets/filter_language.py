"""MLflow's filter language for people: completion of keys, and in plain words what is wrong. Plain functions.

The language: https://mlflow.org/docs/latest/ml/search/search-runs
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

KINDS = ("metrics", "params", "tags", "attributes")
ATTRIBUTES = ("run_name", "status", "start_time", "end_time", "run_id", "user_id", "artifact_uri")

#: The word being typed: a kind, then perhaps a dot and the beginning of a key, perhaps in backticks.
_LAST = re.compile(r"(?:^|[\s(])([A-Za-z]*)(?:\.(`?)([^`\s<>=!]*))?$")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TERM = re.compile(
    r"\b(metrics?|params?|parameters?|tags?|attributes?)\.(`[^`]*`|\"[^\"]*\"|[^\s<>=!]+)\s*([<>=!]+|i?like|in)?\s*(.*)",
    re.I,
)


def quoted(key: str) -> str:
    """A key as the language wants it: in backticks unless it is a plain word."""
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
    # An odd key needs backticks from its beginning; what is typed already cannot be changed by a completion.
    if tick:
        return f"{text[:start]}`{match}`"
    return f"{text[:start]}{match}" if _PLAIN.fullmatch(match) else None


def hint(text: str, keys: Mapping[str, Iterable[str]]) -> str | None:
    """What is probably wrong with a filter that MLflow refuses, in plain words; None when nothing is seen."""
    for quote, name in (("'", "apostrophe"), ('"', "quotation mark"), ("`", "backtick")):
        if text.count(quote) % 2:
            return f"a {name} is missing: there is an odd number of {quote}"
    bare = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "''", text)
    if "==" in bare:
        return "write = for equal, not =="
    if re.search(r"\bor\b", bare, re.I):
        return "conditions are joined with `and`; there is no `or` in this language"
    if re.search(r"&&|\|\|", bare):
        return "conditions are joined with the word and"
    for part in re.split(r"\s+and\s+", text, flags=re.I):
        wrong = _term_hint(part.strip(), keys)
        if wrong is not None:
            return wrong
    return None


def _term_hint(term: str, keys: Mapping[str, Iterable[str]]) -> str | None:
    if not term:
        return "a condition is missing beside `and`"
    found = _TERM.match(term)
    if found is None:
        word = term.split()[0]
        return f"{word}: a condition begins with metrics. params. tags. or attributes., e.g. metrics.rmse < 0.8"
    kind, key, operator, value = found[1].lower(), found[2].strip('`"'), found[3], found[4].strip()
    plural = "params" if kind.startswith("param") else kind if kind.endswith("s") else f"{kind}s"
    if not operator:
        return f"{kind}.{key}: a comparison is missing, e.g. {kind}.{key} = …"
    if not value:
        return f"{kind}.{key} {operator}: a value is missing"
    if plural == "metrics" and value[0] in "'\"":
        return f"{kind}.{key}: a metric's value is a number without quotes"
    if plural in ("params", "tags") and value[0] not in "'\"(":
        return f"{kind}.{key}: the value stands in quotes, '{value}'"
    known = list(ATTRIBUTES) if plural == "attributes" else list(keys.get(plural, ()))
    if known and key not in known:
        close = get_close_matches(key, known, n=1)
        return f"{kind}.{key} is in none of the runs seen so far" + (f"; did you mean {close[0]}?" if close else "")
    return None
