"""The CycloneDX document of a version, from facts alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from registry_tui.schemas.models import ModelVersion, Origin, VersionStatus
from registry_tui.service.core import packages
from registry_tui.service.models.bom_document import Dataset, Facts, document
from registry_tui.wording.bom_differences import BomLine, bom_difference

AT = datetime(2026, 11, 30, tzinfo=UTC)
FILES = {
    "requirements.txt": b"numpy==1.26.4\nscikit_learn>=1.6,<2\ngit+https://x.example/y.git\nz @ https://x.example/z.whl\n"
}
DESCRIBED: dict[str, Any] = {
    "flavors": {
        "python_function": {"python_version": "3.11.7"},
        "transformers": {"source_model_name": "org/base", "source_model_revision": "abc123"},
    },
    "signature": {
        "inputs": '[{"name": "ash", "type": "double"}, {"type": "tensor", "tensor-spec": {"dtype": "float64"}}]'
    },
    "metadata": {"base_model": "org/other"},
}


def made(text: bytes | None = None, **changes: Any) -> dict[str, Any]:
    version = ModelVersion(
        id="v",
        model_id="m",
        model_name="Wine ünd & so",
        registry_id="r",
        version=3,
        status=VersionStatus.READY,
        status_message="",
        notes="",
        creator="ada",
        created_at=AT,
        updated_at=AT,
        origin=Origin(run_id="run", source="runs:/run/model"),
    )
    files = FILES if text is None else {"requirements.txt": text}
    facts: dict[str, Any] = {
        "params": {"depth": "3"},
        "metrics": {"rmse": 0.25, "nan": float("nan")},
        "datasets": [Dataset("wine", "d1g3st", "http", "{}", "training"), Dataset("wine", "other")],
        "manifest": "0" * 64,
    }
    return document(Facts(version, DESCRIBED, packages.read(files.get), **{**facts, **changes}), 1, AT)


def test_the_document_is_cyclonedx_and_holds_every_kind_of_component() -> None:
    found = made()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(found)) is None
    assert [(each["type"], each["name"], each.get("version")) for each in found["components"]] == [
        ("library", "numpy", "1.26.4"),
        ("library", "scikit-learn", None),
        ("library", "git+https://x.example/y.git", None),
        ("library", "z", None),
        ("platform", "python", "3.11.7"),
        ("data", "wine", None),
        ("data", "wine", None),
        ("machine-learning-model", "org/base", "abc123"),
        ("machine-learning-model", "org/other", None),
    ]
    card = found["metadata"]["component"]["modelCard"]
    assert card["modelParameters"]["inputs"][0] == {"format": "ash: double"}
    assert {"type": "rmse", "value": "0.25"} in card["quantitativeAnalysis"]["performanceMetrics"]


def test_two_documents_differ_in_what_only_one_of_them_has() -> None:
    assert bom_difference(made(), made()) == []
    other = made(b"numpy==2.3.0\nscikit_learn>=1.6,<2\n", metrics={"rmse": 0.5, "nan": float("nan")})
    assert bom_difference(made(), other) == [
        BomLine("package", "git+https://x.example/y.git", "git+https://x.example/y.git", ""),
        BomLine("package", "numpy", "numpy==1.26.4", "numpy==2.3.0"),
        BomLine("package", "z", "z @ https://x.example/z.whl", ""),
        BomLine("metric", "rmse", "0.25", "0.5"),
    ]


def test_a_model_that_says_nothing_has_a_document_too() -> None:
    found = made(b"", metrics={}, datasets=[], params={})
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(found)) is None
