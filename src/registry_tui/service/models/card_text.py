"""A model card generated from the known facts, and the filled sections of a card."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from registry_tui.contracts.counts import counted
from registry_tui.schemas.cards import TO_WRITE
from registry_tui.schemas.models import ModelVersion, RegisteredModel
from registry_tui.schemas.scans import ScanVerdict

#: Entries of one list of a card.
_MOST = 100
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_MARKED = re.compile(r"([\\`*_{}\[\]<>#|])")


def made(model: RegisteredModel, version: ModelVersion, bom: Mapping[str, Any] | None, scan: ScanVerdict) -> str:
    """The generated card of a version without a written one; `bom` is its bill of materials."""
    parts = [f"# {_text(model.name)} version {version.version}", ""]
    if model.description:
        parts += [model.description, ""]
    for heading in ("Intended use", "Limits and risks"):
        parts += [f"## {heading}", "", TO_WRITE, ""]
    about = {} if bom is None else bom.get("metadata", {}).get("component", {})
    known = [(each["name"].removeprefix("registry-tui:"), each["value"]) for each in about.get("properties", ())]
    card, components = about.get("modelCard", {}), [] if bom is None else bom.get("components", [])
    parameters = card.get("modelParameters", {})
    metrics = card.get("quantitativeAnalysis", {}).get("performanceMetrics", ())
    sections: list[tuple[str, Iterable[str]]] = [
        ("Where it comes from", _origin(version)),
        ("Model", [f"flavour {value}" for key, value in known if key == "flavour"]),
        ("Base models", [_named(each) for each in components if each["type"] == "machine-learning-model"]),
        ("Inputs", [f"`{each['format']}`" for each in parameters.get("inputs", ())]),
        ("Outputs", [f"`{each['format']}`" for each in parameters.get("outputs", ())]),
        ("Metrics", [f"{_text(each['type'])}: {each['value']}" for each in metrics]),
        (
            "Params",
            [_text(f"{key.removeprefix('param:')}: {value}") for key, value in known if key.startswith("param:")],
        ),
        ("Data sets", [_named(each) for each in components if each["type"] == "data"]),
        ("Requirements", [_named(each) for each in components if each["type"] in ("library", "platform")]),
        ("Archive and scan", _checks(version, scan)),
    ]
    for heading, lines in sections:
        if listed := list(lines):
            parts += [f"## {heading}", "", *(f"- {line}" for line in listed[:_MOST])]
            parts += [f"- {counted(len(listed) - _MOST, 'more')}"] if len(listed) > _MOST else []
            parts.append("")
    return "\n".join(parts)


def filled(text: str) -> list[str]:
    """The headings of a card below which something is written, its own or in a part below it."""
    open_: list[tuple[int, str]] = []
    found: list[str] = []
    fenced = False
    for line in _COMMENT.sub("", text).splitlines():
        fenced ^= _FENCE.match(line) is not None
        heading = None if fenced else _HEADING.match(line)
        if heading is not None:
            level = len(line.lstrip()) - len(line.lstrip().lstrip("#"))
            open_ = [*(each for each in open_ if each[0] < level), (level, heading[1])]
        elif line.strip() and line.strip() != TO_WRITE:
            found += [name for _, name in open_ if name not in found]
    return found


def _origin(version: ModelVersion) -> Iterable[str]:
    origin = version.origin
    places = (origin.environment_name, origin.workspace_name, origin.project_name, origin.experiment_name)
    if any(places):
        yield _text(" / ".join(each for each in places if each))
    if origin.run_id:
        yield f"run {_text(origin.run_name or '')} `{origin.run_id}`".replace("  ", " ")
    yield f"registered {version.created_at:%Y-%m-%d %H:%M} UTC by {_text(version.creator)}"


def _checks(version: ModelVersion, scan: ScanVerdict) -> Iterable[str]:
    if version.archive_files is not None:
        yield f"{counted(version.archive_files, 'file')}, {counted(version.archive_bytes or 0, 'byte')}"
    yield _text(f"scan: {scan.verdict}{': ' if scan.reason else ''}{scan.reason}")


def _named(component: Mapping[str, Any]) -> str:
    about = {each["name"]: each["value"] for each in component.get("properties", ())}
    requirement = about.get("registry-tui:requirement")
    if requirement:
        return f"`{requirement}`"
    detail = component.get("version") or about.get("registry-tui:digest")
    return _text(f"{component['name']} {detail or ''}".strip())


def _text(value: str) -> str:
    """Escapes others' text, so that Markdown shows it literally."""
    return _MARKED.sub(r"\\\1", " ".join(value.split()))
