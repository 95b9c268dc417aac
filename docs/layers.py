"""`python docs/layers.py`: puts the picture of the layers into `architecture.md`, made from the import contracts.

Layers and their order are those of the contracts in `pyproject.toml`, the words are the packages' docstrings.
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "registry_tui"
PAGE = ROOT / "docs/architecture.md"
#: The lines before and after the picture in the page.
BEGIN, END = "<!-- made by docs/layers.py -->\n```\n", "```\n"
#: Columns of the picture, and of the names in it.
WIDTH, NAMES = 120, 15


def layers() -> dict[str, list[list[str]]]:
    """Each package whose modules are in layers: its layers from the top, each with the names in it."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    return {
        container: [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]
        for contract in contracts
        if contract["type"] == "layers"
        for container in contract["containers"]
    }


def words(module: str) -> str:
    """The first sentence of a module's or package's docstring."""
    path = ROOT / "src" / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    first = (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").split("\n")[0]
    return first.split(". ")[0].removesuffix(".")


def box(package: str, known: dict[str, list[list[str]]], width: int) -> Iterator[str]:
    """The lines of a package's box, with boxes in it for the packages that have layers of their own."""
    name = package.rpartition(".")[2]
    title = f"┌ {name} ── {words(package)} "
    yield title + "─" * (width - len(title) - 1) + "┐"
    for number, layer in enumerate(known[package], 1):
        for place, member in enumerate(layer):
            count = f"{number:>2}" if place == 0 else "  "
            if f"{package}.{member}" in known:
                for line, inner in enumerate(box(f"{package}.{member}", known, width - 7)):
                    yield f"│ {count if line == 0 else '  '} {inner} │"
            else:
                room = width - NAMES - 8
                said = textwrap.shorten(words(f"{package}.{member}"), room, placeholder=" …")
                yield f"│ {count} {member:<{NAMES}} {said:<{room}} │"
    yield "└" + "─" * (width - 2) + "┘"


def picture() -> str:
    """The picture, as text."""
    return "\n".join(box(PACKAGE, layers(), WIDTH)) + "\n"


def main() -> None:
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + begin + picture() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
