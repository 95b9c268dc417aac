"""Stages, protected aliases and approvals: by REST, the command line, and stock MLflow code in another process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import ServiceProblem
from registry_tui.schemas.models import ModelUpdate, ModelVersion, RegisterModel, Visibility
from registry_tui.schemas.people import EnvironmentRole, RolesChange, UserChange
from registry_tui.schemas.places import CollaboratorChange, EnvironmentCreate, Project, Role, WorkspaceCreate
from registry_tui.schemas.promotion import (
    Approval,
    ApprovalAsk,
    ApprovalDecision,
    ApprovalState,
    Decision,
    PromotionRules,
    ProtectedAlias,
    StageChange,
)
from registry_tui.schemas.registries import RegistryCreate
from registry_tui.schemas.stages import Stage, StageStatus
from support.platforms import Platform, run_python, unique, wait_for
from support.served import finish, register

OLD_PIPELINE = """
import sys
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
client, name = MlflowClient(), sys.argv[1]

def attempt(what):
    try:
        return what()
    except MlflowException as error:
        return f"{error.error_code}: {error}"

for step in sys.argv[2:]:
    what, _, argument = step.partition("=")
    if what == "stage":
        move = client.transition_model_version_stage
        moved = attempt(lambda: move(name, "1", argument, argument in ("Staging", "Production")))
        print(moved if isinstance(moved, str) else moved.current_stage)
    elif what == "latest":
        print([found.version for found in client.get_latest_versions(name, stages=[argument])])
    elif what == "alias":
        print(attempt(lambda: client.set_registered_model_alias(name, argument, "1")))
    elif what == "unalias":
        print(attempt(lambda: client.delete_registered_model_alias(name, argument)))
    elif what == "rename":
        print(attempt(lambda: client.rename_registered_model(name, argument)))
    elif what == "delete":
        print(attempt(lambda: client.delete_model_version(name, "1")))
"""


@dataclass(frozen=True)
class Line:
    """A registry of its own: `owner` owns the model, `other` works beside them, `chief` is MLAdmin."""

    platform: Platform
    project: Project
    registry: str
    model: str
    owner: str
    other: str
    chief: str

    def old(self, user: str, *steps: str) -> list[str]:
        """The output of a person's stock MLflow code."""
        found = self.platform.ask(lambda client: client.credentials(self.project.id), user=user)
        environment = {
            "MLFLOW_TRACKING_URI": found.tracking_uri,
            "MLFLOW_WORKSPACE": found.mlflow_workspace,
            "MLFLOW_TRACKING_USERNAME": found.username,
            "MLFLOW_TRACKING_PASSWORD": found.password,
        }
        return run_python(OLD_PIPELINE, environment, self.model, *steps).splitlines()

    def rules(self, rules: PromotionRules) -> None:
        self.platform.ask(lambda client: client.set_promotion_rules(self.registry, rules), user=self.chief)

    def stage(self, stage: Stage, user: str) -> StageStatus | None:
        change = StageChange(stage=stage, comment="because")
        return self.platform.ask(
            lambda client: client.set_stage(self.registry, self.model, 1, change), user=user
        ).stage_status

    def in_stage(self, stage: Stage) -> list[int]:
        """The numbers of the versions that are listed by a stage."""
        command = ("models", "versions", self.model, "--registry", self.registry, "--stage", stage.value, "--json")
        return [int(each["version"]) for each in json.loads(self.platform.command(*command).stdout)]

    def asked(self, user: str) -> Approval:
        return self.platform.ask(
            lambda client: client.ask_approval(
                self.registry, self.model, 1, "stage:Production", ApprovalAsk(comment="good")
            ),
            user=user,
        )

    def decided(self, approval: Approval, decision: Decision, user: str) -> Approval:
        answer = ApprovalDecision(decision=decision, comment="seen")
        return self.platform.ask(lambda client: client.decide_approval(approval.id, answer), user=user)


