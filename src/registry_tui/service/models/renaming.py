"""Follows a rename of a model in MLflow's server: updates the rows that name it, and the queued messages."""

from __future__ import annotations

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from registry_tui.schemas.webhooks import DeliveryState
from registry_tui.service.database.tables import (
    AdmissionExceptionRow,
    ApprovalRow,
    DeploymentRow,
    RegistryRow,
    VersionCopyRow,
    WebhookDeliveryRow,
    WebhookRow,
)


def rename(session: Session, registry_id: str, model_id: str, before: str, name: str) -> None:
    """Updates a model's name in the rows that have it: approvals, exceptions, copies, deployments, webhooks."""
    for table in (ApprovalRow, AdmissionExceptionRow, VersionCopyRow, DeploymentRow):
        mine = update(table).where(table.model_id == model_id).values(model_name=name)
        session.execute(mine.execution_options(synchronize_session=False))
    if before:
        _rename_in_webhooks(session, registry_id, before, name)


def _rename_in_webhooks(session: Session, registry_id: str, before: str, name: str) -> None:
    environment = select(RegistryRow.environment_id).where(RegistryRow.id == registry_id).scalar_subquery()
    everywhere = WebhookRow.registry_id.is_(None) & (WebhookRow.environment_id == environment)
    in_registry = or_(WebhookRow.registry_id == registry_id, everywhere)
    mine = update(WebhookRow).where(WebhookRow.model == before, in_registry).values(model=name)
    session.execute(mine.execution_options(synchronize_session=False))
    # Whether a webhook's creator may see the model is asked by its name when a message is sent.
    hooks = select(WebhookRow.id).where(WebhookRow.environment_id == environment)
    waiting = select(WebhookDeliveryRow).where(
        WebhookDeliveryRow.webhook_id.in_(hooks), WebhookDeliveryRow.state == DeliveryState.PENDING.value
    )
    for delivery in session.scalars(waiting):
        concerns = delivery.concerns
        if concerns.get("model") == before and concerns.get("registry") in (registry_id, None):
            delivery.concerns = {**concerns, "model": name}
