"""Searching for versions by their components."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session, defer

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.boms import MAX_QUESTIONS, MAX_USES, Component, ComponentKind, VersionUse
from registry_tui.schemas.models import RegisteredModel
from registry_tui.service.core import packages, paging, permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.resolve import resolve_registry
from registry_tui.service.database.tables import RegistryRow, VersionBomRow, VersionComponentRow
from registry_tui.service.errors import InvalidInput, Missing, WrongState
from registry_tui.service.models import registered as models
from registry_tui.service.registries.place import enter_registry

_HOW = "Ask for a package (`numpy<2`), `python<3.12`, `dataset:NAME` or `base-model:NAME`"
#: Different requirements of one package that are compared; the newest versions are asked for by any of them.
_MOST_WANTED = 20_000


def versions_using(
    service: Service,
    principal: Principal,
    uses: Sequence[str],
    *,
    registry: str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[VersionUse]:
    """The versions that use everything in `uses`, the newest first, of the registries and models that may be read.

    `numpy<2` finds versions whose requirement allows such a numpy, and those that do not limit it. `dataset:` takes a
    name or a digest. A page may have fewer entries than `page_size`. Raises InvalidInput, Missing, NotPermitted,
    PartUnavailable.
    """
    if not 1 <= len(uses) <= MAX_QUESTIONS:
        raise _invalid(f"from 1 to {MAX_QUESTIONS} questions")
    with service.database.reading() as session:
        readable = _readable(session, principal, registry)
        asked = [_condition(session, each) for each in uses]
        query = (
            select(VersionBomRow)
            .options(defer(VersionBomRow.document))
            .where(VersionBomRow.registry_id.in_(list(readable)), *(_some(each) for each in asked))
        )
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(VersionBomRow.registered_at, descending=True), paging.Key(VersionBomRow.version_id)],
            scope=f"using:{principal.name}:{registry}:{'|'.join(uses)}",
            page_size=page_size,
            page_token=page_token,
        )
        components = _components(session, [row.version_id for row in found.rows], asked)
    seen = _seen(service, principal, found.rows)
    shown = [(row, seen[row.model_id]) for row in found.rows if row.model_id in seen]
    return Page(
        items=[
            VersionUse(
                registry_id=row.registry_id,
                registry_name=readable[row.registry_id],
                model_id=row.model_id,
                model_name=model.name,
                version=row.version,
                version_id=row.version_id,
                registered_at=row.registered_at,
                components=components[row.version_id],
            )
            for row, model in shown
        ],
        next_page_token=found.next_page_token,
    )


def _readable(session: Session, principal: Principal, registry: str | None) -> dict[str, str]:
    """The names of the registries whose models the person may read, by ID."""
    query = select(RegistryRow.id, RegistryRow.name)
    allowed = permissions.permitted_environments(session, principal, Action.MODEL_READ)
    if allowed is not None:
        query = query.where(RegistryRow.environment_id.in_(allowed))
    if registry is not None:
        seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
        query = query.where(RegistryRow.id == resolve_registry(session, registry, seen).id)
    return dict(row.tuple() for row in session.execute(query))


def _seen(service: Service, principal: Principal, rows: Sequence[VersionBomRow]) -> dict[str, RegisteredModel]:
    """The models of a page as the person sees them, by ID; without deleted and hidden ones.

    Raises PartUnavailable.
    """
    wanted = dict[str, list[str]]()
    for row in rows:
        wanted.setdefault(row.registry_id, []).append(row.model_id)
    found = dict[str, RegisteredModel]()
    for registry_id, ids in wanted.items():
        with suppress(Missing, WrongState):  # a registry that is being made or deleted
            place = enter_registry(service, registry_id, reader=principal)
            found |= models.fetch_models(service, place, list(dict.fromkeys(ids)), seen_by=principal.sight)
    return found


def _some(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return (
        select(VersionComponentRow.id).where(VersionComponentRow.version_id == VersionBomRow.version_id, condition)
    ).exists()


def _components(
    session: Session, version_ids: Sequence[str], asked: Sequence[ColumnElement[bool]]
) -> dict[str, list[Component]]:
    found: dict[str, list[Component]] = {each: [] for each in version_ids}
    query = select(VersionComponentRow).where(VersionComponentRow.version_id.in_(version_ids), or_(*asked))
    for row in session.scalars(query.order_by(VersionComponentRow.id)):
        found[row.version_id].append(Component(kind=ComponentKind(row.kind), name=row.name, detail=row.text))
    return found


def _condition(session: Session, uses: str) -> ColumnElement[bool]:
    """The condition for the requested components. Raises InvalidInput."""
    if len(uses) > MAX_USES:
        raise _invalid(f"at most {MAX_USES} characters")
    kind, separator, name = uses.partition(":")
    row = VersionComponentRow
    if separator and kind.strip() == ComponentKind.DATASET.value:
        return and_(row.kind == ComponentKind.DATASET.value, or_(row.name == name.strip(), row.wanted == name.strip()))
    if separator and kind.strip() == ComponentKind.BASE_MODEL.value:
        return and_(row.kind == ComponentKind.BASE_MODEL.value, row.name == name.strip())
    try:
        asked = Requirement(uses)
    except InvalidRequirement as error:
        raise _invalid(f"{uses!r} is not a requirement") from error
    if asked.url or asked.extras or asked.marker:
        raise _invalid("a package is named with its versions only, such as `numpy<2`")
    package = canonicalize_name(asked.name)
    of = ComponentKind.PYTHON if package == ComponentKind.PYTHON.value else ComponentKind.PACKAGE
    named = and_(row.kind == of.value, row.name == package)
    if not asked.specifier:
        return named
    wanted = select(row.wanted).where(named, row.known).distinct().limit(_MOST_WANTED)
    fit = [each for each in session.scalars(wanted) if packages.overlap(SpecifierSet(each), asked.specifier)]
    return and_(named, or_(row.wanted.in_(fit), ~row.known))


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(
        f"Nothing can be searched for so: {message}", action=_HOW, errors=[FieldProblem(field="uses", message=message)]
    )
