"""The contents of versions' bills of materials, and the differences between two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry_tui.schemas.boms import Component

_KINDS = {
    "library": "package",
    "platform": "python",
    "data": "data set",
    "machine-learning-model": "base model",
}


@dataclass(frozen=True)
class BomLine:
    """One component of either version; empty where it has none."""

    kind: str
    name: str
    one: str
    other: str


@dataclass(frozen=True)
class BomPart:
    """One component of a version, or one of its metrics."""

    kind: str
    name: str
    #: The requirement, version, digest or value; empty where none is known.
    told: str = ""

    @property
    def uses(self) -> str:
        """The query for other versions that use the same (`versions_using`); empty where there is none."""
        # A query names a package with its versions only.
        plain = self.told and not set(self.told) & set(";[@")
        return {
            "package": self.told if plain else self.name,
            "python": f"python=={self.told}" if self.told else "",
            "data set": f"dataset:{self.name}",
            "base model": f"base-model:{self.name}",
        }.get(self.kind, "")


#: The kinds of parts.
KINDS = (*_KINDS.values(), "metric")


def bom_parts(document: Mapping[str, Any]) -> list[BomPart]:
    """The entries of a version's CycloneDX document: components in their order, then metrics by name."""
    return [BomPart(*key, value) for key, found in _content(document).items() for value in found]


def bom_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[BomLine]:
    """The differences between two versions' CycloneDX documents: components, then metrics, by name."""
    sides = (_content(one), _content(other))
    keys = sorted(set(sides[0]) | set(sides[1]), key=lambda key: (key[0] == "metric", key))
    lines = [
        BomLine(*key, *(", ".join(value or "yes" for value in side.get(key, ())) for side in sides)) for key in keys
    ]
    return [line for line in lines if line.one != line.other]


def _content(document: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in document.get("components", ()):
        about = {entry["name"]: entry["value"] for entry in each.get("properties", ())}
        value = about.get("registry-tui:requirement") or each.get("version") or about.get("registry-tui:digest")
        found[_KINDS.get(each["type"], each["type"]), each["name"]].append(value or "")
    card = document.get("metadata", {}).get("component", {}).get("modelCard", {})
    for metric in card.get("quantitativeAnalysis", {}).get("performanceMetrics", ()):
        found["metric", metric["type"]].append(metric["value"])
    return {key: sorted(value) for key, value in found.items()}


def use_text(each: Component) -> str:
    """A component that was searched for: a package by its requirement, all else by kind and name."""
    if each.kind.value == "package":
        return each.detail or each.name
    return f"{each.kind.value} {each.name} {each.detail}".strip()
