"""Words for admission rules and what they say of a version."""

from __future__ import annotations

from registry_tui.contracts.counts import counted
from registry_tui.schemas.admission import EnvironmentRules, Finding, RulesCheck, Verdict
from registry_tui.wording.words import both

_SIGNS = {Verdict.MET: "✓", Verdict.REFUSED: "✗", Verdict.EXCEPTED: "○"}


def check_summary(found: RulesCheck) -> str:
    """What the rules say of a version, in one sentence."""
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
    return found.text if found.rules else "Every version is admitted."


def set_said(found: EnvironmentRules) -> str:
    """Who set an environment's rules and when, and how to change them."""
    command = f"registry-tui rules set {found.environment_name} FILE"
    if found.created_at is None:
        return f"{found.environment_name} has no admission rules. Set them with: {command}"
    comment = f": {found.comment}" if found.comment else ""
    return (
        f"Number {found.number}, set by {found.creator} {both(found.created_at)}{comment}. Change them with: {command}"
    )


def _asked(finding: Finding) -> str:
    purposes = ", ".join(finding.purposes)
    return f"{purposes}: {', '.join(finding.aliases)}" if finding.aliases else purposes
