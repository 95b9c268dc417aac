"""Webhooks of an environment, which its administrators make, watch and change."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from cryptography.fernet import Fernet
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.webhooks import (
    DeliveryState,
    Webhook,
    WebhookAttempt,
    WebhookChange,
    WebhookCreate,
    WebhookDelivery,
    WebhookReplay,
    WebhookReplayed,
    WebhookSecret,
    WebhookState,
)
from registry_tui.service.core import events, idempotency, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.no_change import require_change
from registry_tui.service.core.resolve import resolve_environment, resolve_registry
from registry_tui.service.database.tables import EnvironmentRow, WebhookDeliveryRow, WebhookRow, new_id, now
from registry_tui.service.errors import AlreadyThere, InvalidInput, Missing, NotPermitted, PartUnavailable, WrongState
from registry_tui.service.webhooks import addresses, deliveries, rights

#: How long messages are also signed with the previous secret.
OVERLAP = timedelta(hours=24)
#: Most deliveries that one request sends again.
_AT_ONCE = 10_000


def create_webhook(service: Service, principal: Principal, request: WebhookCreate) -> WebhookSecret:
    """Makes a webhook; its secret is shown this once. A model owner's is for a model of theirs.

    Raises NotPermitted, Missing, InvalidInput, AlreadyThere; WrongState, PartUnavailable.
    """
    id_ = new_id()
    with events.recording(service, principal, "webhook.create", Resource("webhook", id_, request.name)):
        with service.database.reading() as session:
            seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
            environment = resolve_environment(session, request.environment, seen)
            registry_id = None
            if request.registry is not None:
                registry = resolve_registry(session, request.registry, seen)
                if registry.environment_id != environment.id:
                    message = f"{registry.name} belongs to another environment"
                    raise InvalidInput(message, errors=[FieldProblem(field="registry", message=message)])
                registry_id = registry.id
        registry_id, model = rights.require_new(service, principal, environment, registry_id, request.model)
        _check_url(service, request.url)
        _check_events(request.events)
        secret = _new_secret()
        try:
            with service.database.session() as session:
                session.add(
                    WebhookRow(
                        id=id_,
                        name=request.name,
                        environment_id=environment.id,
                        url=request.url,
                        events=request.events,
                        registry_id=registry_id,
                        model=model,
                        creator=principal.name,
                        creator_crn=principal.crn,
                        secret=_sealed(service, secret),
                    )
                )
        except IntegrityError as error:
            raise AlreadyThere(
                f"Environment {environment.name} has a webhook {request.name!r} already", action="Choose another name"
            ) from error
    return WebhookSecret(webhook=get_webhook(service, principal, id_), secret=secret)


def list_webhooks(
    service: Service,
    principal: Principal,
    *,
    environment: str | None = None,
    registry: str | None = None,
    model: str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[Webhook]:
    """The webhooks of the environments that the principal administers, and their own for models; the oldest first.

    With a registry, a model or both those for events about it. Raises Missing.
    """
    query = select(WebhookRow).options(joinedload(WebhookRow.environment))
    with service.database.reading() as session:
        may = permissions.permitted_environments(session, principal, Action.WEBHOOKS_CHANGE)
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        if may is not None:
            theirs = rights.own(principal) & WebhookRow.environment_id.in_(seen or ())
            query = query.where(or_(WebhookRow.environment_id.in_(may), theirs))
        if environment is not None:
            query = query.where(WebhookRow.environment_id == resolve_environment(session, environment, seen).id)
        if registry is not None:
            place = resolve_registry(session, registry, seen)
            query = query.where(WebhookRow.environment_id == place.environment_id)
            query = query.where(or_(WebhookRow.registry_id.is_(None), WebhookRow.registry_id == place.id))
        if model is not None:
            query = query.where(or_(WebhookRow.model.is_(None), WebhookRow.model == model))
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(WebhookRow.created_at), paging.Key(WebhookRow.id)],
            scope=f"webhooks:{principal.name}:{environment}:{registry}:{model}",
            page_size=page_size,
            page_token=page_token,
        )
        return found.to_page(to_schema)


def get_webhook(service: Service, principal: Principal, webhook: str) -> Webhook:
    """One webhook, by ID, name or `environment/name`. Raises Missing, InvalidInput when several have the name."""
    with service.database.reading() as session:
        return to_schema(_find(session, principal, webhook))


def change_webhook(service: Service, principal: Principal, webhook: str, request: WebhookChange) -> Webhook:
    """Changes a webhook's address or its events. Raises Missing, NotPermitted, InvalidInput."""
    with _changing(service, principal, webhook, "webhook.change") as row:
        require_change(request)
        if request.url is not None:
            _check_url(service, request.url)
            row.url = request.url
            if not principal.administrator:
                # Nobody may have messages that they may not read sent to an address of theirs.
                row.creator, row.creator_crn = principal.name, principal.crn
        if request.events is not None:
            _check_events(request.events)
            row.events = request.events
    return get_webhook(service, principal, row.id)


