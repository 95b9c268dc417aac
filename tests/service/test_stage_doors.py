"""Permissions for moving a version between stages: the same in every API, as in the one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import ServiceProblem
from registry_tui.contracts.permissions import PROJECT_ROLES, RULES, Action, Holder
from registry_tui.schemas.models import ModelUpdate, RegisterModel, Visibility
from registry_tui.schemas.people import EnvironmentRole, GroupChange, RolesChange, UserChange
from registry_tui.schemas.places import CollaboratorChange, EnvironmentCreate, Project, Role, WorkspaceCreate
from registry_tui.schemas.promotion import StageChange
from registry_tui.schemas.registries import RegistryCreate
from registry_tui.schemas.stages import EARLY, Stage, to_mlflow
from registry_tui.screens.models.stage_form import allowed
from support.platforms import Platform, unique
from support.registered import mlflow_client
from support.served import finish, register

R = EnvironmentRole
#: Each person's roles in the environment and in the project, and relations to the model and the version.
PEOPLE: dict[str, tuple[tuple[EnvironmentRole, ...], Role | None]] = {
    "model owner": ((), Role.CONTRIBUTOR),
    "creator": ((), Role.CONTRIBUTOR),
    "MLAdmin": ((R.ENVIRONMENT_USER, R.ML_ADMIN), Role.CONTRIBUTOR),
    "MLAdmin by a group": ((R.ENVIRONMENT_USER, R.ML_ADMIN), Role.CONTRIBUTOR),
    "MLAdmin who views": ((R.ENVIRONMENT_USER, R.ML_ADMIN), Role.VIEWER),
    "MLUser": ((R.ENVIRONMENT_USER, R.ML_USER), Role.CONTRIBUTOR),
    "EnvironmentAdmin": ((R.ENVIRONMENT_ADMIN,), Role.CONTRIBUTOR),
    "project owner": ((), Role.ADMIN),
    "contributor": ((), Role.CONTRIBUTOR),
    "viewer": ((), Role.VIEWER),
    "stranger": ((), None),
}
#: Each kind of transition, and where MLflow's old call has a word for both ends, whether it is tried there.
MOVES = (
    (Stage.DEVELOPMENT, Stage.QA),
    (Stage.NONE, Stage.PRODUCTION),
    (Stage.PRE_PRODUCTION, Stage.PRODUCTION),
    (Stage.PRODUCTION, Stage.ARCHIVED),
    (Stage.ARCHIVED, Stage.NONE),
    (Stage.PRODUCTION, Stage.QA),
)


@dataclass(frozen=True)
class Doors:
    """A public model with one version, and people of every kind."""

    platform: Platform
    project: Project
    environment: str
    registry: str
    model: str
    names: dict[str, str]

    def stage(self) -> Stage:
        return self.platform.ask(lambda client: client.version(self.registry, self.model, 1)).stage

    def reset(self, stage: Stage) -> None:
        change = StageChange(stage=stage)
        self.platform.ask(lambda client: client.set_stage(self.registry, self.model, 1, change))

    def by_rest(self, user: str, to: Stage) -> None:
        try:
            change = StageChange(stage=to)
            self.platform.ask(lambda client: client.set_stage(self.registry, self.model, 1, change), user=user)
        except ServiceProblem as error:
            assert error.problem.status in (403, 404), error

    def by_command(self, user: str, to: Stage) -> None:
        arguments = ("models", "stage", self.model, "1", to.value, "--registry", self.registry)
        self.platform.command("--user", user, *arguments, check=False)

    def by_mlflow(self, user: str, to: Stage) -> None:
        try:
            found = self.platform.ask(lambda client: client.credentials(self.project.id), user=user)
        except ServiceProblem as error:
            assert error.problem.status in (403, 404), error
            return
        with mlflow_client(found) as http:
            body = {"name": self.model, "version": "1", "stage": to_mlflow(to), "archive_existing_versions": False}
            answer = http.post("/api/2.0/mlflow/model-versions/transition-stage", json=body)
            assert answer.is_success or answer.status_code in (403, 404), answer.text


@pytest.fixture(scope="module")
def doors(platform: Platform) -> Iterator[Doors]:
    environment = platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=unique("doors"))))
    team = WorkspaceCreate(name=unique("team"), environment=environment.id)
    project = platform.new_project(platform.ask(lambda client: client.create_workspace(team)).id)
    made = platform.ask(lambda client: client.create_registry(RegistryCreate(environment=environment.id)))
    finish(platform, made.workflow)
    platform.ask(lambda client: client.grant_storage_access(made.resource.id))
    finish(platform, platform.ask(lambda client: client.synchronize_registry(made.resource.id)).workflow)
    names = {kind: unique(kind.replace(" ", "-").lower()) for kind in PEOPLE}
    for kind, (roles, role) in PEOPLE.items():
        platform.call(RegistryClient.put_user, names[kind], UserChange())
        if role is not None:
            change = CollaboratorChange(role=role)
            platform.call(RegistryClient.set_collaborator, project.id, names[kind], change)
        if roles and "group" not in kind:
            platform.call(RegistryClient.set_user_roles, environment.id, names[kind], RolesChange(roles=list(roles)))
    group = unique("group")
    platform.ask(lambda client: client.put_group(group, GroupChange()))
    platform.call(RegistryClient.add_member, group, names["MLAdmin by a group"])
    of_group = RolesChange(roles=list(PEOPLE["MLAdmin by a group"][0]))
    platform.ask(lambda client: client.set_group_roles(environment.id, group, of_group))
    served = register(platform, project, unique("model"))
    first = served.version
    public = ModelUpdate(owner=names["model owner"], visibility=Visibility.PUBLIC)
    platform.ask(lambda client: client.update_model(first.registry_id, first.model_name, public))
    # The model's only version is one that somebody else than its owner registered.
    again = RegisterModel(name=unique("made"), run_id=first.origin.run_id, artifact_path="model")
    accepted = platform.ask(lambda client: client.register_model(project.id, again), user=names["creator"])
    finish(platform, accepted.workflow)
    platform.ask(lambda client: client.update_model(first.registry_id, again.name, public))
    yield Doors(platform, project, environment.id, first.registry_id, again.name, names)


def expected(kind: str, before: Stage, to: Stage) -> bool:
    """The permission according to the table."""
    roles, role = PEOPLE[kind]
    held = {Holder(each.value) for each in roles}
    if role is not None:
        held |= {Holder.COLLABORATOR, PROJECT_ROLES[role.value]}
    early = before in EARLY and to in EARLY
    if kind == "model owner" or (kind == "creator" and early):
        held.add(Holder.MODEL_OWNER)
    return RULES[Action.VERSION_STAGE if early else Action.VERSION_RELEASE].allows(held)


@pytest.mark.parametrize(("before", "to"), MOVES, ids=[f"{before}-{to}" for before, to in MOVES])
def test_a_stage_is_left_by_whom_the_table_lets_at_every_door(doors: Doors, before: Stage, to: Stage) -> None:
    ways = {"REST": doors.by_rest, "command": doors.by_command}
    # MLflow has one name for all early stages, so this is not a transition there.
    if to_mlflow(before) != to_mlflow(to):
        ways["MLflow"] = doors.by_mlflow
    wanted, seen = dict[tuple[str, str], bool](), dict[tuple[str, str], bool]()
    doors.reset(before)
    model = doors.platform.ask(lambda client: client.model(doors.registry, doors.model))
    version = doors.platform.ask(lambda client: client.version(doors.registry, doors.model, 1))
    for kind, name in doors.names.items():
        may = expected(kind, before, to)
        me = doors.platform.ask(lambda client: client.whoami(), user=name)
        wanted[kind, "screen"] = may
        seen[kind, "screen"] = to in allowed(me, model, version, doors.environment)
        for door, move in ways.items():
            move(name, to)
            wanted[kind, door] = may
            seen[kind, door] = doors.stage() is not before
            if seen[kind, door]:
                doors.reset(before)
    assert {each: (seen[each], wanted[each]) for each in wanted if seen[each] != wanted[each]} == {}
    assert any(wanted.values()) and not all(wanted.values())
