"""A restored home has no replicas: none of its deployments counts as deployed, also if it was one in the backup."""

from __future__ import annotations

from pathlib import Path

from registry_tui.schemas.deployments import DeploymentState
from registry_tui.schemas.operations import WorkflowKind, WorkflowStatus
from registry_tui.service.backup import restoring
from registry_tui.service.database.tables import DeploymentRow, WorkflowRow
from registry_tui.service.engine.engine import Engine
from registry_tui.service.engine.rows import ACTIVE
from registry_tui.service.workflows.catalog import DEFINITIONS
from support.bare import bare_service, make_place


def test_a_rollout_that_was_under_way_ends_and_its_deployment_stays_stopped(tmp_path: Path) -> None:
    with bare_service(tmp_path) as service:
        make_place(service, "e")
        with service.database.session() as session:
            for id_, kind in (("rollout", WorkflowKind.DEPLOY), ("archive", WorkflowKind.ARCHIVE)):
                session.add(
                    WorkflowRow(
                        id=id_,
                        kind=kind.value,
                        status=WorkflowStatus.RUNNING.value,
                        resource_type="deployment",
                        resource_id="e-deployment",
                        resource_name="taster",
                        lock=id_,
                        actor="ann",
                        actor_crn="ann",
                        actor_administrator=False,
                        request_id="r",
                        arguments={"before": "pending", "reason": "it was deployed"},
                        state={},
                        steps=[],
                        progress={},
                    )
                )
            row = session.get_one(DeploymentRow, "e-deployment")
            row.state, row.workflow_id = DeploymentState.DEPLOYING.value, "rollout"
        assert restoring._stop_deployments(service.database) == ["taster"]
        engine = Engine(f"sqlite:///{tmp_path}/workflows.db", DEFINITIONS)
        engine.attach(service)
        # As DBOS does with workflows that it knows as begun.
        engine._body("rollout", None)
        with service.database.reading() as session:
            row = session.get_one(DeploymentRow, "e-deployment")
            assert row.state == DeploymentState.STOPPED.value and row.workflow_id is None
            rollout = session.get_one(WorkflowRow, "rollout")
            assert rollout.status == WorkflowStatus.FAILED.value and rollout.lock is None and rollout.finished_at
            assert rollout.error and rollout.action
            assert session.get_one(WorkflowRow, "archive").status in ACTIVE