@pytest.fixture(scope="module")
def line(platform: Platform) -> Iterator[Line]:
    environment = platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=unique("stages"))))
    team = WorkspaceCreate(name=unique("team"), environment=environment.id)
    workspace = platform.ask(lambda client: client.create_workspace(team))
    project = platform.new_project(workspace.id)
    made = platform.ask(lambda client: client.create_registry(RegistryCreate(environment=environment.id)))
    finish(platform, made.workflow)
    platform.ask(lambda client: client.grant_storage_access(made.resource.id))
    finish(platform, platform.ask(lambda client: client.synchronize_registry(made.resource.id)).workflow)
    people = [unique(name) for name in ("owner", "other", "chief")]
    for user in people:
        platform.call(RegistryClient.put_user, user, UserChange())
        platform.call(RegistryClient.set_collaborator, project.id, user, CollaboratorChange(role=Role.CONTRIBUTOR))
    roles = RolesChange(roles=[EnvironmentRole.ENVIRONMENT_USER, EnvironmentRole.ML_ADMIN])
    platform.call(RegistryClient.set_user_roles, environment.id, people[2], roles)
    model = register(platform, project).version.model_name
    change = ModelUpdate(owner=people[0], visibility=Visibility.PUBLIC)
    platform.ask(lambda client: client.update_model(made.resource.id, model, change))
    yield Line(platform, project, made.resource.id, model, *people)


def test_stages_are_the_same_at_our_doors_and_at_the_old_ones(line: Line) -> None:
    line.rules(PromotionRules())
    assert line.stage(Stage.QA, line.owner) is StageStatus.IN_PROGRESS
    assert line.in_stage(Stage.QA) == [1] and line.in_stage(Stage.NONE) == [] == line.in_stage(Stage.PRE_PRODUCTION)
    assert line.old(line.owner, "latest=None", "stage=Staging", "latest=Staging") == ["['1']", "Staging", "['1']"]
    assert line.in_stage(Stage.PRE_PRODUCTION) == [1] and line.in_stage(Stage.QA) == []
    version = line.platform.ask(lambda client: client.version(line.registry, line.model, 1))
    assert version.stage is Stage.PRE_PRODUCTION
    line.stage(Stage.PRODUCTION, line.chief)
    assert line.old(line.owner, "latest=Production") == ["['1']"]
    [refused] = line.old(line.other, "stage=Archived")
    assert refused.startswith("PERMISSION_DENIED") and "may not move versions" in refused
    with pytest.raises(ServiceProblem, match="may not move versions"):
        line.stage(Stage.ARCHIVED, line.other)
    line.old(line.chief, "stage=Archived")
    told = line.platform.ask(lambda client: client.stages(line.registry, line.model, 1)).items
    assert {(each.user, each.to_stage) for each in told} >= {
        (line.owner, Stage.QA),
        (line.chief, Stage.PRODUCTION),
    }


def test_a_version_that_leaves_a_stage_for_another_has_it_in_its_history(line: Line) -> None:
    line.rules(PromotionRules(approved_stages=[Stage.ARCHIVED]))
    register(line.platform, line.project, line.model)
    line.stage(Stage.QA, line.owner)
    second = StageChange(stage=Stage.PRODUCTION)
    line.platform.ask(lambda client: client.set_stage(line.registry, line.model, 2, second), user=line.chief)
    [refused] = line.old(line.owner, "stage=Production")
    assert refused.startswith("RESOURCE_CONFLICT") and "The stage Archived needs an approval" in refused
    line.rules(PromotionRules())
    assert line.old(line.owner, "stage=Production") == ["Production"]

    def newest() -> tuple[str, Stage, Stage]:
        found = line.platform.ask(lambda client: client.stages(line.registry, line.model, 2)).items[0]
        return found.user, found.from_stage, found.to_stage

    wait_for(lambda: newest() == (line.owner, Stage.PRODUCTION, Stage.ARCHIVED), what="the history of version 2")
    assert line.platform.ask(lambda client: client.version(line.registry, line.model, 2)).stage is Stage.ARCHIVED


