"""Documents of admission rules: accepted ones, and the errors of the others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from registry_tui.schemas import admission
from registry_tui.service.admission import requirements, rules
from registry_tui.service.errors import InvalidInput

ROOT = Path(__file__).resolve().parents[2]
ONE = "rules:\n  - name: a\n    for: [deploy]\n    requires: "


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("rules: 3", "rules", "list"),
        ("- a", "text", "mapping"),
        ("rules: [", "text", "YAML"),
        ("rule: []", "rules", "is missing"),
        (f"{ONE}magic", "rules.0", "'model_signature'"),
        (f"{ONE}metric", "rules.0.metric", "rule a: metric: is missing"),
        (f"{ONE}metric\n    metric: rmse", "rules.0", "at_least"),
        (f"{ONE}metric\n    metric: rmse\n    at_least: 3\n    at_most: 1", "rules.0", "above"),
        (f"{ONE}metric\n    metric: rmse\n    at_most: high", "rules.0.at_most", "number"),
        (f"{ONE}model_signature\n    model: x", "rules.0.model", "rule a: model: is not known here"),
        (f"{ONE}no_packages\n    packages: ['numpy<']", "rules.0", "numpy<2"),
        (f"{ONE}no_packages\n    packages: []", "rules.0.packages", "must not be empty"),
        (f"{ONE}model_signature\n    aliases: [champion]", "rules.0", "no `alias`"),
        (f"{ONE}model_signature\n  - name: a\n    for: [deploy]\n    requires: input_example", "rules", "two rules"),
        ("rules: [{name: A b, for: [deploy], requires: model_signature}]", "rules.0.name", "only a-z, 0-9 and -"),
        ("rules: [{name: a, for: [], requires: model_signature}]", "rules.0.for", "must not be empty"),
        ("rules: [{name: a, for: [serve], requires: model_signature}]", "rules.0.for.0", "'deploy'"),
    ],
)
def test_what_is_wrong_in_a_document_is_said_by_its_place(text: str, field: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.parse(text)
    found = {each.field: each.message for each in refused.value.errors}
    assert field in found, found
    assert said in found[field]


@pytest.mark.parametrize("text", ["", "rules: []", "# nothing yet"])
def test_a_document_may_have_no_rules(text: str) -> None:
    assert rules.parse(text) == []


def test_the_documented_rules_are_taken_and_show_every_kind() -> None:
    page = (ROOT / "docs/admission-rules.md").read_text(encoding="utf-8")
    documents = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert documents
    kinds = {type(each) for text in documents for each in rules.parse(text)}
    assert kinds == set(requirements._ANSWERS)


def test_every_kind_of_rule_has_an_answer() -> None:
    kinds = {each for each in vars(admission).values() if isinstance(each, type) and issubclass(each, admission._Rule)}
    assert kinds - {admission._Rule} == set(requirements._ANSWERS)


@pytest.mark.parametrize(
    ("doors", "purpose"), [("[promote]", "promote"), ("[alias, promote]", "promote"), ("[deploy]", "deploy")]
)
def test_an_approval_is_asked_for_the_door_that_its_rule_guards(doors: str, purpose: str) -> None:
    [rule] = rules.parse(f"rules: [{{name: let, for: {doors}, requires: approval}}]")
    assert isinstance(rule, admission.ApprovalRule) and rule.asked_for == purpose
