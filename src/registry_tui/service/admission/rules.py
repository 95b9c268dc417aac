"""The rules of environments: set as YAML, kept in all their versions, and checked before a version is used."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry_tui.contracts import bounded_yaml
from registry_tui.contracts.bounded_yaml import InvalidYaml
from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.admission import (
    AdmissionRule,
    EnvironmentRules,
    Finding,
    Purpose,
    RuleException,
    RulesChange,
    RulesCheck,
    RuleSet,
    Verdict,
)
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.models import ModelVersion, RegisteredModel
from registry_tui.service.admission import exceptions, requirements
from registry_tui.service.admission.facts import VersionFacts
from registry_tui.service.core import events, identity, paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.resolve import resolve_environment
from registry_tui.service.database.tables import AdmissionRulesRow, EnvironmentRow
from registry_tui.service.errors import InvalidInput, Missing, NotAdmitted, WrongState
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.publishing import mlflow as publishing
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.wording.mistakes import said

_RULES: TypeAdapter[list[AdmissionRule]] = TypeAdapter(list[AdmissionRule])
#: Sets of rules of one environment that are kept.
MAX_KEPT = 10_000

# -- setting -----------------------------------------------------------------------------------------------


def get_rules(service: Service, principal: Principal, environment: str, number: int | None = None) -> EnvironmentRules:
    """An environment's rules as they are, or as they were set as the `number`th. Raises Missing."""
    with service.database.reading() as session:
        row = _environment(session, principal, environment)
        found = _newest(session, row.id) if number is None else session.get(AdmissionRulesRow, (row.id, number))
        if found is None and number not in (None, 0):
            raise Missing(
                f"Environment {row.name} has no rules of number {number}",
                action=f"See `registry-tui rules history {row.name}`",
            )
        return _schema(row, found)


