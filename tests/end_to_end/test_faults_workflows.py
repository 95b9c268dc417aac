"""Every workflow, killed before and after each of its steps, hooks and undos: it resumes, and ends as it should.

A table of workflows; the points of each come from its definition, so that a new step is killed too, and a new kind of
workflow without a row here fails a test.

Workflows of deployments, runs and left archives are in `test_faults_rollouts.py`, on a platform of their own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service.workflows.catalog import DEFINITIONS
from support.platforms import Platform
from support.workflow_cases import CASES, ROLLOUTS, Case, ImportedFolder
from support.workflow_kills import kill_at_every_point, points


def test_every_kind_of_workflow_has_a_row() -> None:
    assert {case.kind for case in CASES} == set(DEFINITIONS) == set(WorkflowKind)
    undone = {
        (case.kind, point.removeprefix("after undo "))
        for case in CASES
        for point in points(DEFINITIONS[case.kind], case)
        if point.startswith("after undo ")
    }
    assert undone == {
        (kind, step.name) for kind, definition in DEFINITIONS.items() for step in definition.steps if step.undo
    }


@pytest.mark.parametrize("case", [case for case in CASES if case.kind not in ROLLOUTS], ids=str)
def test_killed_at_every_point(own_platform: Platform, tmp_path: Path, case: Case) -> None:
    kill_at_every_point(own_platform, tmp_path, case)


def test_an_import_goes_on_after_every_kill_and_is_one_version(own_platform: Platform, tmp_path: Path) -> None:
    kill_at_every_point(own_platform, tmp_path, Case(WorkflowKind.ARCHIVE, ImportedFolder))
