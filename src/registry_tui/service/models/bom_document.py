"""A version's bill of materials as a CycloneDX document (https://cyclonedx.org/docs/1.6/json/), from facts alone."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from registry_tui import __version__
from registry_tui.schemas.boms import ComponentKind
from registry_tui.schemas.models import ModelVersion
from registry_tui.service.core.packages import Wanted

SPEC = "1.6"
#: Entries of one kind, and characters of one value, that a document has at most.
_MOST = 500
_LONGEST = 2000
#: Where a model names its base model: params and tags of its run, its tags, its `MLmodel` metadata.
BASE_MODEL = "base_model"
_SERIALS = uuid.UUID("2a0f4fc5-9b7c-5f0c-8b53-3c9a2e1f7d60")


@dataclass(frozen=True)
class Dataset:
    """A data set that the run was given."""

    name: str
    digest: str = ""
    source_type: str = ""
    source: str = ""
    #: Its use, such as `training`.
    context: str = ""


@dataclass(frozen=True)
class Material:
    """One component of a version, as searches find it; `known` as in `VersionComponentRow`."""

    kind: ComponentKind
    name: str
    wanted: str
    text: str
    known: bool = True


@dataclass(frozen=True)
class Facts:
    """The facts for a bill of materials."""

    version: ModelVersion
    #: The values of the `MLmodel` file.
    described: Mapping[str, Any]
    requirements: Sequence[Wanted] | None
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    run_tags: Mapping[str, str] = field(default_factory=dict)
    datasets: Sequence[Dataset] = ()
    #: SHA-256 of the archive's manifest.
    manifest: str = ""


def materials(facts: Facts) -> list[Material]:
    """The components of the version, each once."""
    found: dict[tuple[ComponentKind, str, str], Material] = {}
    for each in _materials(facts):
        found.setdefault((each.kind, each.name, each.text), each)
    return list(found.values())


def document(facts: Facts, revision: int, made_at: datetime) -> dict[str, Any]:
    """The CycloneDX document; `revision` counts from 1."""
    version, parts = facts.version, materials(facts)
    refs = [f"{part.kind.value}:{number}" for number, part in enumerate(parts, 1)]
    own = f"version:{version.id}"
    sources = {(each.name, each.digest): each for each in facts.datasets}
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": uuid.uuid5(_SERIALS, version.id).urn,
        "version": revision,
        "metadata": {
            "timestamp": made_at.isoformat(),
            "tools": {"components": [{"type": "application", "name": "registry-tui", "version": __version__}]},
            "component": {
                "type": "machine-learning-model",
                "bom-ref": own,
                "name": version.model_name,
                "version": str(version.version),
                "modelCard": _model_card(facts, [ref for ref in refs if ref.startswith("dataset:")]),
                "properties": _properties(_about(facts)),
            },
        },
        "components": [
            _component(part, ref, sources.get((part.name, part.wanted))) for part, ref in zip(parts, refs, strict=True)
        ],
        "dependencies": [{"ref": own, "dependsOn": refs}, *({"ref": ref} for ref in refs)],
    }


def _materials(facts: Facts) -> Iterable[Material]:
    for each in list(facts.requirements or ())[:_MOST]:
        wanted = "" if each.versions is None else str(each.versions)
        name = each.name or each.text
        yield Material(ComponentKind.PACKAGE, name[:_LONGEST], wanted, each.text[:_LONGEST], each.versions is not None)
    if python := python_version(facts.described):
        yield Material(ComponentKind.PYTHON, "python", f"=={python}", python)
    for data in list(facts.datasets)[:_MOST]:
        yield Material(ComponentKind.DATASET, data.name[:_LONGEST], data.digest, data.digest)
    for name, revision in base_models(facts).items():
        yield Material(ComponentKind.BASE_MODEL, name[:_LONGEST], revision, revision)


def python_version(described: Mapping[str, Any]) -> str:
    """The Python that a model was logged with, such as `3.11.7`; empty if not stated."""
    found = _flavours(described).get("python_function", {}).get("python_version")
    return found if isinstance(found, str) and found.replace(".", "").isdigit() else ""


def base_models(facts: Facts) -> dict[str, str]:
    """The models that a version was made from, with their revision; empty where none is known."""
    found: dict[str, str] = {}
    for settings in _flavours(facts.described).values():
        name = settings.get("source_model_name")
        if isinstance(name, str) and name:
            found[name] = str(settings.get("source_model_revision") or "")
    metadata = facts.described.get("metadata")
    named = [
        metadata.get(BASE_MODEL) if isinstance(metadata, Mapping) else None,
        facts.version.tags.get(BASE_MODEL),
        facts.params.get(BASE_MODEL),
        facts.run_tags.get(BASE_MODEL),
    ]
    for name in named:
        if isinstance(name, str) and name:
            found.setdefault(name, "")
    return found


def _flavours(described: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = described.get("flavors")
    if not isinstance(found, Mapping):
        return {}
    return {str(name): settings for name, settings in found.items() if isinstance(settings, Mapping)}


def _about(facts: Facts) -> Iterable[tuple[str, str]]:
    origin = facts.version.origin
    for name in _flavours(facts.described):
        yield "flavour", name
    for key, value in (
        ("version-id", facts.version.id),
        ("run-id", origin.run_id),
        ("run-name", origin.run_name),
        ("experiment", origin.experiment_name),
        ("project", origin.project_name),
        ("source", origin.source),
        ("manifest-sha256", facts.manifest),
    ):
        if value:
            yield key, value
    for key, text in list(facts.params.items())[:_MOST]:
        yield f"param:{key}", text


def _model_card(facts: Facts, datasets: list[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {"datasets": [{"ref": ref} for ref in datasets]}
    signature = facts.described.get("signature")
    if isinstance(signature, Mapping):
        for side in ("inputs", "outputs"):
            if shape := _columns(signature.get(side)):
                parameters[side] = [{"format": each[:_LONGEST]} for each in shape[:_MOST]]
    measured = [{"type": key, "value": f"{value:.15g}"} for key, value in sorted(facts.metrics.items())[:_MOST]]
    return {
        "modelParameters": {key: value for key, value in parameters.items() if value},
        **({"quantitativeAnalysis": {"performanceMetrics": measured}} if measured else {}),
    }


def _columns(listed: Any) -> list[str]:
    """Columns or tensors of a signature's side, which `MLmodel` keeps as JSON within YAML."""
    try:
        found = json.loads(listed) if isinstance(listed, str) else listed
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, list):
        return []
    return [
        json.dumps(each, sort_keys=True) if not (isinstance(each, Mapping) and "name" in each) else _column(each)
        for each in found
    ]


