"""Workflows of deployments, runs and left archives, killed before and after each of their steps, hooks and undos."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.platforms import Platform
from support.workflow_cases import CASES, ROLLOUTS, Case
from support.workflow_kills import kill_at_every_point


@pytest.mark.parametrize("case", [case for case in CASES if case.kind in ROLLOUTS], ids=str)
def test_killed_at_every_point(own_platform: Platform, tmp_path: Path, case: Case) -> None:
    kill_at_every_point(own_platform, tmp_path, case)
