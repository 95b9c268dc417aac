"""Admission rules hold at every door: REST, command line, MLflow's API, and deployments that follow an alias."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import httpx
import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import Conflict, Refused, ServiceProblem
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.admission import ExceptionChange, Purpose, RulesChange, Verdict
from registry_tui.schemas.cards import CardChange
from registry_tui.schemas.deployments import DeploymentUpdate
from registry_tui.schemas.people import EnvironmentRole, RolesChange, UserChange
from registry_tui.schemas.places import CollaboratorChange, Project, Role
from registry_tui.schemas.promotion import ApprovalAsk, ApprovalDecision, Decision, PromotionRules
from support import served
from support.platforms import Platform, unique, wait_for
from support.registered import mlflow_client
from support.served import Served
from support.workflow_cases import registered_environment

GOOD = """\
rules:
  - name: good-enough
    for: [deploy, alias]
    aliases: [champion]
    requires: metric
    metric: rmse
    at_most: 0.8
    advice: Ask ann
  - name: no-old-numpy
    for: [deploy]
    models: ["*"]
    requires: no_packages
    packages: ["numpy<2"]
  - name: of-others
    for: [deploy, alias]
    models: ["no-model-has-this-name"]
    requires: model_signature
"""


@dataclass(frozen=True)
class Ruled:
    """A model with a version that the rules refuse (1) and one that they admit (2)."""

    platform: Platform
    environment: str
    project: Project
    refused: Served
    admitted: Served

    @property
    def model(self) -> str:
        return self.admitted.version.model_name

    @property
    def registry(self) -> str:
        return self.admitted.registry

    def set_rules(self, text: str) -> None:
        self.platform.ask(lambda client: client.set_rules(self.environment, RulesChange(text=text)))

    def aliases(self) -> dict[str, int]:
        return self.platform.ask(lambda client: client.model(self.registry, self.model)).aliases


@pytest.fixture(scope="module")
def ruled(platform: Platform) -> Iterator[Ruled]:
    environment, _, project = registered_environment(platform, synchronized=True)
    model = unique("Ruled")
    refused = served.register(platform, project, model, requirements="mlflow\nnumpy==1.26.4\n", add=1)
    admitted = served.register(platform, project, model, add=2)
    credentials = platform.ask(lambda client: client.credentials(project.id))
    with mlflow_client(credentials) as http:
        for version, value in ((refused, 0.9), (admitted, 0.5)):
            metric = {"run_id": version.version.origin.run_id, "key": "rmse", "value": value, "timestamp": 1, "step": 0}
            http.post("/api/2.0/mlflow/runs/log-metric", json=metric).raise_for_status()
    yield Ruled(platform, environment, project, refused, admitted)


@pytest.fixture(autouse=True)
def no_rules(ruled: Ruled) -> Iterator[None]:
    yield
    ruled.set_rules("rules: []")


def by_mlflow(ruled: Ruled, alias: str, version: int) -> httpx.Response:
    credentials = ruled.platform.ask(lambda client: client.credentials(ruled.project.id))
    with mlflow_client(credentials) as http:
        body = {"name": ruled.model, "alias": alias, "version": str(version)}
        return http.post("/api/2.0/mlflow/registered-models/alias", json=body)


def test_what_a_rule_refuses_is_refused_at_every_door_with_its_reason(ruled: Ruled) -> None:
    ruled.set_rules(GOOD)
    with pytest.raises(ServiceProblem) as deploying:
        served.deploy(ruled.platform, ruled.refused)
    problem = deploying.value.problem
    assert (problem.status, problem.code) == (409, "not-admitted")
    assert {each.field: each.message for each in problem.errors} == {
        "good-enough": "metric rmse is 0.9, and has to be at most 0.8",
        "no-old-numpy": "its requirement 'numpy==1.26.4' allows numpy<2",
    }
    assert "Ask ann. Register a version of a better run" in (problem.action or "")

    with pytest.raises(ServiceProblem) as aliasing:
        ruled.platform.ask(lambda client: client.set_alias(ruled.registry, ruled.model, "champion", 1))
    assert [each.field for each in aliasing.value.problem.errors] == ["good-enough"]

    answer = by_mlflow(ruled, "champion", 1)
    assert answer.status_code == 409
    assert answer.json()["error_code"] == "RESOURCE_CONFLICT"
    assert "rule good-enough: metric rmse is 0.9, and has to be at most 0.8" in answer.json()["message"]

    for arguments in (
        ("models", "alias", "set", ruled.model, "champion", "1", "--registry", ruled.registry),
        ("models", "check", ruled.model, "1", "--rules", "--registry", ruled.registry),
        ("deployments", "create", unique("d"), "--project", ruled.project.id, "--model", ruled.model, "--version", "1"),
    ):
        done = ruled.platform.command(*arguments, check=False)
        assert done.returncode == 1, done.stdout
        assert "good-enough" in done.stdout + done.stderr
    assert ruled.aliases() == {}


def test_what_the_rules_admit_passes_every_door(ruled: Ruled) -> None:
    ruled.set_rules(GOOD)
    checked = ruled.platform.ask(lambda client: client.check_rules(ruled.registry, ruled.model, 2))
    assert [(each.rule, each.verdict) for each in checked.findings] == [
        ("good-enough", Verdict.MET),
        ("no-old-numpy", Verdict.MET),
    ]
    assert by_mlflow(ruled, "champion", 2).status_code == 200
    # The rule does not apply to another alias, and setting one again changes nothing.
    assert by_mlflow(ruled, "challenger", 1).status_code == 200
    ruled.platform.ask(lambda client: client.set_alias(ruled.registry, ruled.model, "champion", 2))
    ruled.platform.command(
        "models", "check", ruled.model, "2", "--rules", "--for", "deploy", "--registry", ruled.registry
    )
    for alias in ("champion", "challenger"):
        ruled.platform.call(RegistryClient.delete_alias, ruled.registry, ruled.model, alias)


def test_what_serves_goes_on_and_another_version_is_refused(ruled: Ruled) -> None:
    platform = ruled.platform
    deployment = served.deploy(platform, ruled.refused)
    ruled.set_rules(GOOD)
    # Nothing of the version changes.
    platform.ask(lambda client: client.update_deployment(deployment.id, DeploymentUpdate(description="still")))
    served.finish(platform, platform.ask(lambda client: client.restart_deployment(deployment.id)).workflow)
    served.update(platform, deployment, version=2)
    with pytest.raises(Conflict, match="good-enough"):
        platform.ask(lambda client: client.update_deployment(deployment.id, DeploymentUpdate(version=1)))
    with pytest.raises(Conflict, match="good-enough"):
        platform.ask(lambda client: client.roll_back_deployment(deployment.id))
    assert platform.ask(lambda client: client.deployment(deployment.id)).version == 2
    served.take_away([(platform, deployment.id)])


def test_a_deployment_that_follows_an_alias_stays_where_a_rule_refuses(ruled: Ruled) -> None:
    platform = ruled.platform
    platform.ask(lambda client: client.set_alias(ruled.registry, ruled.model, "live", 2))
    deployment = served.deploy(platform, ruled.admitted, alias="live", follow_alias=True, version=None)
    ruled.set_rules(GOOD)
    platform.ask(lambda client: client.set_alias(ruled.registry, ruled.model, "live", 1))

    def refusals() -> list[str]:
        return [
            each.detail for each in platform.events(resource=deployment.id, action="deployment.follow") if each.detail
        ]

    wait_for(refusals, what="the refusal to follow")
    assert any("rule good-enough" in each for each in refusals())
    assert platform.ask(lambda client: client.deployment(deployment.id)).version == 2
    served.take_away([(platform, deployment.id)])
    platform.call(RegistryClient.delete_alias, ruled.registry, ruled.model, "live")


def test_an_exception_lets_one_version_through_one_rule(ruled: Ruled) -> None:
    platform = ruled.platform
    ruled.set_rules(GOOD)
    for rule in ("good-enough", "no-old-numpy"):
        reason = ExceptionChange(reason=f"known, {rule}")
        platform.call(RegistryClient.set_exception, ruled.registry, ruled.model, 1, rule, reason)
    checked = platform.ask(lambda client: client.check_rules(ruled.registry, ruled.model, 1, purpose=Purpose.DEPLOY))
    assert {each.verdict for each in checked.findings} == {Verdict.EXCEPTED}
    assert "known, good-enough" in checked.findings[0].reason
    assert by_mlflow(ruled, "champion", 1).status_code == 200
    listed = json.loads(platform.command("rules", "exceptions", "list", ruled.registry, "--json").stdout)
    assert [(each["rule"], each["version"]) for each in listed] == [("good-enough", 1), ("no-old-numpy", 1)]
    ref = reference("exception", ruled.registry, ruled.model, "1", "good-enough")
    (refused,) = platform.call(RegistryClient.dependents, ref).lines
    assert refused.startswith("It is refused from then on for ") and "known, good-enough" not in refused
    ended = ("rules", "exceptions", "delete", ruled.model, "1", "good-enough", "--registry", ruled.registry)
    assert platform.command(*ended, "--dry-run").stdout == f"{refused}\n"
    with pytest.raises(ServiceProblem, match="has no exception from"):
        platform.call(RegistryClient.dependents, reference("exception", ruled.registry, ruled.model, "1", "none"))
    for rule in ("good-enough", "no-old-numpy"):
        platform.call(RegistryClient.delete_exception, ruled.registry, ruled.model, 1, rule)
    told = [each.detail for each in platform.events(resource=f"{ruled.model} v1", action="version.except")]
    assert told[0] == "no-old-numpy: known, no-old-numpy"
    platform.call(RegistryClient.delete_alias, ruled.registry, ruled.model, "champion")
    assert by_mlflow(ruled, "champion", 1).status_code == 409


def test_scans_and_approvals_count(ruled: Ruled) -> None:
    platform, version = ruled.platform, (ruled.registry, ruled.model, 2)
    rules = (
        "rules: [{name: safe, for: [deploy], requires: scan}, {name: code, for: [deploy], requires: scan, "
        "verdicts: [safe format, known imports, runs code]}, {name: let, for: [deploy], requires: approval}, "
        "{name: two, for: [deploy], requires: approval, four_eyes: true}, "
        "{name: told, for: [deploy], requires: model_card, headings: [Intended use]}]"
    )
    ruled.set_rules(rules)

    def verdicts() -> dict[str, Verdict]:
        found = platform.ask(lambda client: client.check_rules(*version))
        return {each.rule: each.verdict for each in found.findings}

    # The model brings code of its own, which runs when it is loaded.
    refused = dict.fromkeys(("safe", "let", "two", "told"), Verdict.REFUSED)
    assert verdicts() == {**refused, "code": Verdict.MET}
    for text, verdict in (("# Intended use\n", Verdict.REFUSED), ("# Intended use\n\nWine.\n", Verdict.MET)):
        platform.call(RegistryClient.set_card, *version, CardChange(text=text))
        assert verdicts()["told"] is verdict
    platform.ask(lambda client: client.set_promotion_rules(ruled.registry, PromotionRules(four_eyes=False)))
    asked = platform.ask(lambda client: client.ask_approval(*version, "deploy", ApprovalAsk()))
    assert verdicts()["let"] is Verdict.REFUSED
    for decision, verdict in ((Decision.APPROVE, Verdict.MET), (Decision.REJECT, Verdict.REFUSED)):
        platform.call(RegistryClient.decide_approval, asked.id, ApprovalDecision(decision=decision, comment="as it is"))
        # The requester decides here: the registry allows that, the rule `two` of the environment does not.
        assert (verdicts()["let"], verdicts()["two"]) == (verdict, Verdict.REFUSED)
        asked = platform.ask(lambda client: client.ask_approval(*version, "deploy", ApprovalAsk()))
    platform.ask(lambda client: client.decide_approval(asked.id, ApprovalDecision(decision=Decision.WITHDRAW)))
    other = unique("asker")
    platform.call(RegistryClient.put_user, other, UserChange())
    contributor = CollaboratorChange(role=Role.CONTRIBUTOR)
    platform.ask(lambda client: client.set_collaborator(ruled.project.id, other, contributor))
    asked = platform.ask(lambda client: client.ask_approval(*version, "deploy", ApprovalAsk()), user=other)
    platform.ask(lambda client: client.decide_approval(asked.id, ApprovalDecision(decision=Decision.APPROVE)))
    assert (verdicts()["let"], verdicts()["two"]) == (Verdict.MET, Verdict.MET)


def test_only_environment_administrators_set_rules_and_exceptions(ruled: Ruled) -> None:
    platform = ruled.platform
    ruled.set_rules(GOOD)
    owner, admin = unique("owner"), unique("admin")
    for user in (owner, admin):
        platform.call(RegistryClient.put_user, user, UserChange())
    member = CollaboratorChange(role=Role.ADMIN)
    platform.ask(lambda client: client.set_collaborator(ruled.project.id, owner, member))
    roles = RolesChange(roles=[EnvironmentRole.ENVIRONMENT_ADMIN])
    platform.ask(lambda client: client.set_user_roles(ruled.environment, admin, roles))
    change = RulesChange(text="rules: []")
    with pytest.raises(Refused):
        platform.ask(lambda client: client.set_rules(ruled.environment, change), user=owner)
    reason = ExceptionChange(reason="because")
    except_it = partial(
        RegistryClient.set_exception,
        registry=ruled.registry,
        model=ruled.model,
        version=1,
        rule="good-enough",
        request=reason,
    )
    with pytest.raises(Refused):
        platform.ask(except_it, user=owner)
    assert platform.ask(lambda client: client.rules(ruled.environment), user=owner).text == GOOD
    assert platform.ask(lambda client: client.set_rules(ruled.environment, change), user=admin).rules == []


def test_rules_keep_their_history_and_two_administrators_do_not_overwrite_each_other(ruled: Ruled) -> None:
    platform = ruled.platform
    first = platform.ask(lambda client: client.set_rules(ruled.environment, RulesChange(text=GOOD, comment="begin")))
    # The same again, as after a lost answer, is the same.
    again = platform.ask(lambda client: client.set_rules(ruled.environment, RulesChange(text=GOOD, comment="begin")))
    assert again == first
    changed = GOOD.replace("0.8", "0.7")

    async def both(client: RegistryClient) -> list[object]:
        wanted = [RulesChange(text=text, instead_of=first.number) for text in (changed, changed.replace("0.7", "0.6"))]
        asked = (client.set_rules(ruled.environment, each) for each in wanted)
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = platform.ask(both)
    assert sorted(isinstance(each, Conflict) for each in answers) == [False, True]
    done = platform.command("rules", "history", ruled.environment, "--json")
    numbers = [each["number"] for each in json.loads(done.stdout)]
    assert numbers == list(range(first.number + 1, 0, -1))
    kept = platform.ask(lambda client: client.rules(ruled.environment, first.number))
    assert (kept.text, kept.comment) == (GOOD, "begin")
    told = platform.events(resource=ruled.environment, action="rules.set")
    assert "changed: good-enough" in [each.detail for each in told]
