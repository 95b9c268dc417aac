"""The common parts of the loops that watch deployments: events, and the principal they act for."""

from __future__ import annotations

import logging
import uuid

from registry_tui.schemas.operations import EventOutcome
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import DeploymentRow, UserRow
from registry_tui.service.deployments import finding

logger = logging.getLogger(__name__)


def report(service: Service, row: DeploymentRow, action: str, detail: str) -> None:
    """Logs and records that something went wrong with a deployment."""
    logger.warning("deployment %s: %s", row.name, detail)
    events.record(
        service,
        identity.owner_principal(service),
        action=action,
        resource=finding.resource_of(row),
        outcome=EventOutcome.FAILED,
        detail=detail,
    )


def creator_of(service: Service, row: DeploymentRow) -> Principal:
    """The person who deployed it, with a new request ID: the loops have no more permissions than that person."""
    with service.database.reading() as session:
        user = session.get(UserRow, row.creator)
    owner = identity.owner_principal(service)
    if user is None or user.name == owner.name:
        return owner
    return Principal(user.name, user.crn, str(uuid.uuid4()))
