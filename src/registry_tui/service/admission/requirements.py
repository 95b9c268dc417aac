"""The requirements of each kind of rule. A new kind is a class in `schemas/admission.py` and a function here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from registry_tui.schemas.admission import (
    AdmissionRule,
    ApprovalRule,
    BetterMetricRule,
    InputExampleRule,
    MetricRule,
    ModelCardRule,
    ModelSignatureRule,
    NoPackagesRule,
    Purpose,
    ScanRule,
    TrustedSignatureRule,
)
from registry_tui.schemas.scans import Verdict
from registry_tui.service.admission.facts import VersionFacts
from registry_tui.service.core import packages
from registry_tui.service.models import card_text

_LOG_AGAIN = "Log the model again with it (`mlflow.<flavor>.log_model(…)`), and register that as a new version"


@dataclass(frozen=True)
class Answer:
    """The verdict of one rule: the fact in words, and the next step if it refuses."""

    met: bool
    reason: str
    next_step: str = ""


def _model_signature(rule: ModelSignatureRule, facts: VersionFacts) -> Answer:
    if isinstance(facts.description.get("signature"), dict):
        return Answer(True, "the model has a signature")
    return Answer(False, "the model has no signature", f"{_LOG_AGAIN}: give `signature` or `input_example`")


def _input_example(rule: InputExampleRule, facts: VersionFacts) -> Answer:
    if isinstance(facts.description.get("saved_input_example_info"), dict):
        return Answer(True, "the model has an input example")
    return Answer(False, "the model has no input example", f"{_LOG_AGAIN}: give `input_example`")


def _metric(rule: MetricRule, facts: VersionFacts) -> Answer:
    value = _value_of(facts, rule.metric)
    bounds = " and ".join(
        f"{word} {bound:g}"
        for word, bound in (("at least", rule.at_least), ("at most", rule.at_most))
        if bound is not None
    )
    if isinstance(value, Answer):
        return value
    within = (rule.at_least is None or value >= rule.at_least) and (rule.at_most is None or value <= rule.at_most)
    if within:  # NaN is within nothing
        return Answer(True, f"metric {rule.metric} is {value:g}, {bounds}")
    return Answer(
        False, f"metric {rule.metric} is {value:g}, and has to be {bounds}", "Register a version of a better run"
    )


def _better_metric(rule: BetterMetricRule, facts: VersionFacts) -> Answer:
    other = facts.named_by(rule.than)
    if other is None:
        return Answer(True, f"no version of the model has the alias {rule.than} yet")
    if other.version.id == facts.version.id:
        return Answer(True, f"it has the alias {rule.than} itself")
    value, theirs = _value_of(facts, rule.metric), _value_of(other, rule.metric)
    if isinstance(value, Answer):
        return value
    against = f"v{other.version.version} ({rule.than})"
    if isinstance(theirs, Answer):
        return Answer(
            False,
            f"{against} cannot be compared with: {theirs.reason}",
            f"Ask an EnvironmentAdmin for an exception, or move the alias {rule.than} first",
        )
    gain = theirs - value if rule.lower_is_better else value - theirs
    comparison = f"metric {rule.metric} is {value:g}, that of {against} is {theirs:g}"
    enough = gain >= rule.by if rule.by else gain > 0
    if enough:
        return Answer(True, comparison)
    wanted = "lower" if rule.lower_is_better else "higher"
    wanted = f"{wanted} by {rule.by:g} at least" if rule.by else wanted
    return Answer(False, f"{comparison}, and it has to be {wanted}", "Register a version of a better run")


def _no_packages(rule: NoPackagesRule, facts: VersionFacts) -> Answer:
    wanted = facts.requirements
    if wanted is None:
        return Answer(
            False,
            "the model does not say which packages it requires",
            "Log it again with MLflow's log_model, which writes requirements.txt, and register that as a new version",
        )
    for denied in rule.packages:
        if (why := packages.allowed(wanted, denied)) is not None:
            return Answer(
                False,
                f"its requirement {why}",
                "Pin another version of the package (`pip_requirements` of log_model), and register that",
            )
    return Answer(True, "its requirements allow no package of the list")


def _scan(rule: ScanRule, facts: VersionFacts) -> Answer:
    found = facts.scan
    reason = f"its scan says {found.verdict}" + (f": {found.reason}" if found.reason else "")
    if found.verdict in rule.verdicts:
        return Answer(True, reason)
    named = f"registry-tui models scan {facts.version.model_name} {facts.version.version}"
    if found.verdict is Verdict.NOT_SCANNED:
        return Answer(False, reason, f"Scan it: `{named} --again`")
    return Answer(False, reason, f"See the findings: `{named}`; log the model in a safe format, and register that")


def _trusted_signature(rule: TrustedSignatureRule, facts: VersionFacts) -> Answer:
    found = facts.signatures
    named = f"{facts.version.model_name} {facts.version.version}"
    valid = [each for each in found if not each.problem]
    chosen = [each for each in valid if not rule.keys or each.key_name in rule.keys]
    if chosen:
        return Answer(True, f"it is signed by {chosen[0].key_name}")
    wanted = f"by {' or '.join(rule.keys)}" if rule.keys else "by a trusted key"
    if valid:
        reason = f"it is signed by {', '.join(each.key_name for each in valid)}, and has to be {wanted}"
    elif found:
        reason = "; ".join(f"the signature of {each.key_name} does not count: {each.problem}" for each in found)
    else:
        reason = "it is not signed"
    if rule.keys:
        step = f"Have it signed {wanted}, and add that: `registry-tui models sign {named} --signature FILE`"
    elif found:
        step = f"See `registry-tui models verify {named}`; sign it when it is sound: `registry-tui models sign {named}`"
    else:
        step = f"Sign it: `registry-tui models sign {named}`"
    return Answer(False, reason, step)


def _approval(rule: ApprovalRule, facts: VersionFacts) -> Answer:
    purpose, another, own = rule.asked_for, rule.four_eyes, False
    if purpose == Purpose.PROMOTE.value and facts.target is not None:
        there = f"{purpose}:{facts.target.name}"
        if facts.approved_there(by_another=another):
            return Answer(True, f"it is approved for {there}")
        if facts.rejected_there():
            # A decision in the target is final for promotions to it.
            asked = f"approvals ask {facts.version.model_name} {facts.version.version} --purpose {there}"
            return Answer(
                False, f"it was rejected for {there}", f"Correct the reasons given, then `registry-tui {asked}`"
            )
        own = another and facts.approved_there()
    if facts.approved(purpose, by_another=another):
        return Answer(True, f"it is approved for {purpose}")
    own = own or (another and facts.approved(purpose))
    if purpose == Purpose.PROMOTE.value and facts.target is not None:
        purpose = f"{purpose}:{facts.target.name}"
    if own:
        return Answer(False, f"who asked for {purpose} approved it too", "Ask again, and have somebody else decide")
    asked = f"approvals ask {facts.version.model_name} {facts.version.version} --purpose {purpose}"
    return Answer(False, f"it is not approved for {purpose}", f"Ask for it: `registry-tui {asked}`")


def _model_card(rule: ModelCardRule, facts: VersionFacts) -> Answer:
    write = f"Write it: `registry-tui models card {facts.version.model_name} {facts.version.version} --edit`"
    card = facts.card
    if card is None:
        return Answer(False, "nobody has written its model card", write)
    found = {each.casefold() for each in card_text.filled(card.text)}
    missing = [each for each in rule.headings if each.casefold() not in found]
    if missing:
        return Answer(False, f"its model card says nothing below: {', '.join(missing)}", write)
    return Answer(True, f"{card.author} wrote its model card")


def _value_of(facts: VersionFacts, metric: str) -> float | Answer:
    metrics = facts.metrics
    if metrics is None:
        return Answer(
            False,
            "the run that the version comes from is not known any more, so that its metrics are not known",
            "Register a version of a run that is there",
        )
    if metric not in metrics:
        return Answer(False, f"its run has no metric {metric}", f"Log it: `mlflow.log_metric({metric!r}, …)`")
    value = metrics[metric]
    if math.isnan(value):
        return Answer(False, f"metric {metric} is not a number", "Register a version of a run in which it is one")
    return value


#: By the rule's class.
_ANSWERS: Mapping[type[Any], Callable[[Any, VersionFacts], Answer]] = {
    ModelSignatureRule: _model_signature,
    InputExampleRule: _input_example,
    MetricRule: _metric,
    BetterMetricRule: _better_metric,
    NoPackagesRule: _no_packages,
    ScanRule: _scan,
    TrustedSignatureRule: _trusted_signature,
    ApprovalRule: _approval,
    ModelCardRule: _model_card,
}


def answer(rule: AdmissionRule, facts: VersionFacts) -> Answer:
    """The verdict of a rule on a version. Raises PartUnavailable, WrongState when a fact is not available."""
    return _ANSWERS[type(rule)](rule, facts)


def problem(rule: AdmissionRule) -> str | None:
    """Why a rule with all fields is invalid; None for a valid one."""
    if isinstance(rule, NoPackagesRule):
        for each in rule.packages:
            try:
                Requirement(each)
            except InvalidRequirement:
                return f"{each!r} is not a requirement such as `numpy<2`"
    return None
