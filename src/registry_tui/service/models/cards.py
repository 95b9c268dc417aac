"""Model cards of versions: generated until a person writes one, each kept with its author and time."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry_tui.schemas.cards import CardChange, ModelCard
from registry_tui.schemas.models import ModelVersion, RegisteredModel
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import ModelCardRow, VersionBomRow
from registry_tui.service.errors import WrongState
from registry_tui.service.models import card_text, scans, versions
from registry_tui.service.models import registered as models
from registry_tui.service.registries.place import enter_registry


def get_card(service: Service, principal: Principal, registry: str, model: str, version: int) -> ModelCard:
    """A version's card. Raises Missing, NotPermitted, PartUnavailable."""
    place = enter_registry(service, registry, reader=principal)
    found = models.find_model(service, principal, place, model)
    known = versions.find_version(service, place, found, version)
    with service.database.reading() as session:
        return written(session, known.id) or _made(session, found, known)


def set_card(
    service: Service, principal: Principal, registry: str, model: str, version: int, request: CardChange
) -> ModelCard:
    """Keeps a card that a person wrote; for the person who registered the version and the model's owner.

    Raises Missing, NotPermitted, WrongState when another one was written meanwhile, PartUnavailable.
    """
    place = enter_registry(service, registry, reader=principal)
    with events.recording(
        service, principal, "version.card", Resource("version", f"{model}/{version}", f"{model} v{version}", place.id)
    ) as event:
        found = models.find_model(service, principal, place, model)
        known = versions.find_version(service, place, found, version)
        event.resource = versions.resource_of(place, known)
        models.require_owner(principal, found, "write its cards", also=known.creator)
        with service.database.session() as session:
            before = written(session, known.id)
            number = 0 if before is None else before.number
            if request.instead_of not in (None, number):
                raise WrongState(
                    f"The card of {found.name} v{version} is number {number} now, not {request.instead_of}",
                    action="Read it again, and put your change into that one",
                )
            event.detail = f"card {number + 1}"
            row = ModelCardRow(
                version_id=known.id,
                number=number + 1,
                registry_id=place.id,
                model_id=known.model_id,
                text=request.text,
                author=principal.name,
            )
            session.add(row)
            session.flush()
            return _to_schema(row)


def written(session: Session, version_id: str) -> ModelCard | None:
    """The newest card that a person wrote; None where nobody did."""
    newest = select(ModelCardRow).where(ModelCardRow.version_id == version_id).order_by(ModelCardRow.number.desc())
    row = session.scalars(newest.limit(1)).first()
    return None if row is None else _to_schema(row)


def carry(session: Session, source_id: str, registry_id: str, model_id: str, version_id: str) -> bool:
    """Gives a copy the newest card that a person wrote for its original, unless it has one; returns whether it did."""
    card = written(session, source_id)
    if card is None or written(session, version_id) is not None:
        return False
    row = ModelCardRow(
        version_id=version_id,
        number=1,
        registry_id=registry_id,
        model_id=model_id,
        text=card.text,
        author=card.author or "",
        written_at=card.written_at,
    )
    session.add(row)
    session.flush()
    return True


def forget(session: Session, model_id: str, version_id: str | None) -> None:
    """Deletes the cards of a version, or of a whole model, that was deleted."""
    chosen = ModelCardRow.model_id == model_id if version_id is None else ModelCardRow.version_id == version_id
    session.execute(delete(ModelCardRow).where(chosen))


def _made(session: Session, model: RegisteredModel, version: ModelVersion) -> ModelCard:
    bom = session.get(VersionBomRow, version.id)
    text = card_text.made(model, version, None if bom is None else bom.document, scans.verdict(session, version.id))
    return ModelCard(version_id=version.id, number=0, text=text)


def _to_schema(row: ModelCardRow) -> ModelCard:
    return ModelCard(
        version_id=row.version_id,
        number=row.number,
        text=row.text,
        author=row.author,
        written_at=row.written_at,
    )