def list_rules(
    service: Service,
    principal: Principal,
    environment: str,
    *,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[EnvironmentRules]:
    """All rules that an environment ever had, newest first. Raises Missing, InvalidInput for a wrong token."""
    with service.database.reading() as session:
        row = _environment(session, principal, environment)
        found = paging.keyset_page(
            session,
            select(AdmissionRulesRow).where(AdmissionRulesRow.environment_id == row.id),
            [paging.Key(AdmissionRulesRow.number, descending=True)],
            scope=f"rules:{row.id}",
            page_size=page_size,
            page_token=page_token,
        )
        return found.to_page(lambda each: _schema(row, each))


def set_rules(service: Service, principal: Principal, environment: str, request: RulesChange) -> EnvironmentRules:
    """Replaces the rules of an environment; an event lists the changes.

    Raises Missing, NotPermitted, InvalidInput with every wrong field, WrongState when others were set meanwhile.
    """
    with service.database.reading() as session:
        row = _environment(session, principal, environment)
    with events.recording(service, principal, "rules.set", Resource("environment", row.id, row.name)) as event:
        with service.database.reading() as session:
            permissions.require_in(session, principal, Action.RULES_CHANGE, session.get_one(EnvironmentRow, row.id))
        parsed = parse(request.text)
        with service.database.session() as session:
            here = session.get(EnvironmentRow, row.id)
            if here is None:
                raise Missing(f"Environment {row.name} was deleted meanwhile")
            before = _newest(session, row.id)
            number = 0 if before is None else before.number
            if before is not None and (before.text, before.comment) == (request.text, request.comment):
                event.detail = "no rule changed"
                return _schema(here, before)
            if request.instead_of not in (None, number):
                raise WrongState(
                    f"The rules of {row.name} were changed meanwhile: they have number {number}",
                    action=f"See them with `registry-tui rules show {row.name}`, and set yours again",
                )
            if number >= MAX_KEPT:
                raise WrongState(f"The rules of {row.name} were set {MAX_KEPT:,} times, which is the limit")
            new = AdmissionRulesRow(
                environment_id=row.id,
                number=number + 1,
                text=request.text,
                rules=[each.model_dump(mode="json", by_alias=True) for each in parsed],
                comment=request.comment,
                creator=principal.name,
            )
            event.detail = _difference([] if before is None else _RULES.validate_python(before.rules), parsed)
            session.add(new)
            session.flush()
            kept = _schema(here, new)
        # MLflow's server checks aliases if there are rules about them.
        publishing.publish(service)
        return kept


def parse(text: str) -> list[AdmissionRule]:
    """The rules of a YAML document. Raises InvalidInput with every wrong field by its place, `rules.2.at_most`."""
    try:
        values = bounded_yaml.load(text.encode())
    except InvalidYaml as error:
        raise _invalid([FieldProblem(field="text", message=f"the document {error}")]) from error
    if values is None:
        values = {"rules": []}
    if not isinstance(values, dict):
        raise _invalid([FieldProblem(field="text", message="the document has to be a mapping with `rules`")])
    try:
        found = RuleSet.model_validate(values).rules
    except ValidationError as error:
        raise _invalid([_problem(values, each["loc"], said(each)) for each in error.errors()[:50]]) from error
    if problems := [
        FieldProblem(field=f"rules.{number}", message=f"rule {each.name}: {problem}")
        for number, each in enumerate(found)
        if (problem := requirements.problem(each)) is not None
    ]:
        raise _invalid(problems)
    return found


# -- asking ------------------------------------------------------------------------------------------------


def check(
    service: Service,
    principal: Principal,
    registry: str,
    model: str,
    version: int,
    purpose: Purpose | None = None,
    alias: str | None = None,
    to: str | None = None,
) -> RulesCheck:
    """The verdicts of rules on a version: of all that apply to its model, or of those for one purpose.

    `to`: a registry that the version is to be promoted to; the rules of its environment apply then.

    Raises Missing, NotPermitted, InvalidInput for an alias or a registry without its purpose, PartUnavailable.
    """
    if to is not None and purpose is not Purpose.PROMOTE:
        raise InvalidInput(
            "A registry is given for the purpose `promote` only",
            errors=[FieldProblem(field="to", message="leave it out, or ask for the purpose promote")],
        )
    if alias is not None and purpose is not Purpose.ALIAS:
        raise InvalidInput(
            "An alias is given for the purpose `alias` only",
            errors=[FieldProblem(field="alias", message="leave it out, or ask for the purpose alias")],
        )
    place = enter_registry(service, registry, reader=principal)
    found = models.find_model(service, principal, place, model)
    known = versions.find_version(service, place, found, version)
    if to is not None:
        target = enter_registry(service, to, reader=principal)
        if target.environment_id != place.environment_id:
            there = models.fetch_model(service, target, found.name, seen_by=principal.sight)
            return _check_into(service, principal, (place, found, known), target, there)
        return _check(service, principal, place, found, known, purpose, alias, target)
    return _check(service, principal, place, found, known, purpose, alias)


def check_without(service: Service, place: RegistryPlace, version: ModelVersion, rule: str) -> Finding | None:
    """The verdict of a rule on a version without exceptions; None if the rule does not apply to its model.

    For people who set the rules, and so see all models. Raises Missing, PartUnavailable.
    """
    anybody = identity.owner_principal(service)
    model = models.find_model(service, anybody, place, version.model_name)
    with service.database.reading() as session:
        _, _, found = _rules_of(session, place.environment_id)
    chosen = next((each for each in found if each.name == rule and _applies(each, model.name, None, None)), None)
    return None if chosen is None else _finding(chosen, VersionFacts(service, anybody, place, model, version), None)


def require(
    service: Service,
    principal: Principal,
    place: RegistryPlace,
    model: RegisteredModel,
    version: ModelVersion,
    purpose: Purpose,
    alias: str | None = None,
) -> None:
    """Raises NotAdmitted, naming each rule of the environment that refuses a version, and PartUnavailable."""
    _require_all(_check(service, principal, place, model, version, purpose, alias), version, purpose, alias)


def _require_all(found: RulesCheck, version: ModelVersion, purpose: Purpose, alias: str | None) -> None:
    if not found.refused:
        return
    refused = found.refused
    doing = {Purpose.DEPLOY: "be deployed", Purpose.PROMOTE: "be promoted", Purpose.ALIAS: f"get the alias {alias}"}
    reasons = "; ".join(f"rule {each.rule}: {each.reason}" for each in refused)
    raise NotAdmitted(
        f"{version.model_name} v{version.version} may not {doing[purpose]} in environment {found.environment_name}: "
        f"{counted(len(refused), 'rule')} refused it. {reasons}",
        action="; ".join(dict.fromkeys(each.next_step for each in refused)),
        errors=[FieldProblem(field=each.rule, message=each.reason) for each in refused],
    )


def require_promotion(
    service: Service,
    principal: Principal,
    place: RegistryPlace,
    model: RegisteredModel,
    version: ModelVersion,
    target: RegistryPlace,
    there: RegisteredModel | None,
) -> None:
    """As `require`, before a version is promoted: the rules of its environment, and those of the target's.

    `there`: the model that gets the version. Exceptions made here do not apply to rules of another environment.
    """
    near = target if target.environment_id == place.environment_id else None
    here = _check(service, principal, place, model, version, Purpose.PROMOTE, None, near)
    _require_all(here, version, Purpose.PROMOTE, None)
    if target.environment_id != place.environment_id:
        found = _check_into(service, principal, (place, model, version), target, there)
        _require_all(found, version, Purpose.PROMOTE, None)


def _check_into(
    service: Service,
    principal: Principal,
    source: tuple[RegistryPlace, RegisteredModel, ModelVersion],
    target: RegistryPlace,
    there: RegisteredModel | None,
) -> RulesCheck:
    place, model, version = source
    with service.database.reading() as session:
        name, number, rules = _rules_of(session, target.environment_id)
    facts = VersionFacts(service, principal, place, model, version, into=(target, there))
    named = model.name if there is None else there.name
    return RulesCheck(
        environment_name=name,
        number=number,
        model_name=version.model_name,
        version=version.version,
        findings=[_finding(each, facts, None) for each in rules if _applies(each, named, Purpose.PROMOTE, None)],
    )


def require_by_number(
    service: Service, principal: Principal, place: RegistryPlace, model: RegisteredModel, number: int, alias: str
) -> None:
    """As `require`, for an alias that a version gets. Raises Missing too."""
    if _anything_for(service, place.environment_id, Purpose.ALIAS):
        version = versions.find_version(service, place, model, number)
        require(service, principal, place, model, version, Purpose.ALIAS, alias)


def _check(
    service: Service,
    principal: Principal,
    place: RegistryPlace,
    model: RegisteredModel,
    version: ModelVersion,
    purpose: Purpose | None,
    alias: str | None,
    target: RegistryPlace | None = None,
) -> RulesCheck:
    with service.database.reading() as session:
        excepted = exceptions.of_version(session, place.id, version.id)
        name, number, rules = _rules_of(session, place.environment_id)
    facts = VersionFacts(service, principal, place, model, version, target=target)
    return RulesCheck(
        environment_name=name,
        number=number,
        model_name=version.model_name,
        version=version.version,
        findings=[
            _finding(each, facts, excepted.get(each.name))
            for each in rules
            if _applies(each, model.name, purpose, alias)
        ],
    )


def _rules_of(session: Session, environment_id: str) -> tuple[str, int, list[AdmissionRule]]:
    """The name of an environment, and the number of its rules with the rules."""
    environment, row = session.get_one(EnvironmentRow, environment_id), _newest(session, environment_id)
    return environment.name, 0 if row is None else row.number, [] if row is None else _RULES.validate_python(row.rules)


def _finding(rule: AdmissionRule, facts: VersionFacts, exception: RuleException | None) -> Finding:
    answer = requirements.answer(rule, facts)
    verdict, reason = Verdict.MET if answer.met else Verdict.REFUSED, answer.reason
    if not answer.met and exception is not None:
        verdict = Verdict.EXCEPTED
        reason = f"{answer.reason}; excepted by {exception.creator}: {exception.reason}"
    return Finding(
        rule=rule.name,
        purposes=rule.purposes,
        aliases=rule.aliases,
        verdict=verdict,
        reason=reason,
        next_step=". ".join(filter(None, [rule.advice.rstrip("."), answer.next_step])) if not answer.met else "",
    )


def _applies(rule: AdmissionRule, model: str, purpose: Purpose | None, alias: str | None) -> bool:
    if rule.models and not any(fnmatchcase(model, each) for each in rule.models):
        return False
    if purpose is None:
        return True
    if purpose not in rule.purposes:
        return False
    if purpose is not Purpose.ALIAS or alias is None or not rule.aliases:
        return True
    return any(fnmatchcase(alias, each) for each in rule.aliases)


def _anything_for(service: Service, environment_id: str, purpose: Purpose) -> bool:
    with service.database.reading() as session:
        row = _newest(session, environment_id)
        return row is not None and any(purpose in each["for"] for each in row.rules)


# -- rows --------------------------------------------------------------------------------------------------


def _environment(session: Session, principal: Principal, environment: str) -> EnvironmentRow:
    seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
    return resolve_environment(session, environment, seen)


def _newest(session: Session, environment_id: str) -> AdmissionRulesRow | None:
    last = select(func.max(AdmissionRulesRow.number)).where(AdmissionRulesRow.environment_id == environment_id)
    return session.scalars(
        select(AdmissionRulesRow).where(
            AdmissionRulesRow.environment_id == environment_id, AdmissionRulesRow.number == last.scalar_subquery()
        )
    ).one_or_none()


def _schema(environment: EnvironmentRow, row: AdmissionRulesRow | None) -> EnvironmentRules:
    if row is None:
        return EnvironmentRules(
            environment_id=environment.id, environment_name=environment.name, number=0, rules=[], text=""
        )
    return EnvironmentRules(
        environment_id=environment.id,
        environment_name=environment.name,
        number=row.number,
        rules=_RULES.validate_python(row.rules),
        text=row.text,
        comment=row.comment,
        creator=row.creator,
        created_at=row.created_at,
    )


def _difference(before: Sequence[AdmissionRule], after: Sequence[AdmissionRule]) -> str:
    old, new = {each.name: each for each in before}, {each.name: each for each in after}
    changes = {
        "new": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "gone": [name for name in old if name not in new],
    }
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in changes.items() if names) or "no rule changed"


def _invalid(problems: list[FieldProblem]) -> InvalidInput:
    summary = "; ".join(f"{each.field}: {each.message}" for each in problems[:3])
    return InvalidInput(
        f"These are not rules: {summary}", action="See docs/admission-rules.md for every kind of rule", errors=problems
    )


def _problem(values: dict[str, object], place: tuple[int | str, ...], message: str) -> FieldProblem:
    # Pydantic puts the kind of a rule into the place of its fields, which is not a key of the document.
    keys = [str(each) for number, each in enumerate(place) if not (number == 2 and place[0] == "rules")]
    shown = message
    rules = values.get("rules")
    if len(place) > 1 and isinstance(rules, list) and isinstance(place[1], int) and place[1] < len(rules):
        rule = rules[place[1]]
        if isinstance(rule, dict) and isinstance(rule.get("name"), str):
            field = f"{keys[2]}: " if len(keys) > 2 else ""
            shown = f"rule {rule['name'][:64]}: {field}{shown}"
    return FieldProblem(field=".".join(keys) or "text", message=shown)
