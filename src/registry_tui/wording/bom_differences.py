"""What differs between the bills of materials of two versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KINDS = {
    "library": "package",
    "platform": "python",
    "data": "data set",
    "machine-learning-model": "base model",
}


@dataclass(frozen=True)
class BomLine:
    """One thing as either version has it; empty where it does not."""

    kind: str
    name: str
    one: str
    other: str


def bom_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[BomLine]:
    """What two CycloneDX documents of versions have that differs: components, then metrics, by name."""
    sides = (_content(one), _content(other))
    keys = sorted(set(sides[0]) | set(sides[1]), key=lambda key: (key[0] == "metric", key))
    lines = [BomLine(*key, *(", ".join(side.get(key, ())) for side in sides)) for key in keys]
    return [line for line in lines if line.one != line.other]


def _content(document: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in document.get("components", ()):
        about = {entry["name"]: entry["value"] for entry in each.get("properties", ())}
        told = about.get("registry-tui:requirement") or each.get("version") or about.get("registry-tui:digest")
        found[_KINDS.get(each["type"], each["type"]), each["name"]].append(told or "yes")
    card = document.get("metadata", {}).get("component", {}).get("modelCard", {})
    for metric in card.get("quantitativeAnalysis", {}).get("performanceMetrics", ()):
        found["metric", metric["type"]].append(metric["value"])
    return {key: sorted(told) for key, told in found.items()}
