"""Words for admission rules and their verdict on a version."""

from __future__ import annotations

from datetime import datetime

from registry_tui.contracts.counts import counted
from registry_tui.schemas.admission import EnvironmentRules, Finding, RuleException, RulesCheck, Verdict
from registry_tui.wording.words import Cell, absolute, both, present

#: The form's initial text where an environment has no rules yet.
FIRST_RULES = """\
rules:
  - name: has-signature
    for: [deploy]
    requires: model_signature
"""
_SIGNS = {Verdict.MET: "✓", Verdict.REFUSED: "✗", Verdict.EXCEPTED: "○"}


def check_summary(found: RulesCheck) -> str:
    """The verdict of the rules on a version, in one sentence."""
    if not found.findings:
        return f"No admission rule of {found.environment_name} is about this model."
    excepted = sum(each.verdict is Verdict.EXCEPTED for each in found.findings)
    besides = f", {counted(excepted, 'exception')} counted" if excepted else ""
    if not found.refused:
        return f"Every rule of {found.environment_name} admits it{besides}."
    refused = f"{counted(len(found.refused), 'rule')} of {len(found.findings)}"
    return f"Environment {found.environment_name} refuses it by {refused}{besides}."


def check_lines(found: RulesCheck) -> list[str]:
    """Every rule with its verdict, the fact behind it, and the next step."""
    lines = []
    for each in found.findings:
        lines.append(f"{_SIGNS[each.verdict]} {each.rule} ({_asked(each)})")
        lines.append(f"    {each.reason}")
        if each.next_step:
            lines.append(f"    → {each.next_step}")
    return lines or ["Every version is admitted."]


def rules_text(found: EnvironmentRules) -> str:
    """The document of an environment's rules, as it was set."""
    return found.text if found.rules else f"Every version is admitted.\n\n{found.text}".rstrip()


def rules_now(found: EnvironmentRules) -> str:
    """The current rules of an environment, who set them and when."""
    if found.created_at is None:
        return f"{found.environment_name} has no admission rules: every version is admitted"
    rules = counted(len(found.rules), "rule")
    return f"Number {found.number} counts: {rules}, by {found.creator} {both(found.created_at)}"


def names_of_rules(found: EnvironmentRules) -> str:
    """The names of the rules, in a line."""
    return ", ".join(each.name for each in found.rules)


def exception_end(found: RuleException) -> Cell:
    """When an exception ends, or that it has."""
    if found.expires_at is None:
        return Cell("never", "dim")
    return Cell("– over", "dim") if found.expires_at <= present() else Cell(absolute(found.expires_at)[:16])


def end_of(text: str) -> datetime | None:
    """The typed end: a day, or a moment with or without its zone; None for none. Raises ValueError."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("ends: type a day as 2027-01-31, or nothing") from error
    return found if found.tzinfo is not None else found.astimezone()


def reason_problem(text: str) -> str | None:
    """Why a reason of an exception is not valid, or None: as `schemas.admission.ExceptionChange`."""
    if len(text) < 3:
        return "type a reason"
    return None if len(text) <= 1000 else f"the reason has {len(text)} characters, 1000 at most"


def rules_comment_problem(text: str) -> str | None:
    """Why a comment about rules is too long, or None: as `schemas.admission.RulesChange`."""
    return None if len(text) <= 1000 else f"the comment has {len(text)} characters, 1000 at most"


def _asked(finding: Finding) -> str:
    purposes = ", ".join(finding.purposes)
    return f"{purposes}: {', '.join(finding.aliases)}" if finding.aliases else purposes
