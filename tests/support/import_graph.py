"""The imports between modules in `src`: every import counts, also those inside functions and those for types only."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path


def import_graph(source: Path) -> dict[str, set[str]]:
    """Each module below `source` with the modules below `source` that it imports."""
    files = {_name(path.relative_to(source)): path for path in source.rglob("*.py")}
    return {
        module: {target for target in _imported(path.read_text(encoding="utf-8"), files) if target != module}
        for module, path in files.items()
    }


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that all reach each other (strongly connected components of two or more)."""
    reached = {module: _reachable(graph, module) for module in graph}
    found: list[list[str]] = []
    seen: set[str] = set()
    for module in sorted(graph):
        if module in seen or module not in reached[module]:
            continue
        circle = sorted(other for other in reached[module] if module in reached[other])
        seen.update(circle)
        found.append(circle)
    return found


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting.extend(graph[module])
    return found


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(text: str, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            while name and name not in known:
                name = name.rpartition(".")[0]
            if name:
                yield name