def test_a_protected_alias_is_moved_by_whom_it_names_at_every_door(line: Line) -> None:
    line.rules(PromotionRules(protected_aliases=[ProtectedAlias(alias="live", users=[line.other])]))
    for step in ("alias=live", "unalias=live"):
        [refused] = line.old(line.owner, step)
        assert refused.startswith("PERMISSION_DENIED") and "The alias live is protected" in refused
    with pytest.raises(ServiceProblem, match="The alias live is protected"):
        line.platform.ask(lambda client: client.set_alias(line.registry, line.model, "live", 1), user=line.owner)
    assert line.old(line.other, "alias=live", "alias=mine")[0] == "None"
    moved = wait_for(lambda: line.platform.events(resource=line.model, action="model.set-alias", actor=line.other))
    assert [each.detail for each in moved] == ["live: version 1"]
    [refused] = line.old(line.owner, "delete=1")
    assert "The alias live is protected" in refused
    with pytest.raises(ServiceProblem, match="The alias live is protected"):
        line.platform.ask(lambda client: client.delete_alias(line.registry, line.model, "live"), user=line.owner)
    with pytest.raises(ServiceProblem, match="protect aliases"):
        line.platform.ask(lambda client: client.set_promotion_rules(line.registry, PromotionRules()), user=line.owner)
    assert line.old(line.other, "unalias=live") == ["None"]
    wait_for(lambda: line.platform.events(resource=line.model, action="model.delete-alias", actor=line.other))


def test_production_waits_for_somebody_elses_approval(line: Line) -> None:
    line.rules(PromotionRules())
    line.stage(Stage.QA, line.owner)
    line.rules(PromotionRules(approved_stages=[Stage.PRODUCTION]))
    with pytest.raises(ServiceProblem, match="needs an approval"):
        line.stage(Stage.PRODUCTION, line.owner)
    [refused] = line.old(line.owner, "stage=Production")
    assert refused.startswith("RESOURCE_CONFLICT") and "needs an approval" in refused
    wait = ("models", "wait-approved", line.model, "1", "--registry", line.registry)
    unasked = line.platform.command(*wait, "--purpose", "promote", check=False)
    assert unasked.returncode == 1 and "Nobody asked" in unasked.stderr
    first = line.asked(line.chief)
    assert line.asked(line.owner).id == first.id
    with pytest.raises(ServiceProblem, match="somebody else has to decide"):
        line.decided(first, Decision.APPROVE, line.chief)
    line.decided(first, Decision.WITHDRAW, line.chief)
    assert line.platform.command(*wait, check=False).returncode == 5
    second = line.asked(line.owner)
    pending = line.platform.ask(lambda client: client.version(line.registry, line.model, 1))
    assert (pending.stage, pending.stage_status) == (Stage.QA, StageStatus.PENDING_APPROVAL)
    inbox = line.platform.ask(lambda client: client.approvals(state="pending", registry=line.registry), user=line.chief)
    assert [each.id for each in inbox.items] == [second.id]
    with pytest.raises(ServiceProblem, match="There is no approval"):
        line.decided(second, Decision.APPROVE, line.other)
    assert line.decided(second, Decision.REJECT, line.chief).state is ApprovalState.REJECTED
    with pytest.raises(ServiceProblem, match="needs an approval"):
        line.stage(Stage.PRODUCTION, line.owner)
    assert line.platform.command(*wait, check=False).returncode == 3
    third = line.asked(line.owner)
    assert line.platform.command(*wait, "--timeout", "0", check=False).returncode == 4
    line.decided(third, Decision.APPROVE, line.chief)
    # Again, as when the service ended before it answered.
    assert line.decided(third, Decision.APPROVE, line.chief).state is ApprovalState.APPROVED
    with pytest.raises(ServiceProblem, match="before"):
        line.decided(third, Decision.REJECT, line.chief)
    assert line.platform.command(*wait, check=False).returncode == 0
    assert line.old(line.owner, "stage=Production", "latest=Production") == ["Production", "['1']"]


