"""People at every door: tokens, suspension."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, Refused, RegistryError
from registry_tui.schemas.deployments import ApiKeyCreate
from registry_tui.schemas.models import ModelUpdate
from registry_tui.schemas.people import UserChange, UserState, UserTokenCreate
from registry_tui.schemas.places import CollaboratorChange, Role
from support import served
from support.platforms import PATIENCE, Platform, unique
from support.raw_mlflow import RawMlflow, contributor
from support.registered import mlflow_client
from support.served import split


@dataclass(frozen=True)
class Doors:
    """One person at every door of the platform, each of which answers with an HTTP status."""

    platform: Platform
    name: str
    token: str
    key: str
    mlflow: RawMlflow
    endpoint: str
    project: str
    deployment: str

    def service(self, **headers: str) -> int:
        transport = httpx.HTTPTransport(uds=str(self.platform.home.service_socket))
        with httpx.Client(transport=transport, base_url="http://registry-tui/api/v1", timeout=PATIENCE) as http:
            return http.get("/projects", headers=headers).status_code

    def by_token(self) -> int:
        return self.service(Authorization=f"Bearer {self.token}")

    def by_name(self) -> int:
        return self.service(**{"X-Registry-User": self.name})

    def by_mlflow(self) -> int:
        return self.mlflow.ask("POST", "experiments/search", json={"max_results": 10}).status_code

    def by_gateway(self) -> int:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.post(
            self.endpoint, json=split(a=[1.0], b=[2.0]), headers=headers, trust_env=False, timeout=PATIENCE
        ).status_code

    def answers(self) -> list[int]:
        return [self.by_token(), self.by_name(), self.by_mlflow(), self.by_gateway()]


@pytest.fixture
def doors(platform: Platform) -> Doors:
    made = served.register(platform, platform.new_project())
    deployment = served.deploy(platform, made, authentication=True)
    mlflow = contributor(platform, made.project.id)
    token = platform.ask(lambda client: client.create_token(mlflow.user, UserTokenCreate(name="laptop"))).token
    key = platform.ask(lambda client: client.create_key(ApiKeyCreate(name="calls")), user=mlflow.user).key
    endpoint = f"http://127.0.0.1:{platform.ports.gateway}/endpoints/{deployment.access_key}/invocations"
    return Doors(platform, mlflow.user, token, key, mlflow, endpoint, made.project.id, deployment.id)


def test_a_suspended_person_is_refused_at_every_door_at_once_and_let_in_again(doors: Doors) -> None:
    platform, name = doors.platform, doors.name
    assert doors.answers() == [200] * 4
    platform.call(RegistryClient.change_user, name, UserChange(state=UserState.SUSPENDED))
    assert doors.answers() == [403, 403, 401, 403]
    # Other people's changes in the project meanwhile admit nobody.
    platform.call(RegistryClient.set_collaborator, doors.project, name, CollaboratorChange(role=Role.VIEWER))
    assert doors.answers() == [403, 403, 401, 403]
    platform.call(RegistryClient.change_user, name, UserChange(state=UserState.ACTIVE))
    assert doors.answers() == [200] * 4


def test_whoever_runs_the_installation_cannot_be_suspended(platform: Platform) -> None:
    owner = platform.ask(lambda client: client.whoami())
    assert owner.administrator
    with pytest.raises(RegistryError, match="cannot be suspended"):
        platform.call(RegistryClient.change_user, owner.name, UserChange(state=UserState.SUSPENDED))


def test_only_the_administrator_makes_and_changes_users(platform: Platform) -> None:
    name = unique("u")
    platform.call(RegistryClient.put_user, name, UserChange(full_name="Ada Lovelace", email="ada@example.org"))
    found = platform.ask(lambda client: client.whoami(), user=name)
    assert (found.full_name, found.email, found.state) == ("Ada Lovelace", "ada@example.org", UserState.ACTIVE)
    for change in (UserChange(full_name="x"), UserChange(state=UserState.SUSPENDED)):
        with pytest.raises(Refused):
            platform.ask(lambda client, change=change: client.change_user(name, change), user=name)  # type: ignore[misc]
    with pytest.raises(Refused):
        platform.ask(lambda client: client.put_user(unique("u"), UserChange()), user=name)


def test_commands_make_people_and_tokens(platform: Platform) -> None:
    name = unique("u")
    assert name in platform.command("users", "create", name, "--full-name", "Ada Lovelace").stdout
    token = platform.command("tokens", "create", "laptop", "--for", name).stdout.strip()
    listed = platform.command("tokens", "list", "--for", name).stdout
    id_ = token.split("_")[1]
    assert id_ in listed and token not in listed
    assert platform.command("users", "suspend", name, "--yes").returncode == 0
    refused = platform.command("--user", name, "projects", "list", check=False)
    assert refused.returncode == 1 and "suspended" in refused.stderr
    platform.command("users", "resume", name)
    assert platform.command("--user", name, "projects", "list", check=False).returncode == 0
    assert platform.command("tokens", "revoke", f"rt_{id_}", "--for", name, "--yes").returncode == 0
    again = platform.command("tokens", "revoke", id_, "--for", name, "--yes", check=False)
    assert again.returncode == 1 and "revoked already" in again.stderr


def test_roles_of_a_person_and_of_groups_count_from_the_next_request_on(platform: Platform) -> None:
    name, group, place = unique("u"), unique("g"), unique("roles")
    platform.command("environments", "create", place)
    platform.command("users", "create", name)
    platform.command("groups", "create", group)
    platform.command("groups", "add", group, name)

    def sees() -> bool:
        return platform.command("--user", name, "environments", "show", place, check=False).returncode == 0

    def makes() -> int:
        workspace = unique("ws")
        return platform.command("--user", name, "workspaces", "create", workspace, "-e", place, check=False).returncode

    assert not sees() and makes() == 1
    platform.command("environments", "roles", "grant", place, "EnvironmentUser", "MLUser", "--to-group", group)
    assert sees() and makes() == 1
    held = platform.ask(lambda client: client.whoami(), user=name)
    assert held.groups == [group]
    assert [(each.environment_name, each.roles) for each in held.roles] == [(place, ["EnvironmentUser", "MLUser"])]
    platform.command("environments", "roles", "grant", place, "EnvironmentAdmin", "--to", name)
    assert makes() == 0
    assert name in platform.command("environments", "roles", "list", place).stdout
    platform.command("environments", "roles", "revoke", place, "EnvironmentAdmin", "--to", name, "--yes")
    assert sees() and makes() == 1
    shown = platform.command("groups", "remove", group, name, "--dry-run")
    assert "is lost: " in shown.stdout or "are lost: " in shown.stdout
    assert platform.command("groups", "remove", group, name, check=False).returncode == 2
    assert sees()
    platform.command("groups", "remove", group, name, "--yes")
    assert not sees()
    platform.command("groups", "add", group, name)
    assert sees()
    platform.command("groups", "delete", group, "--yes")
    assert not sees()


def test_a_deleted_user_leaves_everything_to_somebody_named(doors: Doors) -> None:
    platform, leaving, heir = doors.platform, doors.name, unique("heir")
    platform.call(RegistryClient.put_user, heir, UserChange())
    platform.call(RegistryClient.set_collaborator, doors.project, leaving, CollaboratorChange(role=Role.ADMIN))
    deployed = platform.ask(lambda client: client.deployment(doors.deployment))
    registry, model = deployed.registry_id, deployed.model_name
    owned = ModelUpdate(owner=leaving)
    platform.ask(lambda client: client.update_model(registry, model, owned))
    for to in (leaving, unique("unknown")):
        refused = platform.command("users", "delete", leaving, "--to", to, "--yes", check=False)
        assert refused.returncode == 1, refused.stdout
    assert doors.answers() == [200] * 4
    platform.command("users", "delete", leaving, "--to", heir, "--yes")
    assert doors.answers() == [401, 403, 401, 401]
    assert platform.ask(lambda client: client.model(registry, model), user=heir).owner == heir
    roles = {each.user: each.role for each in platform.ask(lambda client: client.collaborators(doors.project)).items}
    assert roles[heir] is Role.ADMIN and leaving not in roles
    with pytest.raises(NotFound):
        platform.call(RegistryClient.user, leaving)
    # Somebody new of that name gets nothing back.
    platform.call(RegistryClient.put_user, leaving, UserChange())
    assert platform.ask(lambda client: client.projects(), user=leaving).items == []
    assert platform.ask(lambda client: client.events(), user=leaving).items == []
    assert doors.by_token() == 401 and doors.by_gateway() == 401
    platform.call(RegistryClient.set_collaborator, doors.project, leaving, CollaboratorChange(role=Role.VIEWER))
    mine = platform.ask(lambda client: client.credentials(doors.project), user=leaving)
    assert doors.by_mlflow() == 401, "the password of the one who left"
    with mlflow_client(mine) as http:
        http.post("/api/2.0/mlflow/experiments/search", json={"max_results": 1}).raise_for_status()


def test_the_projects_of_a_person_are_shown_to_themselves_and_the_administrator(platform: Platform) -> None:
    project = platform.new_project()
    name, other = unique("u"), unique("u")
    for user in (name, other):
        platform.call(RegistryClient.put_user, user, UserChange())
        platform.call(RegistryClient.set_collaborator, project.id, user, CollaboratorChange(role=Role.VIEWER))
    for asking in (None, name):
        found = platform.ask(lambda client: client.user(name), user=asking)
        assert [(each.project_id, each.role) for each in found.projects] == [(project.id, Role.VIEWER)]
    assert platform.ask(lambda client: client.user(name), user=other).projects == []
    listed = platform.ask(lambda client: client.users(page_size=1000), user=other).items
    assert {each.name: bool(each.projects) for each in listed}[name] is False


def test_a_person_shows_when_a_token_was_used_last(platform: Platform) -> None:
    name = unique("u")
    platform.call(RegistryClient.put_user, name, UserChange())
    made = platform.call(RegistryClient.create_token, name, UserTokenCreate(name="laptop"))
    assert platform.call(RegistryClient.user, name).last_used_at is None
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket))
    with httpx.Client(transport=transport, base_url="http://registry-tui/api/v1", timeout=PATIENCE) as http:
        assert http.get("/user", headers={"Authorization": f"Bearer {made.token}"}).status_code == 200
    assert platform.call(RegistryClient.user, name).last_used_at is not None
