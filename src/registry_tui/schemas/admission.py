"""Admission rules: the conditions that a version has to meet before it is deployed, promoted or given an alias."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from registry_tui.schemas.base import RequestSchema, Schema
from registry_tui.schemas.scans import Verdict as ScanVerdictName

#: Characters of the largest set of rules.
MAX_TEXT = 200_000
MAX_RULES = 200

Glob = Annotated[str, Field(min_length=1, max_length=250)]


class Purpose(StrEnum):
    """The operations on a version that rules apply to."""

    DEPLOY = "deploy"
    PROMOTE = "promote"
    ALIAS = "alias"


class _Rule(Schema):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9-]*$")
    #: The operations for which the rule is checked.
    purposes: list[Purpose] = Field(min_length=1, alias="for")
    #: Shell patterns of the names of models; empty for all.
    models: list[Glob] = []
    #: Shell patterns of aliases, for `alias`; empty for all.
    aliases: list[Glob] = []
    #: The next step for a refused person, in addition to the rule's own.
    advice: str = Field(default="", max_length=500)

    @model_validator(mode="after")
    def _aliases_are_for_alias(self) -> _Rule:
        if self.aliases and Purpose.ALIAS not in self.purposes:
            raise ValueError("aliases are named, but `for` has no `alias`")
        return self


class ModelSignatureRule(_Rule):
    """The model declares the columns or tensors that it takes and gives."""

    requires: Literal["model_signature"]


class InputExampleRule(_Rule):
    """The model was logged with an example of its input."""

    requires: Literal["input_example"]


class MetricRule(_Rule):
    """A metric of the version's run is within bounds."""

    requires: Literal["metric"]
    metric: str = Field(min_length=1, max_length=250)
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> MetricRule:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give `at_least`, `at_most`, or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("`at_least` is above `at_most`")
        return self


class BetterMetricRule(_Rule):
    """A metric is better than that of the version that an alias of the model names now.

    It is met while no version, or this version, has the alias.
    """

    requires: Literal["better_metric"]
    metric: str = Field(min_length=1, max_length=250)
    than: str = Field(default="champion", min_length=1, max_length=250)
    lower_is_better: bool = False
    #: By how much it is better at least, in the metric's unit.
    by: float = Field(default=0.0, ge=0)


class NoPackagesRule(_Rule):
    """No requirement of the model allows a package of a list, such as `numpy<2`."""

    requires: Literal["no_packages"]
    packages: list[Annotated[str, Field(max_length=200)]] = Field(min_length=1, max_length=500)


class ScanRule(_Rule):
    """The newest scan of the version has one of these verdicts."""

    requires: Literal["scan"]
    verdicts: list[ScanVerdictName] = Field(default=[ScanVerdictName.SAFE_FORMAT, ScanVerdictName.KNOWN_IMPORTS])


class TrustedSignatureRule(_Rule):
    """The version is signed, as it is now, by a key of the environment's trust store, or by one of those named."""

    requires: Literal["trusted_signature"]
    #: Names of keys of the trust store; empty for all of them.
    keys: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(default=[], max_length=200)


class ApprovalRule(_Rule):
    """Somebody approved the version, for `deploy`, `promote` or another purpose of an approval."""

    requires: Literal["approval"]
    #: Default: the first of `purposes` except `alias`, else `deploy`.
    purpose: str | None = Field(default=None, min_length=1, max_length=64)
    #: Whether the approval counts only when given by somebody other than its requester, even if the registry allows it.
    four_eyes: bool = False

    @property
    def asked_for(self) -> str:
        """The required purpose of an approval."""
        first = next((each for each in self.purposes if each is not Purpose.ALIAS), Purpose.DEPLOY)
        return self.purpose or first.value


class ModelCardRule(_Rule):
    """A person wrote a card for the version, with something below each of these headings."""

    requires: Literal["model_card"]
    headings: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(default=[], max_length=50)


AdmissionRule = Annotated[
    ModelSignatureRule
    | InputExampleRule
    | MetricRule
    | BetterMetricRule
    | NoPackagesRule
    | ScanRule
    | TrustedSignatureRule
    | ApprovalRule
    | ModelCardRule,
    Field(discriminator="requires"),
]


class RuleSet(Schema):
    """The content of a YAML document of rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: list[AdmissionRule] = Field(max_length=MAX_RULES)

    @field_validator("rules")
    @classmethod
    def _names_differ(cls, given: list[AdmissionRule]) -> list[AdmissionRule]:
        seen: set[str] = set()
        for each in given:
            if each.name in seen:
                raise ValueError(f"two rules have the name {each.name!r}")
            seen.add(each.name)
        return given


class RulesChange(RequestSchema):
    """New rules of an environment; they replace the current ones."""

    #: A YAML document with `rules`.
    text: str = Field(max_length=MAX_TEXT)
    comment: str = Field(default="", max_length=1000)
    #: The number of the rules that these are meant to replace; another one is refused.
    instead_of: int | None = None


class EnvironmentRules(Schema):
    """An environment's rules as they were set once; number 0 with no rules before the first time."""

    environment_id: str
    environment_name: str
    number: int
    rules: list[AdmissionRule]
    #: The document as it was given, with its comments.
    text: str
    comment: str = ""
    creator: str | None = None
    created_at: datetime | None = None


class Verdict(StrEnum):
    MET = "met"
    REFUSED = "refused"
    #: Refused by the rule, let through by an administrator.
    EXCEPTED = "excepted"


class Finding(Schema):
    """The verdict of one rule on a version."""

    rule: str
    purposes: list[Purpose]
    aliases: list[str] = []
    verdict: Verdict
    #: The fact that decides, in words.
    reason: str
    next_step: str = ""


class RulesCheck(Schema):
    """The verdicts of all applicable rules of an environment on a version."""

    environment_name: str
    #: Of the rules.
    number: int
    model_name: str
    version: int
    findings: list[Finding]

    @property
    def refused(self) -> list[Finding]:
        """The findings that refuse."""
        return [each for each in self.findings if each.verdict is Verdict.REFUSED]


class ExceptionChange(RequestSchema):
    """Lets a version through although a rule refuses it."""

    reason: str = Field(min_length=3, max_length=1000)
    #: When it ends; None: never.
    expires_at: datetime | None = None


class RuleException(Schema):
    """An administrator's exception from one rule for one version."""

    registry_id: str
    model_name: str
    version: int
    version_id: str
    rule: str
    reason: str
    creator: str
    created_at: datetime
    expires_at: datetime | None = None
