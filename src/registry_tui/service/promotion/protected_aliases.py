"""The protected aliases of a registry, with the people who may move them; and the registry's other promotion rules."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import Action
from registry_tui.schemas import names
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.promotion import PromotionRules, ProtectedAlias
from registry_tui.schemas.stages import Stage
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import GroupMemberRow, GroupRow, PromotionRulesRow, UserRow
from registry_tui.service.errors import InvalidInput
from registry_tui.service.publishing import mlflow as routing
from registry_tui.service.registries.place import enter_registry


def get_rules(service: Service, principal: Principal, registry: str) -> PromotionRules:
    """A registry's rules. Raises Missing, NotPermitted, WrongState."""
    place = enter_registry(service, registry, reader=principal)
    with service.database.reading() as session:
        return rules_of(session, place.id)


def set_rules(service: Service, principal: Principal, registry: str, rules: PromotionRules) -> PromotionRules:
    """Replaces a registry's rules; they apply from now on, in MLflow too.

    Raises Missing, NotPermitted, WrongState, InvalidInput, PartUnavailable.
    """
    place = enter_registry(service, registry, reader=principal)
    resource = Resource("registry", place.id, place.name, place.id)
    with events.recording(service, principal, "registry.promotion-rules", resource) as event:
        enter_registry(service, place.id, reader=principal, action=Action.PROMOTION_RULES)
        event.detail = _told(rules)
        with service.database.session() as session:
            _check(session, rules)
            row = session.get(PromotionRulesRow, place.id)
            if row is None:
                session.add(PromotionRulesRow(registry_id=place.id, rules=rules.model_dump(mode="json")))
            else:
                row.rules = rules.model_dump(mode="json")
        routing.publish(service)
    return rules


def rules_of(session: Session, registry_id: str) -> PromotionRules:
    """The rules of a registry; by default nothing is protected."""
    row = session.get(PromotionRulesRow, registry_id)
    return PromotionRules() if row is None else PromotionRules.model_validate(row.rules)


def where_askers_decide(session: Session) -> list[str]:
    """IDs of the registries where requesters of an approval may also give it."""
    found = session.execute(select(PromotionRulesRow.registry_id, PromotionRulesRow.rules))
    return [id_ for id_, rules in found if not PromotionRules.model_validate(rules).four_eyes]


def protection_of(session: Session, registry_id: str, alias: str) -> ProtectedAlias | None:
    """The protection of an alias; None for one that is not protected."""
    return next((each for each in rules_of(session, registry_id).protected_aliases if each.alias == alias), None)


def may_move(session: Session, principal: Principal, protected: ProtectedAlias) -> bool:
    """Whether the principal is named by the protection, also by a group."""
    if principal.administrator or principal.name in protected.users:
        return True
    member = select(GroupMemberRow.user).where(
        GroupMemberRow.user == principal.name, GroupMemberRow.group.in_(protected.groups)
    )
    return session.scalar(member.limit(1)) is not None


def _check(session: Session, rules: PromotionRules) -> None:
    problems = []
    seen = set[str]()
    for index, each in enumerate(rules.protected_aliases):
        field = f"protected_aliases.{index}"
        if problem := names.alias_problem(each.alias):
            problems.append(FieldProblem(field=f"{field}.alias", message=problem))
        if each.alias in seen:
            problems.append(FieldProblem(field=f"{field}.alias", message="is named twice"))
        seen.add(each.alias)
        known = set(session.scalars(select(UserRow.name).where(UserRow.name.in_(each.users))))
        if unknown := [user for user in each.users if user not in known]:
            problems.append(FieldProblem(field=f"{field}.users", message=f"unknown: {', '.join(unknown)}"))
        groups = set(session.scalars(select(GroupRow.name).where(GroupRow.name.in_(each.groups))))
        if unknown := [group for group in each.groups if group not in groups]:
            problems.append(FieldProblem(field=f"{field}.groups", message=f"unknown: {', '.join(unknown)}"))
    if Stage.NONE in rules.approved_stages:
        problems.append(FieldProblem(field="approved_stages", message="None is not a stage"))
    if problems:
        raise InvalidInput("The rules are not valid", errors=problems)


def _told(rules: PromotionRules) -> str:
    aliases = ", ".join(each.alias for each in rules.protected_aliases) or "none"
    stages = ", ".join(rules.approved_stages) or "none"
    eyes = "somebody else decides" if rules.four_eyes else "the asker may decide"
    return f"protected aliases: {aliases}; stages with approval: {stages}; {eyes}"