def _column(each: Mapping[str, Any]) -> str:
    kind = each.get("type")
    return f"{each['name']}: {kind if isinstance(kind, str) else json.dumps(kind, sort_keys=True)}"


def _component(part: Material, ref: str, dataset: Dataset | None) -> dict[str, Any]:
    if part.kind is ComponentKind.PACKAGE:
        return _package(part, ref)
    if part.kind is ComponentKind.PYTHON:
        return {"type": "platform", "bom-ref": ref, "name": "python", "version": part.text}
    if part.kind is ComponentKind.BASE_MODEL:
        found: dict[str, Any] = {"type": "machine-learning-model", "bom-ref": ref, "name": part.name}
        return {**found, "version": part.text} if part.text else found
    content: dict[str, Any] = {"type": "dataset", "name": part.name}
    about = [("digest", part.text)]
    if dataset is not None:
        about += [
            ("source-type", dataset.source_type),
            ("source", dataset.source[:_LONGEST]),
            ("context", dataset.context),
        ]
    return {
        "type": "data",
        "bom-ref": ref,
        "name": part.name,
        "data": [content],
        "properties": _properties((key, value) for key, value in about if value),
    }


def _package(part: Material, ref: str) -> dict[str, Any]:
    exact = part.wanted.removeprefix("==")
    pinned = part.wanted.startswith("==") and not part.wanted.startswith("===") and not set(exact) & {",", "*"}
    found: dict[str, Any] = {"type": "library", "bom-ref": ref, "name": part.name}
    # A requirement without a name of a package (an address, a file) has no place in PyPI.
    if part.known or part.name != part.text:
        found["purl"] = f"pkg:pypi/{quote(part.name, safe='')}"
    if pinned:
        found["version"] = exact
        found["purl"] += f"@{quote(exact, safe='')}"
    return {**found, "properties": _properties([("requirement", part.text)])}


def _properties(named: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": f"registry-tui:{key}"[:_LONGEST], "value": value[:_LONGEST]} for key, value in named]
