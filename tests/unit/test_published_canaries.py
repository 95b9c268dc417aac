"""Which canaries the gateway's routes hold, by their state and that of the revision that they try."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_tui.contracts.gateway_routes import Canary, Routes
from registry_tui.schemas.canaries import CanaryState, Rollout
from registry_tui.schemas.deployments import RevisionState
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import DeploymentRow
from registry_tui.service.deployments import canaries
from registry_tui.service.publishing import gateway as gateway_link
from support.bare import bare_service, make_place, revision

DEPLOYMENT = "one-deployment"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service whose deployment serves its first revision."""
    with bare_service(tmp_path) as service:
        make_place(service, "one")
        with service.database.session() as session:
            row = session.get_one(DeploymentRow, DEPLOYMENT)
            row.state, row.revision = "deployed", 1
            session.add(revision(DEPLOYMENT, 1, state=RevisionState.ACTIVE.value))
        yield service


def try_(service: Service, number: int, state: CanaryState) -> None:
    with service.database.session() as session:
        row = canaries.new_row(DEPLOYMENT, number, 1, Rollout())
        row.state = state.value
        session.add(row)


def published(service: Service) -> Canary | None:
    service.home.gateway_routes_file.parent.mkdir(parents=True, exist_ok=True)
    gateway_link.publish(service)
    [route] = Routes.from_json(service.home.gateway_routes_file.read_text()).deployments
    return route.canary


@pytest.mark.parametrize("state", list(CanaryState))
def test_a_promoted_version_gets_requests_until_all_callers_reach_it(service: Service, state: CanaryState) -> None:
    with service.database.session() as session:
        session.add(revision(DEPLOYMENT, 2, state=RevisionState.PENDING.value))
    try_(service, 2, state)
    gets = state in (CanaryState.RUNNING, CanaryState.PAUSED, CanaryState.PROMOTED)
    assert (published(service) is not None) is gets


@pytest.mark.parametrize("state", [RevisionState.ACTIVE, RevisionState.REPLACED, RevisionState.FAILED])
def test_a_promoted_version_that_was_replaced_later_gets_no_requests(service: Service, state: RevisionState) -> None:
    with service.database.session() as session:
        session.add(revision(DEPLOYMENT, 2, state=state.value))
        session.add(revision(DEPLOYMENT, 3, state=RevisionState.PENDING.value))
    try_(service, 2, CanaryState.PROMOTED)
    assert published(service) is None


def test_a_rollout_that_is_tried_again_begins_without_requests(service: Service) -> None:
    with service.database.session() as session:
        session.add(revision(DEPLOYMENT, 2, state=RevisionState.PENDING.value))
    try_(service, 2, CanaryState.PROMOTED)
    try_(service, 2, CanaryState.PENDING)
    assert published(service) is None
