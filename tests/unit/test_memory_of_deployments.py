"""The machine's memory compared with deployments' requests, and a replica's memory with a request's bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from registry_tui.schemas.canaries import Rollout
from registry_tui.schemas.deployments import GIB, MIB, RevisionState
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import CanaryRow, DeploymentRow, RevisionRow
from registry_tui.service.deployments import canaries, machine
from registry_tui.service.errors import WrongState
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.settings import Settings
from support.bare import bare_service, make_place, revision


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service of a machine with 8 GiB, where the deployment of `one` serves with 3 GiB, and that of `two` with 1."""
    monkeypatch.setattr(machine, "memory_bytes", lambda: 8 * GIB)
    with bare_service(tmp_path) as service:
        for name, memory in (("one", 3 * GIB), ("two", 1 * GIB)):
            make_place(service, name)
            with service.database.session() as session:
                row = session.get_one(DeploymentRow, f"{name}-deployment")
                row.state, row.revision = "deployed", 1
                session.add(revision(row.id, 1, memory, state=RevisionState.ACTIVE.value))
        yield service


def found(session: Session, name: str = "one") -> DeploymentRow:
    query = select(DeploymentRow).where(DeploymentRow.id == f"{name}-deployment")
    return session.scalars(query.options(selectinload(DeploymentRow.revisions))).one()


def ask(service: Service, memory: int, generation: int) -> None:
    with service.database.reading() as session:
        row = found(session)
        beside = machine.claimed_beside(row, generation)
        machine.require_room(session, row, machine.Asked(1, memory, 1.0), but=row.id, beside=beside)


def test_old_and_new_replicas_need_room_together(service: Service) -> None:
    ask(service, 4 * GIB, 2)
    with pytest.raises(WrongState, match=r"and 3\.0 GiB serve until the new replicas answer") as told:
        ask(service, 5 * GIB, 2)
    assert "Stop the deployment first" in str(told.value.action)
    # The same replicas with another limit have nothing beside them.
    ask(service, 5 * GIB, 1)
    with service.database.session() as session:
        session.get_one(DeploymentRow, "one-deployment").state = "stopped"
    ask(service, 5 * GIB, 2)


@pytest.mark.parametrize(
    ("memory", "limit", "words"),
    [
        (256 * MIB, 64 * MIB // 12, "--memory 512M"),
        (512 * MIB, 320 * MIB // 12, "--memory 960M"),
        (4 * GIB, 64 * MIB, "`max_prediction_bytes`"),
    ],
)
def test_a_request_may_have_as_many_bytes_as_a_replica_has_memory_for(
    service: Service, memory: int, limit: int, words: str
) -> None:
    with service.database.session() as session:
        session.scalars(
            select(RevisionRow).where(RevisionRow.deployment_id == "one-deployment")
        ).one().memory_bytes = memory
    with service.database.reading() as session:
        told = gateway_link.body_limit(service, found(session), None)
    assert told[0] == limit and words in told[1]


def test_a_request_fits_into_both_versions_of_a_canary(service: Service) -> None:
    with service.database.session() as session:
        session.add(revision("one-deployment", 2, 256 * MIB))
    canary: CanaryRow = canaries.new_row("one-deployment", 2, 1, Rollout())
    with service.database.reading() as session:
        row = found(session)
        assert gateway_link.body_limit(service, row, None)[0] == Settings().max_prediction_bytes
        assert gateway_link.body_limit(service, row, canary)[0] == 64 * MIB // 12
