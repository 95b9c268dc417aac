"""YAML from outside, parsed as PyYAML's safe loader does, with bounds on its depth and on the expansion of aliases."""

from __future__ import annotations

from typing import Any

import yaml

#: Values nested in values. Each level is a Python call in PyYAML.
MAX_DEPTH = 100
#: Scalars, lists and mappings, each counted once for every alias that repeats it.
MAX_NODES = 200_000

# libyaml's parser is about ten times as fast as PyYAML's own; it is in all wheels of PyYAML.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class InvalidYaml(ValueError):
    """The text is not YAML, or exceeds the bounds; the message completes "the file …"."""


def load(data: bytes) -> Any:
    """The value of a UTF-8 document; None for an empty one. Raises InvalidYaml."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidYaml(f"is not text in UTF-8 (byte {error.start})") from error
    try:
        _check_events(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _measure(node, {}, [])
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except InvalidYaml:
        raise
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InvalidYaml(f"is not valid YAML: {error.problem or error.context}{line}") from error
    # Constructors of dates, numbers and binary values raise any of Python's errors.
    except Exception as error:
        raise InvalidYaml(f"is not valid YAML: {str(error).partition(chr(10))[0]}") from error


def _check_events(text: str) -> None:
    """Bounds the depth and the number of values before any is kept: this parser does not recurse."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise InvalidYaml(f"nests values more than {MAX_DEPTH} levels deep")
        if count > 2 * MAX_NODES:
            raise InvalidYaml(f"holds more than {MAX_NODES:,} values")


def _measure(node: Any, known: dict[int, tuple[int, int]], above: list[int]) -> tuple[int, int]:
    """Values and levels of a node with its aliases expanded. Raises InvalidYaml when they exceed the bounds."""
    if (found := known.get(id(node))) is not None:
        return found
    if id(node) in above:
        raise InvalidYaml("holds an alias of itself")
    size, height = 1, 1
    if isinstance(node, yaml.CollectionNode):
        above.append(id(node))
        for child in node.value:
            for each in child if isinstance(child, tuple) else (child,):
                below, levels = _measure(each, known, above)
                size, height = size + below, max(height, levels + 1)
                if size > MAX_NODES:
                    raise InvalidYaml(f"expands to more than {MAX_NODES:,} values")
                if height > MAX_DEPTH:
                    raise InvalidYaml(f"nests values more than {MAX_DEPTH} levels deep")
        above.pop()
    known[id(node)] = (size, height)
    return size, height
