"""The commands of `docs/life-of-a-version.md`, as its recording types them into a shell."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from support.platforms import Platform

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

import recording

pytestmark = pytest.mark.long


def test_the_page_does_what_it_says(own_platform: Platform) -> None:
    recorded = recording.life(str(own_platform.home.root), typing=0)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", recorded.text)
    at = 0
    for each in (
        "good-enough",
        "refused with exit code 1",
        "runs code",
        "Verification succeeded",
        "not by the one who asks: exit code 1",
        "signature valid: deployment.ready",
        "changed     model.py",
        "found with exit code 1",
        "The stored archive is damaged: model.py",
        "refused with exit code 1",
        "[3.0, 5.0, 8.0]",
        "promoted from: version Sum v2",
        "served by: deployment sums",
        "evidence/README.md describes",
        "sound       yes",
        "promoted from",
    ):
        found = shown.find(each, at)
        assert found >= 0, f"{each} is not in\n{shown[at:]}"
        at = found + len(each)
