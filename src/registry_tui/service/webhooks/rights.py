"""Rights in webhooks: administrators of an environment have all of it, owners of models those that they made for these.

The creator of a webhook for a model can always see and delete it. To change it, send by it and read its deliveries,
they must own the model at that moment, by MLflow's server.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import RULES, Action, Holder
from registry_tui.schemas.models import RegisteredModel
from registry_tui.schemas.people import UserState
from registry_tui.service.core import identity, permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import (
    EnvironmentRow,
    ProjectRow,
    RegistryRow,
    UserRow,
    WebhookDeliveryRow,
    WebhookRow,
)
from registry_tui.service.errors import Missing, NotPermitted, WrongState
from registry_tui.service.models.registered import find_model
from registry_tui.service.registries.place import enter_registry

_CHANGE = Action.WEBHOOKS_CHANGE
#: Webhooks that a person who administers no environment may have in one: each event is matched with all of them.
MOST = 20


def own(principal: Principal) -> Any:
    """The webhooks that somebody made for a model, for a query."""
    limited = WebhookRow.registry_id.is_not(None) & WebhookRow.model.is_not(None)
    return (WebhookRow.creator_crn == principal.crn) & limited


def has(session: Session, principal: Principal, webhook: WebhookRow) -> bool:
    """Whether a webhook, whose environment the principal may see, is theirs to see and to delete."""
    if permissions.may_in(session, principal, _CHANGE, webhook.environment_id):
        return True
    return webhook.creator_crn == principal.crn and webhook.registry_id is not None and webhook.model is not None


def require(service: Service, principal: Principal, webhook: WebhookRow) -> None:
    """Raises NotPermitted unless a webhook of the principal's is theirs to change; PartUnavailable, WrongState."""
    with service.database.reading() as session:
        if permissions.may_in(session, principal, _CHANGE, webhook.environment_id):
            return
    if _owned(service, principal, webhook.registry_id, webhook.model) is None:
        raise NotPermitted(
            f"{principal.name} does not own the model {webhook.model} any more: "
            f"the webhook {webhook.name} can only be deleted",
            action="Ask the model's owner, or an EnvironmentAdmin, to make one",
        )


def require_new(
    service: Service, principal: Principal, environment: EnvironmentRow, registry_id: str | None, model: str | None
) -> tuple[str | None, str | None]:
    """The registry and the model's name, when the principal may make a webhook for events about these.

    Raises NotPermitted, PartUnavailable, WrongState also for one too many.
    """
    with service.database.reading() as session:
        if permissions.may_in(session, principal, _CHANGE, environment.id):
            return registry_id, model
        if registry_id is None:
            registry_id = session.scalar(select(RegistryRow.id).where(RegistryRow.environment_id == environment.id))
        mine = select(func.count()).where(own(principal), WebhookRow.environment_id == environment.id)
        there = session.scalar(mine) or 0
    found = _owned(service, principal, registry_id, model)
    if found is None:
        whose = "for all of environment" if model is None else f"for {model} in environment"
        raise NotPermitted(
            f"{principal.name} may not make webhooks {whose} {environment.name}: that needs {RULES[_CHANGE].who}",
            action="Name a model that you own, or ask an EnvironmentAdmin",
        )
    if there >= MOST:
        raise WrongState(
            f"{principal.name} has {counted(there, 'webhook')} in environment {environment.name}, and may have no more",
            action="Delete one: `registry-tui webhooks list` shows them",
        )
    return registry_id, found.name


def creator_of(service: Service, webhook: WebhookRow) -> Principal:
    """The person whose rights a webhook has. Raises NotPermitted with the reason when they lost them.

    Raises PartUnavailable, WrongState while that cannot be checked.
    """
    with service.database.reading() as session:
        row = session.get(UserRow, webhook.creator)
        if row is None or row.crn != webhook.creator_crn or row.state == UserState.SUSPENDED.value:
            raise NotPermitted(f"{webhook.creator}, who made it, is gone or suspended")
        principal = identity.principal_of_row(service, row, "webhook")
        if permissions.may_in(session, principal, _CHANGE, webhook.environment_id):
            return principal
    if webhook.model is None or webhook.registry_id is None:
        raise NotPermitted(f"{principal.name}, who made it, is not an administrator of the environment any more")
    if _owned(service, principal, webhook.registry_id, webhook.model) is None:
        raise NotPermitted(f"{principal.name}, who made it, does not own the model {webhook.model} any more")
    return principal


def may_read(service: Service, principal: Principal, delivery: WebhookDeliveryRow) -> bool:
    """Whether somebody may see the subject of a message. Raises PartUnavailable, WrongState while that is not known."""
    concerns = delivery.concerns
    if principal.administrator or not concerns:
        return True
    if delivery.type.startswith("workflow.") and not permissions.may_for(
        principal, Action.WORKFLOWS, concerns["actor_crn"]
    ):
        return False
    try:
        if "project" in concerns:
            with service.database.reading() as session:
                project = session.get(ProjectRow, concerns["project"])
                if project is None:
                    return False
                permissions.check_project(session, principal, project, Action.DEPLOYMENT_READ)
        elif concerns.get("model"):
            find_model(
                service, principal, enter_registry(service, concerns["registry"], reader=principal), concerns["model"]
            )
    except (Missing, NotPermitted):
        return False
    return True


def _owned(
    service: Service, principal: Principal, registry_id: str | None, model: str | None
) -> RegisteredModel | None:
    """The model, when the principal may have webhooks for it as its owner. Raises PartUnavailable, WrongState."""
    if registry_id is None or model is None:
        return None
    try:
        found = find_model(service, principal, enter_registry(service, registry_id, reader=principal), model)
    except (Missing, NotPermitted):
        return None
    held = (Holder.MODEL_OWNER,) if found.owner == principal.name else ()
    return found if RULES[_CHANGE].allows(held) else None