def delete_webhook(service: Service, principal: Principal, webhook: str) -> None:
    """Deletes a webhook with its deliveries. Raises Missing."""
    with service.database.reading() as session:
        row = _find(session, principal, webhook)
    with (
        events.recording(service, principal, "webhook.delete", Resource("webhook", row.id, row.name)),
        service.database.session() as session,
    ):
        found = _find(session, principal, row.id)
        idempotency.takes(session, found.id)
        session.delete(found)


def pause_webhook(service: Service, principal: Principal, webhook: str) -> Webhook:
    """Sends nothing for a while; messages about events meanwhile are queued. Raises Missing."""
    with _changing(service, principal, webhook, "webhook.pause", stops=True) as row:
        if row.state != WebhookState.PAUSED.value:
            row.state, row.reason = WebhookState.PAUSED.value, f"paused by {principal.name}"
    return get_webhook(service, principal, row.id)


def resume_webhook(service: Service, principal: Principal, webhook: str) -> Webhook:
    """Resumes sending, in the name of the principal if its creator may not have it any more.

    Raises Missing, NotPermitted, PartUnavailable, WrongState.
    """
    with service.database.reading() as session:
        known = _find(session, principal, webhook)
    try:
        rights.creator_of(service, known)
        stays = True
    except NotPermitted:
        stays = False
    with _changing(service, principal, webhook, "webhook.resume") as row:
        row.state, row.reason = WebhookState.ACTIVE.value, ""
        row.failures, row.failing_since, row.rest_until = 0, None, None
        if not stays:
            row.creator, row.creator_crn = principal.name, principal.crn
    return get_webhook(service, principal, row.id)


def rotate_secret(service: Service, principal: Principal, webhook: str) -> WebhookSecret:
    """Gives a webhook a new secret; for a day messages are also signed with the previous one. Raises Missing."""
    secret = _new_secret()
    with _changing(service, principal, webhook, "webhook.rotate-secret") as row:
        # A repeated rotation, whose response was lost, must not remove the secret that receivers know.
        if row.old_secret_until is None or row.old_secret_until <= now():
            row.old_secret = row.secret
        row.secret, row.old_secret_until = _sealed(service, secret), now() + OVERLAP
    return WebhookSecret(webhook=get_webhook(service, principal, row.id), secret=secret)


def test_webhook(service: Service, principal: Principal, webhook: str) -> WebhookDelivery:
    """Sends a message of type `webhook.test`. Raises Missing, WrongState while it is paused."""
    with _changing(service, principal, webhook, "webhook.test") as row:
        if row.state == WebhookState.PAUSED.value:
            raise WrongState(
                f"The webhook {row.name} is paused: {row.reason}", action=f"`registry-tui webhooks resume {row.name}`"
            )
    with service.database.session() as session:
        delivery = deliveries.test_delivery(row, principal.name)
        session.add(delivery)
    return delivery_schema(delivery)


