"""Whether a model's requests may share calls: by the deployment's setting, or as its parts and a trial decide.

Functions import MLflow and pandas, which take seconds; in a replica, `load` has imported them by then.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry_tui.contracts.counts import counted
from registry_tui.serving import batching, row_by_row
from registry_tui.serving.shortcuts import Shortcuts

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

#: Requests that are predicted together in a trial, for each of two orders of them.
SIZES = (2, 3, 4, 5, 7, 8, 9, 16, 17, 33, 64)
#: Different rows of a trial at most, and at least.
ROWS, FEWEST = 48, 6
#: Rows of the trial's requests, in turns.
EACH = (1, 1, 1, 2, 1, 3)
#: Seconds that a trial may take.
PATIENCE = 30.0
#: Columns, and rows with a value for each.
Table = tuple[list[str], list[list[Any]]]
_WORDS = ("a", "text", "some words", "and others of them", "x1", "the quick brown fox", "nothing", "Zürich")


@dataclass(frozen=True)
class Decision:
    """Whether requests that wait together share calls of the model, and why."""

    together: bool
    why: str

    def __str__(self) -> str:
        how = "requests that wait together share a call" if self.together else "each request is predicted alone"
        return f"{how}: {self.why}"


def decide(model: PyFuncModel, example: bytes | None, wanted: str, shortcuts: Shortcuts | None = None) -> Decision:
    """Decides by the setting `wanted`: `on`, `off`, or `auto`, which also tries the model in company."""
    if wanted in ("on", "off"):
        return Decision(wanted == "on", f"the deployment's setting is {wanted}")
    try:
        why = row_by_row.why_not(model) or _trial(model, example, shortcuts)
    except Exception as error:  # a model may fail in any way under inspection; unbatched, MLflow serves it anyway
        why = f"the trial failed: {type(error).__name__}"
    if why is not None:
        return Decision(False, why)
    return Decision(True, f"{row_by_row.name_of(model)} answers row by row, and did among other rows in a trial")


def _trial(model: PyFuncModel, example: bytes | None, shortcuts: Shortcuts | None) -> str | None:
    """Why requests must not share calls: a result differs between alone and in company. None when all are equal."""
    from registry_tui.serving.answers import score_alone

    until = time.monotonic() + PATIENCE
    schema = model.metadata.get_input_schema()
    chance = random.Random(1)
    table = _from_example(example, schema, chance) or _from_signature(schema, chance)
    if table is None:
        return "there is no table to try it with: neither an input example nor a signature of plain columns"
    columns, rows = table

    def body(some: Sequence[Sequence[Any]]) -> bytes:
        return json.dumps({"dataframe_split": {"columns": columns, "data": some}}).encode()

    def alone(request: bytes) -> bytes | None:
        answer = score_alone(request, "application/json", model, shortcuts)
        return answer.body if answer.status == 200 else None

    # Rows that the model refuses (an unknown category, for example) cannot be compared.
    good = [row for row in rows if time.monotonic() < until and alone(body([row])) is not None]
    if len({json.dumps(row) for row in good}) < FEWEST:
        return "too few different rows could be made up to try it with"
    bodies = [
        body([good[(number + add) % len(good)] for add in range(EACH[number % len(EACH)])]) for number in range(64)
    ]
    expected = {request: alone(request) for request in bodies}
    parsed = {request: batching.parse(request, schema, shortcuts) for request in bodies}
    if any(expected[request] != alone(request) for request in bodies[:8]):
        return "the same request is not answered the same twice"
    for size in (*SIZES, *SIZES):
        if time.monotonic() > until:
            return f"the trial took more than {PATIENCE:g} seconds"
        some = chance.sample(bodies, size)
        groups: dict[Any, list[bytes]] = {}
        for request in some:
            if (own := parsed[request]) is not None:
                groups.setdefault(own.key, []).append(request)
        for group in groups.values():
            some_parsed = [own for each in group if (own := parsed[each]) is not None]
            parts = batching.predict_together(model, some_parsed, shortcuts)
            if parts is None:
                return "it does not answer with one prediction a row"
            for request, part in zip(group, parts, strict=True):
                if batching.to_json(part, shortcuts) != expected[request]:
                    return f"an answer differed when {counted(len(group), 'request')} were predicted together"
    if not any(parsed.values()):
        return "its requests cannot be put together"
    return None


def _from_example(
    example: bytes | None, schema: Any, chance: random.Random
) -> tuple[list[str], list[list[Any]]] | None:
    """Columns and rows like those of the model's own example, their numbers changed."""
    try:
        found = json.loads(example or b"null")
        split = found["dataframe_split"]
        columns, known = list(split["columns"]), [list(row) for row in split["data"]]
    except (ValueError, KeyError, TypeError):
        return None
    if not known or any(len(row) != len(columns) for row in known):
        return None
    types = dict(zip(schema.input_names(), schema.input_types(), strict=True)) if _named(schema) else {}
    rows = known[: ROWS // 2]
    while len(rows) < ROWS:
        row = [
            _like(chance.choice(known)[place], getattr(types.get(column), "name", ""), chance)
            for place, column in enumerate(columns)
        ]
        rows.append(row)
    return columns, rows


def _like(value: Any, type_: str, chance: random.Random) -> Any:
    if isinstance(value, str):
        if type_ == "datetime":
            return _date(chance)
        # Also values of the other rows as they are: encoders refuse words that they do not know.
        return value if chance.random() < 0.5 else chance.choice(_WORDS)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, float) or type_ in ("double", "float"):
        return value * chance.uniform(0.5, 1.5) + chance.gauss(0.0, 0.1)
    return value if chance.random() < 0.5 else value + chance.randint(-2, 2)


def _date(chance: random.Random) -> str:
    return f"20{chance.randint(10, 30)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T00:00:00"


def _from_signature(schema: Any, chance: random.Random) -> Table | None:
    """Columns and rows of a signature's types, made up."""
    if not _named(schema):
        return None
    types = [getattr(type_, "name", "") for type_ in schema.input_types()]
    made: dict[str, Callable[[], Any]] = {
        "double": lambda: chance.gauss(0.0, 10.0),
        "float": lambda: chance.gauss(0.0, 10.0),
        "integer": lambda: chance.randint(0, 100),
        "long": lambda: chance.randint(0, 100),
        "boolean": lambda: chance.random() < 0.5,
        "string": lambda: chance.choice(_WORDS),
        "datetime": lambda: _date(chance),
    }
    if not types or any(type_ not in made for type_ in types):
        return None
    return list(schema.input_names()), [[made[type_]() for type_ in types] for _ in range(ROWS)]


def _named(schema: Any) -> bool:
    return schema is not None and not schema.is_tensor_spec() and schema.has_input_names()