def test_an_inbox_counts_what_its_reader_may_decide(line: Line) -> None:
    line.rules(PromotionRules())
    asked = line.asked(line.chief)

    def inbox(user: str) -> tuple[int | None, list[Decision]]:
        found = line.platform.ask(lambda client: client.approvals(waiting=True, registry=line.registry), user=user)
        assert [each.id for each in found.items] in ([], [asked.id])
        one = line.platform.ask(lambda client: client.approval(asked.id), user=line.chief)
        return found.total, one.decisions

    # The requester decides only where no second person has to; a bystander never does.
    assert inbox(line.chief) == (0, [Decision.WITHDRAW]) and inbox(line.other)[0] == 0
    line.rules(PromotionRules(four_eyes=False))
    assert inbox(line.chief) == (1, [Decision.APPROVE, Decision.REJECT, Decision.WITHDRAW])
    assert inbox(line.other)[0] == 0
    line.rules(PromotionRules())
    listed = line.platform.ask(lambda client: client.approvals(waiting=True, registry=line.registry))
    assert listed.total == 1 and listed.items[0].decisions == list(Decision)
    line.decided(asked, Decision.WITHDRAW, line.chief)
    assert inbox(line.chief) == (0, [])


def test_what_is_kept_ends_with_the_version(line: Line) -> None:
    line.rules(PromotionRules())
    line.asked(line.owner)

    def named() -> set[str]:
        found = line.platform.ask(lambda client: client.approvals(registry=line.registry)).items
        return {each.model_name for each in found}

    other = unique("Renamed")
    assert line.old(line.owner, f"rename={other}") == ["None"]
    wait_for(lambda: named() == {other}, what="approvals of the renamed model")
    assert replace(line, model=other).old(line.owner, f"rename={line.model}") == ["None"]
    wait_for(lambda: named() == {line.model}, what="approvals of the renamed model")
    line.platform.ask(lambda client: client.delete_version(line.registry, line.model, 1), user=line.owner)
    assert named() == set()


def test_a_version_is_registered_with_a_stage_by_the_rules_of_a_transition(line: Line) -> None:
    """By REST and the command line; people who may not move it there register nothing."""
    made = register(line.platform, line.project, unique("Staged"))
    name, run = made.version.model_name, made.version.origin.run_id
    change = ModelUpdate(owner=line.owner, visibility=Visibility.PUBLIC)
    line.platform.ask(lambda client: client.update_model(line.registry, name, change))
    path = ["--project", line.project.id, "--run", str(run), "--path", "model", "--name", name]

    def ask(user: str, stage: Stage) -> ModelVersion:
        request = RegisterModel(name=name, run_id=run, artifact_path="model", stage=stage)
        accepted = line.platform.ask(lambda client: client.register_model(line.project.id, request), user=user)
        finish(line.platform, accepted.workflow)
        return accepted.resource

    line.rules(PromotionRules())
    assert (found := ask(line.other, Stage.QA)).stage is Stage.QA and found.version == 2
    [entry] = line.platform.ask(lambda client: client.stages(line.registry, name, 2)).items
    assert (entry.user, entry.to_stage, entry.comment) == (line.other, Stage.QA, "when it was registered")
    with pytest.raises(ServiceProblem, match="may not move versions to PreProduction"):
        ask(line.other, Stage.PRODUCTION)
    refused = line.platform.command(
        "--user", line.other, "models", "register", *path, "--stage", "Production", check=False
    )
    assert refused.returncode == 1 and "may not move versions to PreProduction" in refused.stderr
    line.platform.command("--user", line.owner, "models", "register", *path, "--stage", "PreProduction")
    line.rules(PromotionRules(approved_stages=[Stage.PRODUCTION]))
    with pytest.raises(ServiceProblem, match="The stage Production needs an approval"):
        ask(line.owner, Stage.PRODUCTION)
    listed = line.platform.ask(lambda client: client.versions(line.registry, name)).items
    assert [(each.version, each.stage) for each in listed] == [
        (3, Stage.PRE_PRODUCTION),
        (2, Stage.QA),
        (1, Stage.NONE),
    ]