def replay(service: Service, principal: Principal, webhook: str, request: WebhookReplay) -> WebhookReplayed:
    """Sends one delivery again, or all that failed since a time, at most 10,000. Raises Missing, InvalidInput."""
    if (request.delivery is None) == (request.since is None):
        raise InvalidInput("Name one delivery, or a time since when those that failed are sent again")
    with _changing(service, principal, webhook, "webhook.replay") as row:
        pass
    with service.database.session() as session:
        query = select(WebhookDeliveryRow).where(WebhookDeliveryRow.webhook_id == row.id)
        if request.since is not None:
            since = request.since if request.since.tzinfo else request.since.replace(tzinfo=UTC)
            query = query.where(
                WebhookDeliveryRow.state == DeliveryState.FAILED.value, WebhookDeliveryRow.created_at >= since
            )
        else:
            query = query.where(WebhookDeliveryRow.id == request.delivery)
        found = session.scalars(query.order_by(WebhookDeliveryRow.number).limit(_AT_ONCE)).all()
        if request.delivery is not None and not found:
            raise Missing(
                f"The webhook {row.name} has no delivery {request.delivery!r}",
                action=f"See `registry-tui webhooks deliveries {row.name}`",
            )
        for each in found:
            each.state, each.reason, each.finished_at = DeliveryState.PENDING.value, "", None
            each.next_at, each.attempt_count = now(), 0
    return WebhookReplayed(count=len(found))


def list_deliveries(
    service: Service,
    principal: Principal,
    webhook: str,
    *,
    state: DeliveryState | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[WebhookDelivery]:
    """The deliveries of a webhook, sent and queued, the newest first. Raises Missing, NotPermitted, InvalidInput."""
    with service.database.reading() as session:
        known = _find(session, principal, webhook)
    rights.require(service, principal, known)
    with service.database.reading() as session:
        row = _find(session, principal, known.id)
        query = select(WebhookDeliveryRow).where(WebhookDeliveryRow.webhook_id == row.id)
        if state is not None:
            query = query.where(WebhookDeliveryRow.state == state.value)
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(WebhookDeliveryRow.number, descending=True)],
            scope=f"webhook-deliveries:{row.id}:{state}",
            page_size=page_size,
            page_token=page_token,
        )
    access = _Told(service, principal)
    return found.to_page(lambda row: delivery_schema(row, access.withheld(row)))


def secrets_of(service: Service, row: WebhookRow, at: datetime) -> list[str]:
    """The secrets that sign messages now, the newest first."""
    found = [row.secret]
    if row.old_secret is not None and row.old_secret_until is not None and row.old_secret_until > at:
        found.append(row.old_secret)
    return [_fernet(service).decrypt(each.encode()).decode() for each in found]


def to_schema(row: WebhookRow) -> Webhook:
    """A row as people see it; its environment is loaded."""
    return Webhook(
        id=row.id,
        name=row.name,
        environment_id=row.environment_id,
        environment_name=row.environment.name,
        url=row.url,
        events=row.events,
        registry_id=row.registry_id,
        model=row.model,
        state=WebhookState(row.state),
        reason=row.reason,
        creator=row.creator,
        created_at=row.created_at,
        failures=row.failures,
        failing_since=row.failing_since,
        old_secret_until=row.old_secret_until,
    )


def delivery_schema(row: WebhookDeliveryRow, withheld: str = "") -> WebhookDelivery:
    """A row as people see it; `withheld` is the reason to hide its content from this person."""
    attempts = [WebhookAttempt.model_validate(each) for each in (row.log or {}).get("attempts", ())]
    payload = row.payload
    if withheld:
        # Receivers may echo the message in their responses.
        attempts = [each.model_copy(update={"answer": ""}) for each in attempts]
        payload = {name: payload[name] for name in ("type", "timestamp") if name in payload}
        payload["withheld"] = withheld
    return WebhookDelivery(
        id=row.id,
        type=row.type,
        state=DeliveryState(row.state),
        created_at=row.created_at,
        next_at=row.next_at,
        finished_at=row.finished_at,
        attempt_count=row.attempt_count,
        attempts=attempts,
        reason=row.reason,
        payload=payload,
    )


