"""Which sections of a model card are filled, and the card generated from the registry's data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from registry_tui.schemas.cards import TO_WRITE
from registry_tui.schemas.models import ModelVersion, Origin, RegisteredModel, VersionStatus, Visibility
from registry_tui.schemas.scans import ScanVerdict, Verdict
from registry_tui.service.models import card_text

AT = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("", []),
        ("# Use\n\ntext", ["Use"]),
        ("# Use\n\n## Limits\n\ntext\n\n# Risks", ["Use", "Limits"]),
        (f"# Use\n\n{TO_WRITE}\n", []),
        ("# Use\n\n<!-- write\nthis -->\n", []),
        ("# Use #\n```\n# Limits\n```\n", ["Use"]),
        ("#Use\ntext", []),
    ],
    ids=["empty", "filled", "below", "to write", "comment", "code", "no heading"],
)
def test_a_section_is_filled_when_a_person_wrote_into_it(text: str, headings: list[str]) -> None:
    assert card_text.filled(text) == headings


def test_a_card_is_made_from_what_is_known_and_its_own_sections_are_to_write() -> None:
    common: dict[str, Any] = {"registry_id": "r", "created_at": AT, "updated_at": AT}
    model = RegisteredModel(
        id="m", name="Wine_1", description="", owner="ada", visibility=Visibility.PRIVATE, location="w", **common
    )
    version = ModelVersion(
        id="v",
        model_id="m",
        model_name="Wine_1",
        version=3,
        status=VersionStatus.READY,
        status_message="",
        notes="",
        creator="ada",
        origin=Origin(run_id="abc", project_name="<b>evil</b>"),
        **common,
    )
    bom = {
        "metadata": {
            "component": {
                "properties": [{"name": "registry-tui:param:depth", "value": "3"}],
                "modelCard": {"quantitativeAnalysis": {"performanceMetrics": [{"type": "rmse", "value": "0.25"}]}},
            }
        },
        "components": [{"type": "data", "name": "w", "properties": [{"name": "registry-tui:digest", "value": "d1"}]}],
    }
    scan = ScanVerdict(verdict=Verdict.KNOWN_IMPORTS, reason="")
    made = card_text.made(model, version, bom, scan)
    assert made.startswith("# Wine\\_1 version 3\n")
    for line in ("- rmse: 0.25", "- depth: 3", "- w d1", "- scan: known imports", "- \\<b\\>evil\\</b\\>"):
        assert line in made.splitlines(), made
    assert not {"Intended use", "Limits and risks"} & set(card_text.filled(made))
    assert "Metrics" in card_text.filled(made)
    assert card_text.made(model, version, None, scan)
