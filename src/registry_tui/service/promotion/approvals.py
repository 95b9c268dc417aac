"""Approvals: requested, then approved, rejected or withdrawn, once; by somebody else if the registry requires it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.promotion import Approval, ApprovalDecision, ApprovalState, Decision
from registry_tui.service.core import events, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.resolve import resolve_registry
from registry_tui.service.database.tables import AdmissionRulesRow, ApprovalRow, RegistryRow, now
from registry_tui.service.errors import Missing, NotPermitted, WrongState
from registry_tui.service.promotion import protected_aliases

_STATES = {
    Decision.APPROVE: ApprovalState.APPROVED,
    Decision.REJECT: ApprovalState.REJECTED,
    Decision.WITHDRAW: ApprovalState.WITHDRAWN,
}

#: The count of pending approvals stops here.
COUNTED_UP_TO = 100


def _place() -> ColumnElement[str]:
    """The ID of the registry where an approval is decided: the target while it exists."""
    there = select(RegistryRow.id).where(RegistryRow.id == ApprovalRow.target_id).scalar_subquery()
    return func.coalesce(there, ApprovalRow.registry_id)


def _decided_in(session: Session, row: ApprovalRow) -> RegistryRow:
    """The same of one approval."""
    target = None if row.target_id is None else session.get(RegistryRow, row.target_id)
    return session.get_one(RegistryRow, row.registry_id) if target is None else target


def approved(
    session: Session, version_id: str, purpose: str, target_id: str | None = None, *, by_another: bool = False
) -> bool:
    """Whether the newest decision on a version and a purpose is yes; a repeated request counts once it is decided.

    `target_id`: only decisions made in that registry count; `by_another`: the requester's own yes does not count.
    """
    newest = _newest_answer(session, version_id, purpose, target_id)
    if newest is None or newest.state != ApprovalState.APPROVED.value:
        return False
    return not by_another or newest.asked_by != newest.decided_by


def rejected(session: Session, version_id: str, purpose: str, target_id: str) -> bool:
    """Whether the newest decision on a version and a purpose, made in a registry, is a rejection."""
    newest = _newest_answer(session, version_id, purpose, target_id)
    return newest is not None and newest.state == ApprovalState.REJECTED.value


def _newest_answer(session: Session, version_id: str, purpose: str, target_id: str | None) -> ApprovalRow | None:
    query = select(ApprovalRow).where(
        ApprovalRow.version_id == version_id,
        ApprovalRow.purpose == purpose,
        ApprovalRow.state.in_((ApprovalState.APPROVED.value, ApprovalState.REJECTED.value)),
    )
    if target_id is not None:
        query = query.where(ApprovalRow.target_id == target_id)
    return session.scalar(query.order_by(ApprovalRow.decided_at.desc()).limit(1))


def asked_by_a_rule(session: Session, environment_id: str, purpose: str) -> bool:
    """Whether a current rule of the environment requires an approval for a purpose of its own."""
    rules = session.scalar(
        select(AdmissionRulesRow.rules)
        .where(AdmissionRulesRow.environment_id == environment_id)
        .order_by(AdmissionRulesRow.number.desc())
        .limit(1)
    )
    return any(each.get("purpose") == purpose for each in rules or ())


def list_approvals(
    service: Service,
    principal: Principal,
    *,
    state: ApprovalState | None = None,
    registry: str | None = None,
    version_id: str | None = None,
    waiting: bool = False,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[Approval]:
    """The approvals that the principal requested or may decide, newest first. Raises Missing, InvalidInput.

    With `waiting` those that are pending and that the principal may decide now, with their number up to
    `COUNTED_UP_TO`.
    """
    query = select(ApprovalRow)
    if state is not None:
        query = query.where(ApprovalRow.state == state.value)
    if version_id is not None:
        query = query.where(ApprovalRow.version_id == version_id)
    with service.database.reading() as session:
        if registry is not None:
            seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
            query = query.where(ApprovalRow.registry_id == resolve_registry(session, registry, seen).id)
        decides = permissions.permitted_environments(session, principal, Action.APPROVAL_DECIDE)
        theirs = select(RegistryRow.id)
        if decides is not None:
            theirs = theirs.where(RegistryRow.environment_id.in_(decides))
        total = None
        if waiting:
            query = query.where(ApprovalRow.state == ApprovalState.PENDING.value, _place().in_(theirs))
            query = query.where(
                or_(
                    ApprovalRow.asked_by_crn != principal.crn,
                    _place().in_(protected_aliases.where_askers_decide(session)),
                )
            )
            few = query.with_only_columns(ApprovalRow.id).limit(COUNTED_UP_TO).subquery()
            total = session.scalar(select(func.count()).select_from(few))
        elif decides is not None:
            query = query.where(or_(ApprovalRow.asked_by_crn == principal.crn, _place().in_(theirs)))
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(ApprovalRow.asked_at, descending=True), paging.Key(ApprovalRow.id)],
            scope=f"approvals:{principal.name}:{state}:{registry}:{version_id}:{waiting}",
            page_size=page_size,
            page_token=page_token,
        )
        mine = decides if decides is None else set(session.scalars(theirs))
        askers = protected_aliases.where_askers_decide(session)
        named = {row.target_id for row in found.rows if row.target_id is not None}
        there = set(session.scalars(select(RegistryRow.id).where(RegistryRow.id.in_(named))))
        places = {row.id: row.target_id if row.target_id in there else row.registry_id for row in found.rows}

    def convert(row: ApprovalRow) -> Approval:
        may = mine is None or places[row.id] in mine
        possible = _possible(principal, row, decides=may, asker_may=places[row.id] in askers)
        return to_schema(row).model_copy(update={"decisions": possible})

    return found.to_page(convert, total)


def get_approval(service: Service, principal: Principal, approval: str) -> Approval:
    """One that the principal asked or may decide. Raises Missing."""
    with service.database.reading() as session:
        row = _find(session, principal, approval)
        place = _decided_in(session, row)
        decides = permissions.may_in(session, principal, Action.APPROVAL_DECIDE, place.environment_id)
        asker_may = not protected_aliases.rules_of(session, place.id).four_eyes
        possible = _possible(principal, row, decides=decides, asker_may=asker_may)
        return to_schema(row).model_copy(update={"decisions": possible})


def ask(
    session: Session,
    principal: Principal,
    registry_id: str,
    model: tuple[str, str],
    version: tuple[str, int],
    purpose: str,
    question: str,
    target_id: str | None = None,
) -> ApprovalRow:
    """The pending approval of a version for a purpose, made if missing.

    The model comes as ID and name, the version as ID and number; `target_id` is the registry where it is decided.
    """
    query = select(ApprovalRow).where(
        ApprovalRow.version_id == version[0],
        ApprovalRow.purpose == purpose,
        ApprovalRow.state == ApprovalState.PENDING.value,
        ApprovalRow.target_id.is_(None) if target_id is None else ApprovalRow.target_id == target_id,
    )
    row = session.scalar(query.limit(1))
    if row is None:
        row = ApprovalRow(
            registry_id=registry_id,
            target_id=target_id,
            model_id=model[0],
            model_name=model[1],
            version_id=version[0],
            version=version[1],
            purpose=purpose,
            asked_by=principal.name,
            asked_by_crn=principal.crn,
            question=question,
        )
        session.add(row)
        session.flush()
    return row


def decide(service: Service, principal: Principal, approval: str, request: ApprovalDecision) -> tuple[Approval, str]:
    """Decides a pending approval once, or repeats the principal's own decision; returns it with the ID of its model.

    Raises Missing, NotPermitted, WrongState if it was decided before.
    """
    action = f"approval.{request.decision.value}"
    with (
        events.recording(service, principal, action, Resource("approval", approval, approval)) as event,
        service.database.session() as session,
    ):
        row = _find(session, principal, approval)
        event.resource = Resource("version", row.version_id, f"{row.model_name} v{row.version}", row.registry_id)
        event.detail = ": ".join(each for each in (row.purpose, request.comment) if each)
        _require_may_decide(session, principal, row, request.decision)
        answered = session.execute(
            update(ApprovalRow)
            .where(ApprovalRow.id == row.id, ApprovalRow.state == ApprovalState.PENDING.value)
            .values(
                state=_STATES[request.decision].value,
                decided_by=principal.name,
                decided_at=now(),
                answer=request.comment,
            )
            .execution_options(synchronize_session=False)
            .returning(ApprovalRow.id)
        ).scalar()
        session.refresh(row)
        # The same decision again: its response may be lost if the service ended between the row and the version's
        # status.
        if answered is None and (row.state, row.decided_by) != (_STATES[request.decision].value, principal.name):
            raise WrongState(
                f"It was {row.state} by {row.decided_by} before", action="Ask again: `registry-tui approvals ask`"
            )
        return to_schema(row), row.model_id


def _possible(principal: Principal, row: ApprovalRow, *, decides: bool, asker_may: bool) -> list[Decision]:
    """The decisions that the principal may make now: as `_require_may_decide`, with `decides` already known."""
    own = row.asked_by_crn == principal.crn
    if row.state != ApprovalState.PENDING.value:
        return []
    found = [Decision.APPROVE, Decision.REJECT] if decides and (asker_may or not own) else []
    return [*found, Decision.WITHDRAW] if own or principal.administrator else found


def _require_may_decide(session: Session, principal: Principal, row: ApprovalRow, decision: Decision) -> None:
    own = row.asked_by_crn == principal.crn
    if decision is Decision.WITHDRAW:
        if own or principal.administrator:
            return
        raise NotPermitted(f"{row.asked_by} asked; only they may withdraw it", action="Reject it instead")
    place = _decided_in(session, row)
    permissions.require_in(session, principal, Action.APPROVAL_DECIDE, place.environment)
    if own and protected_aliases.rules_of(session, place.id).four_eyes:
        raise NotPermitted("You asked for it; somebody else has to decide", action="Ask another MLAdmin to decide")


def _find(session: Session, principal: Principal, approval: str) -> ApprovalRow:
    row = session.get(ApprovalRow, approval)
    if row is not None:
        environment = _decided_in(session, row).environment_id
        if row.asked_by_crn == principal.crn or permissions.may_in(
            session, principal, Action.APPROVAL_DECIDE, environment
        ):
            return row
    raise Missing(
        f"There is no approval {approval!r} that you asked or may decide", action="See `registry-tui approvals list`"
    )


def to_schema(row: ApprovalRow) -> Approval:
    """An approval as people see it."""
    return Approval(
        id=row.id,
        registry_id=row.registry_id,
        model_name=row.model_name,
        version_id=row.version_id,
        version=row.version,
        purpose=row.purpose,
        state=ApprovalState(row.state),
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        question=row.question,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        answer=row.answer,
    )
