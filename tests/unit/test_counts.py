"""Numbers with the word that fits them, at every place that shows one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import registry_tui
from registry_tui.contracts.counts import counted

SOURCES = Path(registry_tui.__file__).parent
#: Nouns that stand behind numbers in messages, lists and logs.
NOUNS = [
    "archive",
    "byte",
    "column",
    "deployment",
    "entry",
    "experiment",
    "file",
    "image",
    "key",
    "line",
    "model",
    "object",
    "project",
    "replica",
    "request",
    "row",
    "run",
    "second",
    "version",
    "workspace",
]
#: A number that is written into a text, with a plural behind it that is also there for 1.
_PLURAL = re.compile(rf"^ (?:\w+ )?(?:{'|'.join(NOUNS)})s\b(?!/)|^ entries\b")


@pytest.mark.parametrize(
    ("number", "noun", "several", "words"),
    [
        (0, "version", None, "0 versions"),
        (1, "version", None, "1 version"),
        (2, "version", None, "2 versions"),
        (12_345, "object", None, "12,345 objects"),
        (1, "entry", "entries", "1 entry"),
        (3, "entry", "entries", "3 entries"),
        (1, "person", "people", "1 person"),
        (4, "person", "people", "4 people"),
        (1.0, "second", None, "1 second"),
        (2.5, "second", None, "2.5 seconds"),
    ],
)
def test_a_number_has_its_noun(number: float, noun: str, several: str | None, words: str) -> None:
    assert counted(number, noun, several) == words


def _text(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _plurals(path: Path) -> list[str]:
    """Plurals behind a value in the f-strings of a file, but for constants, whose value is known."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        endings = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        for ending in endings:
            if isinstance(ending, ast.IfExp) and "s" in (_text(ending.body), _text(ending.orelse)):
                found.append(f"{path.relative_to(SOURCES)}:{node.lineno}: {ast.unparse(ending)}")
        for before, behind in zip(node.values, node.values[1:], strict=False):
            if not (isinstance(before, ast.FormattedValue) and isinstance(behind, ast.Constant)):
                continue
            written = ast.unparse(before.value)
            if _PLURAL.match(str(behind.value)) and not re.fullmatch(r"[A-Z_.\w]*\b_?[A-Z_]{3,}( / 60)?", written):
                found.append(f"{path.relative_to(SOURCES)}:{node.lineno}: {{{written}}}{behind.value!r}")
    return found


def test_no_text_has_a_plural_for_any_number() -> None:
    found = [each for path in sorted(SOURCES.rglob("*.py")) for each in _plurals(path)]
    assert not found, "use `counted`: " + "\n".join(found)