class _Told:
    """Which deliveries a person may see, cached: MLflow's server gets one request about each model."""

    def __init__(self, service: Service, principal: Principal) -> None:
        self._service = service
        self._principal = principal
        self._known: dict[str, str] = {}

    def withheld(self, row: WebhookDeliveryRow) -> str:
        """Why the content of a message is not for this person; empty when it is."""
        key = f"{row.type.startswith('workflow.')} {json.dumps(row.concerns, sort_keys=True)}"
        if key not in self._known:
            self._known[key] = self._ask(row)
        return self._known[key]

    def _ask(self, row: WebhookDeliveryRow) -> str:
        try:
            if rights.may_read(self._service, self._principal, row):
                return ""
        except (PartUnavailable, WrongState) as error:
            return f"whether {self._principal.name} may see it is not known now: {error.detail}"
        return f"{self._principal.name} may not see the event of this message"


# -- underneath -------------------------------------------------------------------------------------------


@contextmanager
def _changing(
    service: Service, principal: Principal, webhook: str, action: str, *, stops: bool = False
) -> Iterator[WebhookRow]:
    """`stops`: also for the creator of a webhook for a model that they do not own any more."""
    with service.database.reading() as session:
        known = _find(session, principal, webhook)
    with events.recording(service, principal, action, Resource("webhook", known.id, known.name)):
        if not stops:
            rights.require(service, principal, known)
        with service.database.session() as session:
            yield _find(session, principal, known.id)


def _find(session: Session, principal: Principal, webhook: str) -> WebhookRow:
    """Finds one of the principal's webhooks. Raises Missing, InvalidInput, NotPermitted."""
    environment, _, name = webhook.rpartition("/")
    query = select(WebhookRow).options(joinedload(WebhookRow.environment)).join(EnvironmentRow)
    query = query.where(or_(WebhookRow.id == webhook, WebhookRow.name == name))
    if environment:
        query = query.where(or_(EnvironmentRow.name == environment, EnvironmentRow.id == environment))
    seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
    if seen is not None:
        query = query.where(WebhookRow.environment_id.in_(seen))
    found = session.scalars(query.limit(20)).all()
    if not found:
        raise Missing(f"There is no webhook {webhook!r}", action="See `registry-tui webhooks list`")
    found = [row for row in found if rights.has(session, principal, row)] or found
    if len(found) > 1:
        listed = ", ".join(sorted(f"{row.environment.name}/{row.name}" for row in found))
        raise InvalidInput(f"Several are named {webhook!r}: {listed}", action="Use one of these, or an ID")
    if not rights.has(session, principal, found[0]):
        permissions.require_in(session, principal, Action.WEBHOOKS_CHANGE, found[0].environment)
    return found[0]


def _check_url(service: Service, url: str) -> None:
    addresses.resolve(addresses.target_of(url, service.settings), service.settings)


def _check_events(patterns: list[str]) -> None:
    known = {name for name, _ in (*deliveries.TYPES.values(), *deliveries.WORKFLOWS.values())}
    for each in patterns:
        if not any(deliveries.matches([each], type_) for type_ in known):
            raise InvalidInput(
                f"There are no events {each!r}",
                action=f"Choose from: {', '.join(sorted(known))}",
                errors=[FieldProblem(field="events", message="not a type of event")],
            )


def _new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _fernet(service: Service) -> Fernet:
    seed = service.secrets.idempotency_seed.encode()
    return Fernet(base64.urlsafe_b64encode(hmac.new(seed, b"webhooks", hashlib.sha256).digest()))


def _sealed(service: Service, secret: str) -> str:
    return _fernet(service).encrypt(secret.encode()).decode()
