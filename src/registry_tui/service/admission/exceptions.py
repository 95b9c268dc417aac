"""Exceptions: an administrator lets one version through one rule, with a reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.admission import ExceptionChange, RuleException
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.models import ModelVersion
from registry_tui.service.core import events, idempotency, paging
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import AdmissionExceptionRow, AdmissionRulesRow, EnvironmentRow, now
from registry_tui.service.errors import InvalidInput, Missing
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.registries.place import RegistryPlace, enter_registry


def set_exception(
    service: Service,
    principal: Principal,
    registry: str,
    model: str,
    version: int,
    rule: str,
    request: ExceptionChange,
) -> RuleException:
    """Lets a version through one rule; the event has the reason. A second time, the reason and the end change.

    Raises Missing, NotPermitted, InvalidInput, PartUnavailable.
    """
    place, known = _find(service, principal, registry, model, version)
    with (
        events.recording(service, principal, "version.except", versions.resource_of(place, known)) as event,
        service.database.session() as session,
    ):
        event.detail = f"{rule}: {request.reason}"
        _check_end(request.expires_at)
        _require_rule(session, session.get_one(EnvironmentRow, place.environment_id), rule)
        row = session.get(AdmissionExceptionRow, (place.id, known.id, rule))
        if row is None:
            row = AdmissionExceptionRow(registry_id=place.id, version_id=known.id, rule=rule)
            session.add(row)
        row.model_id, row.model_name, row.version = known.model_id, known.model_name, known.version
        row.reason, row.expires_at = request.reason, request.expires_at
        row.creator, row.created_at = principal.name, now()
        session.flush()
        return _schema(row)


def delete_exception(
    service: Service, principal: Principal, registry: str, model: str, version: int, rule: str
) -> None:
    """Takes an exception back. Raises Missing, NotPermitted, PartUnavailable."""
    place, known = _find(service, principal, registry, model, version)
    with (
        events.recording(service, principal, "version.end-exception", versions.resource_of(place, known)) as event,
        service.database.session() as session,
    ):
        row = session.get(AdmissionExceptionRow, (place.id, known.id, rule))
        if row is None:
            raise _no_exception(place, known, rule)
        event.detail = f"{row.rule}: {row.reason}"
        idempotency.takes(session, f"{known.id} {rule}")
        session.delete(row)


def find_excepted(
    service: Service, principal: Principal, registry: str, model: str, version: int, rule: str
) -> tuple[RegistryPlace, ModelVersion]:
    """A version that has an exception from a rule, with its registry. Raises Missing, NotPermitted, PartUnavailable."""
    place, known = _find(service, principal, registry, model, version)
    with service.database.reading() as session:
        if session.get(AdmissionExceptionRow, (place.id, known.id, rule)) is None:
            raise _no_exception(place, known, rule)
    return place, known


def list_exceptions(
    service: Service,
    principal: Principal,
    registry: str,
    *,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[RuleException]:
    """The exceptions of a registry's versions, by model. Raises Missing, NotPermitted, InvalidInput for a token."""
    place = enter_registry(service, registry, reader=principal, action=Action.RULES_CHANGE)
    with service.database.reading() as session:
        found = paging.keyset_page(
            session,
            select(AdmissionExceptionRow).where(AdmissionExceptionRow.registry_id == place.id),
            [
                paging.Key(AdmissionExceptionRow.model_name),
                paging.Key(AdmissionExceptionRow.version),
                paging.Key(AdmissionExceptionRow.version_id),
                paging.Key(AdmissionExceptionRow.rule),
            ],
            scope=f"exceptions:{place.id}",
            page_size=page_size,
            page_token=page_token,
        )
        return found.to_page(_schema)


def of_version(session: Session, registry_id: str, version_id: str) -> dict[str, RuleException]:
    """A version's exceptions that have not ended, by the name of their rule."""
    query = select(AdmissionExceptionRow).where(
        AdmissionExceptionRow.registry_id == registry_id,
        AdmissionExceptionRow.version_id == version_id,
        or_(AdmissionExceptionRow.expires_at.is_(None), AdmissionExceptionRow.expires_at > now()),
    )
    return {row.rule: _schema(row) for row in session.scalars(query)}


def _find(
    service: Service, principal: Principal, registry: str, model: str, version: int
) -> tuple[RegistryPlace, ModelVersion]:
    """A version of any model: people who set the rules decide on all of them."""
    place = enter_registry(service, registry, reader=principal, action=Action.RULES_CHANGE)
    found = models.find_model(service, replace(principal, administrator=True), place, model)
    return place, versions.find_version(service, place, found, version)


def _no_exception(place: RegistryPlace, version: ModelVersion, rule: str) -> Missing:
    return Missing(
        f"{version.model_name} v{version.version} has no exception from {rule!r}",
        action=f"See `registry-tui rules exceptions list {place.name}`",
    )


def _check_end(end: datetime | None) -> None:
    if end is not None and (end.tzinfo is None or end <= now()):
        problem = FieldProblem(field="expires_at", message="give a time in the future, with its zone")
        raise InvalidInput("The exception's end is not valid", errors=[problem])


def _require_rule(session: Session, environment: EnvironmentRow, rule: str) -> None:
    newest = session.scalars(
        select(AdmissionRulesRow)
        .where(AdmissionRulesRow.environment_id == environment.id)
        .order_by(AdmissionRulesRow.number.desc())
        .limit(1)
    ).one_or_none()
    names = [] if newest is None else [each["name"] for each in newest.rules]
    if rule not in names:
        raise InvalidInput(
            f"Environment {environment.name} has no rule {rule!r}; it has: {', '.join(names[:20]) or 'none'}",
            errors=[FieldProblem(field="rule", message="name a rule of the environment")],
        )


def _schema(row: AdmissionExceptionRow) -> RuleException:
    return RuleException(
        registry_id=row.registry_id,
        model_name=row.model_name,
        version=row.version,
        version_id=row.version_id,
        rule=row.rule,
        reason=row.reason,
        creator=row.creator,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
