"""A bundle's facts about its model, apart from the files: metrics, params and data sets of its bill of materials."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from registry_tui.client.errors import RegistryError

#: The same limit as in a bill of materials for each kind.
_MOST = 500
_PREFIX = "registry-tui:"


@dataclass(frozen=True)
class RunFacts:
    """Facts for the run of an imported model, so that its own bill of materials contains them too."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    #: In the format of MLflow's `runs/log-inputs`.
    datasets: tuple[Mapping[str, Any], ...] = ()


def read_bom(content: bytes, manifest_sha256: str) -> tuple[dict[str, Any], RunFacts]:
    """A bundle's bill of materials with the facts in it.

    Raises RegistryError if it is not CycloneDX, or is about other files than those of the manifest.
    """
    try:
        document = json.loads(content)
        if document["bomFormat"] != "CycloneDX":
            raise ValueError
        about = document["metadata"]["component"]
        properties = _properties(about)
        facts = RunFacts(
            metrics=_metrics(about),
            params={key[6:]: value for key, value in properties.items() if key.startswith("param:")},
            tags=_base_models(document),
            datasets=tuple(_datasets(document)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _broken("is not a CycloneDX document") from error
    if properties.get("manifest-sha256", manifest_sha256) != manifest_sha256:
        raise _broken("belongs to other files than those of its manifest")
    return document, facts


def _properties(entry: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(each["name"]).removeprefix(_PREFIX): str(each["value"]) for each in list(entry.get("properties", ()))[:2000]
    }


def _metrics(about: Mapping[str, Any]) -> dict[str, float]:
    measured = about.get("modelCard", {}).get("quantitativeAnalysis", {}).get("performanceMetrics", ())
    return {str(each["type"]): float(each["value"]) for each in list(measured)[:_MOST]}


def _base_models(document: Mapping[str, Any]) -> dict[str, str]:
    """The last one alone: a run has one, and files, params and the version's tags, which are imported too, have the
    others."""
    named = [each for each in document.get("components", ()) if each["type"] == "machine-learning-model"]
    return {"base_model": str(named[-1]["name"])} if named else {}


def _datasets(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for each in [each for each in document.get("components", ()) if each["type"] == "data"][:_MOST]:
        about = _properties(each)
        context = about.get("context", "")
        yield {
            "dataset": {
                "name": str(each["name"]),
                "digest": about.get("digest", "")[:36] or "unknown",
                "source_type": about.get("source-type", "bundle"),
                "source": about.get("source", "{}"),
            },
            "tags": [{"key": "mlflow.data.context", "value": context}] if context else [],
        }


def _broken(problem: str) -> RegistryError:
    return RegistryError(
        f"The bundle's bill of materials {problem}; nothing was imported", action="Export it again: `models export`"
    )
