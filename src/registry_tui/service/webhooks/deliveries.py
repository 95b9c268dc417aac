"""Deliveries to webhooks: each is written in the transaction of its event, so that none is lost by a kill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.webhooks import DeliveryState
from registry_tui.service.database.tables import (
    DeploymentRow,
    EventRow,
    ProjectRow,
    RegistryRow,
    WebhookDeliveryRow,
    WebhookRow,
    WorkspaceRow,
    now,
)

#: The type of a message that somebody requested, to try a webhook.
TEST = "webhook.test"
_STARTED, _SUCCEEDED, _FAILED = EventOutcome.STARTED, EventOutcome.SUCCEEDED, EventOutcome.FAILED
_CANCELLED = EventOutcome.CANCELLED

#: The message type and description of each kind of event.
TYPES: Mapping[tuple[str, EventOutcome], tuple[str, str]] = {
    ("version.archive", _STARTED): ("version.registered", "A version was registered; its archive is being stored"),
    ("version.archive", _SUCCEEDED): ("version.ready", "A version's archive is stored"),
    ("version.archive", _FAILED): ("version.failed", "A version's archive could not be stored"),
    ("version.archive", _CANCELLED): ("version.failed", "A version's archive could not be stored"),
    ("version.promote", _SUCCEEDED): (
        "version.promoted",
        "A version was copied to or from this registry; see `detail`",
    ),
    ("version.delete", _SUCCEEDED): ("version.deleted", "A version was deleted"),
    ("model.set-alias", _SUCCEEDED): ("version.alias_set", "An alias was given to a version; `detail` is both"),
    ("model.delete-alias", _SUCCEEDED): ("version.alias_removed", "An alias was taken away; `detail` is its name"),
    ("version.stage", _SUCCEEDED): ("version.stage_changed", "A version has another stage; `detail` is both stages"),
    ("approval.ask", _SUCCEEDED): ("approval.asked", "Somebody asked for an approval; `detail` is the purpose"),
    ("approval.approve", _SUCCEEDED): ("approval.approved", "A version was approved; `detail` is the purpose"),
    ("approval.reject", _SUCCEEDED): ("approval.rejected", "A version was rejected; `detail` is the purpose"),
    ("approval.withdraw", _SUCCEEDED): ("approval.withdrawn", "Who asked for an approval does so no more"),
    ("deployment.deploy", _STARTED): ("deployment.started", "A version is being deployed"),
    ("deployment.deploy", _SUCCEEDED): ("deployment.ready", "A deployment serves"),
    ("deployment.deploy", _FAILED): ("deployment.failed", "A version could not be deployed"),
    ("deployment.deploy", _CANCELLED): ("deployment.failed", "A version could not be deployed"),
    ("deployment.roll-back", _FAILED): (
        "deployment.rolled_back",
        "A deployment went back by itself, or could not; `detail` names the reason and the figures",
    ),
    ("deployment.canary-step", _SUCCEEDED): (
        "deployment.canary_step",
        "A version that is tried gets more of the requests; `detail` says how many",
    ),
    ("deployment.drift", _FAILED): (
        "deployment.drifted",
        "Requests or answers are too far from the training data; `detail` names columns and figures",
    ),
    ("deployment.drift", _SUCCEEDED): ("deployment.drift_ended", "No column drifts any more"),
    ("deployment.update", _SUCCEEDED): ("deployment.updated", "A deployment was changed"),
    ("deployment.stop", _SUCCEEDED): ("deployment.stopped", "A deployment was stopped"),
    ("deployment.delete", _STARTED): ("deployment.deleted", "A deployment is being deleted"),
    ("webhook.pause", _FAILED): ("webhook.paused", "Another webhook was paused by itself; `detail` says why"),
}
#: Each step of a workflow's life, for every kind of resource.
WORKFLOWS: Mapping[EventOutcome, tuple[str, str]] = {
    _STARTED: ("workflow.started", "A workflow began"),
    _SUCCEEDED: ("workflow.succeeded", "A workflow is done"),
    _FAILED: ("workflow.failed", "A workflow failed; `detail` says why"),
    _CANCELLED: ("workflow.cancelled", "A workflow was cancelled"),
}
#: Finished deliveries kept for each webhook: age and number.
KEPT_FOR, KEPT = timedelta(days=30), 10_000


def types_of(row: EventRow) -> list[str]:
    """The types of messages about an event."""
    outcome = EventOutcome(row.outcome)
    found = [TYPES[row.action, outcome][0]] if (row.action, outcome) in TYPES else []
    if row.workflow_id is not None and outcome in WORKFLOWS:
        found.append(WORKFLOWS[outcome][0])
    return found


def matches(patterns: Sequence[str], type_: str) -> bool:
    """Whether a webhook with these events receives a type."""
    noun = type_.partition(".")[0]
    return any(each in ("*", f"{noun}.*", type_) for each in patterns)


def note(session: Session, made: Sequence[object]) -> None:
    """Writes the deliveries of the events that a transaction has made, in the same transaction."""
    matched = [(row, types) for row in made if isinstance(row, EventRow) and (types := types_of(row))]
    if not matched or session.scalars(select(WebhookRow.id).limit(1)).first() is None:
        return
    for row, types in matched:
        place = _place_of(session, row)
        if place is None:
            continue
        environment_id, concerns = place
        query = select(WebhookRow).where(
            WebhookRow.environment_id == environment_id,
            WebhookRow.id != row.resource_id,
            or_(WebhookRow.registry_id.is_(None), WebhookRow.registry_id == row.registry_id),
            or_(WebhookRow.model.is_(None), WebhookRow.model == concerns.get("model")),
        )
        for webhook in session.scalars(query.order_by(WebhookRow.id)):
            session.add_all(
                WebhookDeliveryRow(
                    webhook_id=webhook.id, type=each, payload=_payload(row, each, concerns), concerns=concerns
                )
                for each in types
                if matches(webhook.events, each)
            )


def test_delivery(webhook: WebhookRow, actor: str) -> WebhookDeliveryRow:
    """A message about nothing but itself."""
    payload = {"type": TEST, "timestamp": now().isoformat(), "data": {"actor": actor, "webhook": webhook.name}}
    return WebhookDeliveryRow(webhook_id=webhook.id, type=TEST, payload=payload, concerns={})


def prune(session: Session, webhook_id: str, at: datetime) -> None:
    """Forgets finished deliveries that are too old or too many, and waiting ones beyond the number."""
    of = WebhookDeliveryRow.webhook_id == webhook_id
    finished = WebhookDeliveryRow.state != DeliveryState.PENDING.value
    session.execute(delete(WebhookDeliveryRow).where(of, finished, WebhookDeliveryRow.created_at < at - KEPT_FOR))
    for which in (finished, ~finished):
        newest = select(WebhookDeliveryRow.number).where(of, which).order_by(WebhookDeliveryRow.number.desc())
        last = session.scalar(newest.offset(KEPT - 1).limit(1))
        if last is not None:
            session.execute(delete(WebhookDeliveryRow).where(of, which, WebhookDeliveryRow.number < last))


def waiting(session: Session, webhook_id: str) -> int:
    """How many deliveries of a webhook wait."""
    query = select(func.count()).where(
        WebhookDeliveryRow.webhook_id == webhook_id, WebhookDeliveryRow.state == DeliveryState.PENDING.value
    )
    return session.scalar(query) or 0


def _place_of(session: Session, row: EventRow) -> tuple[str, dict[str, Any]] | None:
    """The environment of an event, and the things it concerns; None where it belongs to no environment."""
    concerns: dict[str, Any] = {"registry": row.registry_id, "actor_crn": row.actor_crn}
    if row.resource_type in ("version", "model"):
        concerns["model"] = _model_of(row)
    elif row.resource_type in ("deployment", "project"):
        project_id: str | None = row.resource_id
        if row.resource_type == "deployment":
            deployment = session.get(DeploymentRow, row.resource_id)
            project_id = None if deployment is None else deployment.project_id
            concerns["model"] = None if deployment is None else deployment.model_name
        concerns["project"] = project_id or ""
        environment = session.scalar(
            select(WorkspaceRow.environment_id)
            .join(ProjectRow, ProjectRow.workspace_id == WorkspaceRow.id)
            .where(ProjectRow.id == project_id)
        )
        if environment is not None:
            return environment, concerns
    elif row.resource_type == "webhook":
        webhook = session.get(WebhookRow, row.resource_id)
        return None if webhook is None else (webhook.environment_id, concerns)
    registry = None if row.registry_id is None else session.get(RegistryRow, row.registry_id)
    return None if registry is None else (registry.environment_id, concerns)


def _model_of(row: EventRow) -> str:
    """The name of the model that an event is about: versions are named `MODEL vNUMBER`."""
    return row.resource_name.rpartition(" v")[0] if row.resource_type == "version" else row.resource_name


def _payload(row: EventRow, type_: str, concerns: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "event": row.id,
        "action": row.action,
        "outcome": row.outcome,
        "actor": row.actor,
        "resource": {"type": row.resource_type, "id": row.resource_id, "name": row.resource_name},
        "registry": row.registry_id,
        "model": concerns.get("model"),
        "workflow": row.workflow_id,
        "detail": row.detail,
    }
    if row.resource_type == "version":
        number = row.resource_name.rpartition(" v")[2]
        data["version"] = int(number) if number.isascii() and number.isdigit() else None
    return {"type": type_, "timestamp": row.created_at.isoformat(), "data": data}
