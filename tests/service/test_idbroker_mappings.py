"""IDBroker mappings at CDP's addresses: without effect until they are synchronized, then enforced by the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from registry_tui.client.errors import Conflict
from registry_tui.platform import supervisor
from registry_tui.schemas.idbroker import IdBrokerMapping, IdBrokerMappings, SetIdBrokerMappings
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Cloud, CollaboratorChange, Environment, EnvironmentCreate, Role
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate, RegistryDelete, StorageAccess
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import IdBrokerRow
from support.machine_users import machine_store
from support.platforms import PATIENCE, Platform, unique, wait_for

API = "/api/v1/environments2"
CALLS = (
    "getIdBrokerMappings",
    "setIdBrokerMappings",
    "deleteIdBrokerMappings",
    "syncIdBrokerMappings",
    "getIdBrokerMappingsSyncStatus",
)
ROLE = "arn:aws:iam::123456789012:role/lab-data-access"
AUDIT = "arn:aws:iam::123456789012:role/lab-ranger-audit"


@dataclass(frozen=True)
class Place:
    """An environment without RAZ, with a registry whose machine user was given nothing."""

    platform: Platform
    environment: Environment
    registry: ModelRegistry
    http: httpx.Client = field(repr=False)

    def call(self, name: str, *, status: int = 200, user: str | None = None, **body: Any) -> Any:
        headers = {} if user is None else {"X-Registry-User": user}
        if name != "deleteIdBrokerMappings":
            body.setdefault("environmentName", self.environment.name)
        answer = self.http.post(f"{API}/{name}", headers=headers, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def set(self, *mappings: tuple[str, str], status: int = 200, **more: Any) -> Any:
        """Sets the mappings, as CDP's scripts write them."""
        body: dict[str, Any] = {
            "dataAccessRole": ROLE,
            "rangerAuditRole": AUDIT,
            "mappings": [{"accessorCrn": crn, "role": role} for crn, role in mappings],
            "setEmptyMappings": not mappings,
        }
        return self.call("setIdBrokerMappings", status=status, **{**body, **more})

    def sync(self) -> Any:
        """Synchronizes, and returns the status."""
        assert self.call("syncIdBrokerMappings") == {}
        return self.call("getIdBrokerMappingsSyncStatus")

    @property
    def machine_user(self) -> str:
        assert self.registry.machine_user_crn is not None
        return self.registry.machine_user_crn

    def machine(self) -> Any:
        """The object store, with the machine user's own key."""
        return machine_store(self.platform, self.registry)

    def may(self, verb: str, key: str = "") -> bool:
        client, at = self.machine(), {"Bucket": self.environment.bucket, "Key": key}
        try:
            if verb == "write":
                client.put_object(**at, Body=b"x")
            elif verb == "read":
                client.get_object(**at)
            elif verb == "delete":
                client.delete_object(**at)
            else:
                client.list_objects_v2(Bucket=self.environment.bucket, Prefix=key)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            assert code in ("AccessDenied", "NoSuchKey"), error
            return bool(code == "NoSuchKey")
        return True

    def access(self) -> StorageAccess:
        return self.platform.ask(lambda client: client.registry(self.registry.id)).storage_access


def made_on(platform: Platform, http: httpx.Client) -> Place:
    request = EnvironmentCreate(name=unique("broker").lower(), cloud=Cloud.AWS, raz_enabled=False)
    environment = platform.ask(lambda client: client.create_environment(request))
    wanted = RegistryCreate(environment=environment.name, grant_storage_access=False)
    made = platform.ask(lambda client: client.create_registry(wanted))
    done = platform.ask(lambda client: client.wait_for_workflow(made.workflow.id))
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    return Place(platform, environment, made.resource, http)


@pytest.fixture(scope="module")
def place(platform: Platform) -> Iterator[Place]:
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket))
    with httpx.Client(transport=transport, base_url="http://service", timeout=PATIENCE) as http:
        made = made_on(platform, http)
        yield made
    request = RegistryDelete(delete_archives=True, force=True)
    gone = platform.ask(lambda client: client.delete_registry(made.registry.id, request))
    platform.ask(lambda client: client.wait_for_workflow(gone.workflow.id))
    platform.ask(lambda client: client.delete_environment(made.environment.id))


def test_the_documented_procedure_lets_the_machine_user_in(place: Place) -> None:
    """Copy the CRN, map it to the Data Access Role, save, synchronize."""
    assert place.access() is StorageAccess.NOT_GRANTED and not place.may("write", "modelregistry/x")
    before = place.call("getIdBrokerMappings")["mappingsVersion"]
    saved = place.set((place.machine_user, ROLE))
    assert saved == {
        "mappingsVersion": before + 1,
        "dataAccessRole": ROLE,
        "rangerAuditRole": AUDIT,
        "mappings": [{"accessorCrn": place.machine_user, "role": ROLE}],
    }
    assert place.call("getIdBrokerMappings") == saved
    # Saved alone it has no effect.
    assert place.call("getIdBrokerMappingsSyncStatus")["syncNeeded"] is True
    assert not place.may("write", "modelregistry/x") and place.access() is StorageAccess.NOT_GRANTED

    status = place.sync()
    assert (status["globalStatus"], status["syncNeeded"]) == ("COMPLETED", False)
    ((crn, run),) = status["statuses"].items()
    assert crn.endswith(f":datalake:{place.environment.id}")
    assert set(run) == {"status", "startDate", "endDate"} and run["startDate"] <= run["endDate"]
    for verb in ("write", "read", "delete"):
        assert place.may(verb, "modelregistry/x"), verb
    assert place.may("list", "modelregistry/x") and place.may("list", "workspaces/x")
    assert place.may("read", "workspaces/y") and not place.may("write", "workspaces/y")
    assert not place.may("write", "elsewhere/z") and place.access() is StorageAccess.GRANTED

    # Taking it out has no effect either until it is synchronized.
    place.set()
    assert place.may("write", "modelregistry/x")
    assert place.sync()["globalStatus"] == "COMPLETED"
    for verb in ("write", "read", "delete"):
        assert not place.may(verb, "modelregistry/x"), verb
    assert not place.may("list", "modelregistry/x") and place.access() is StorageAccess.NOT_GRANTED


def test_another_role_gives_nothing_and_setting_overwrites_all(place: Place) -> None:
    person = place.platform.ask(lambda client: client.whoami()).crn
    place.set((place.machine_user, AUDIT), (person, ROLE))
    place.sync()
    assert not place.may("write", "modelregistry/x") and place.access() is StorageAccess.NOT_GRANTED
    place.set((place.machine_user, ROLE))
    place.sync()
    assert place.may("write", "modelregistry/x")
    assert [each["accessorCrn"] for each in place.call("getIdBrokerMappings")["mappings"]] == [place.machine_user]
    assert place.call("deleteIdBrokerMappings", environmentCrn=place.environment.crn) == {}
    assert place.may("write", "modelregistry/x")
    place.sync()
    assert not place.may("write", "modelregistry/x") and not place.call("getIdBrokerMappings")["mappings"]


def test_a_change_to_a_version_is_refused_once_somebody_else_changed_the_mappings(place: Place) -> None:
    request = SetIdBrokerMappings(
        environment_name=place.environment.name,
        data_access_role=ROLE,
        ranger_audit_role=AUDIT,
        mappings=[IdBrokerMapping(accessor_crn=place.machine_user, role=ROLE)],
    )
    before = place.set((place.machine_user, AUDIT))
    theirs = place.set((place.machine_user, AUDIT))

    def save(version: int) -> IdBrokerMappings:
        return place.platform.ask(lambda client: client.set_idbroker_mappings(request, version=version))

    with pytest.raises(Conflict, match="changed meanwhile"):
        save(before["mappingsVersion"])
    assert place.call("getIdBrokerMappings") == theirs
    assert save(theirs["mappingsVersion"]).mappings == request.mappings
    place.set()
    place.sync()


def test_granting_and_revoking_are_mappings_in_one_step(place: Place) -> None:
    granted = place.platform.ask(lambda client: client.grant_storage_access(place.registry.id))
    assert granted.storage_access is StorageAccess.GRANTED and place.may("write", "modelregistry/x")
    found = place.call("getIdBrokerMappings")
    assert found["mappings"] == [{"accessorCrn": place.machine_user, "role": found["dataAccessRole"]}]
    assert place.call("getIdBrokerMappingsSyncStatus")["syncNeeded"] is False
    place.platform.ask(lambda client: client.grant_storage_access(place.registry.id))
    assert place.call("getIdBrokerMappings") == found
    revoked = place.platform.ask(lambda client: client.revoke_storage_access(place.registry.id))
    assert revoked.storage_access is StorageAccess.NOT_GRANTED and not place.may("write", "modelregistry/x")
    assert place.call("getIdBrokerMappings")["mappings"] == []


def test_a_registry_that_is_granted_when_it_is_made_is_mapped_and_leaves_no_mapping_behind(
    platform: Platform, place: Place
) -> None:
    request = EnvironmentCreate(name=unique("broker").lower(), cloud=Cloud.AZURE, raz_enabled=False)
    environment = platform.ask(lambda client: client.create_environment(request))
    wanted = RegistryCreate(
        environment=environment.name,
        existing_nfs="10.0.0.4:/m",
        nfs_protocol_version="4.1",
        grant_storage_access=True,
    )
    made = platform.ask(lambda client: client.create_registry(wanted))
    platform.ask(lambda client: client.wait_for_workflow(made.workflow.id))
    other = Place(platform, environment, made.resource, place.http)
    found = other.call("getIdBrokerMappings")
    assert found["dataAccessRole"].startswith("/subscriptions/")
    assert [each["accessorCrn"] for each in found["mappings"]] == [other.machine_user]
    assert other.may("write", "modelregistry/x") and other.access() is StorageAccess.GRANTED
    # Its machine user cannot be let into another environment.
    answer = place.set((other.machine_user, ROLE), status=422)
    assert environment.name in answer["message"]
    gone = platform.ask(lambda client: client.delete_registry(made.resource.id, RegistryDelete(delete_archives=True)))
    done = platform.ask(lambda client: client.wait_for_workflow(gone.workflow.id))
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    assert other.call("getIdBrokerMappings")["mappings"] == []
    platform.ask(lambda client: client.delete_environment(environment.id))


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"mappings": []}, "setEmptyMappings"),
        ({"mappings": None, "setEmptyMappings": None}, "setEmptyMappings"),
        ({"setEmptyMappings": True}, "setEmptyMappings"),
        ({"rangerAuditRole": None}, "rangerAuditRole"),
        ({"dataAccessRole": "admin"}, "dataAccessRole"),
        ({"dataAccessRole": None}, "dataAccessRole"),
        ({"mappings": [{"accessorCrn": "ana", "role": ROLE}]}, "mappings.0.accessorCrn"),
        ({"mappings": [{"accessorCrn": "ana"}]}, "mappings.0.role"),
        ({"mapping": []}, "mapping"),
    ],
)
def test_wrong_mappings_are_refused_with_their_fields_and_change_nothing(
    place: Place, change: dict[str, Any], wrong: str
) -> None:
    before = place.call("getIdBrokerMappings")
    answer = place.set((place.machine_user, ROLE), status=422, **{"setEmptyMappings": False, **change})
    assert wrong in [each["field"] for each in answer["errors"]], answer
    # The field that CDP's own clients show.
    assert wrong in answer["message"]
    assert place.call("getIdBrokerMappings") == before


def test_mappings_are_for_administrators(place: Place) -> None:
    project = place.platform.new_project()
    guest = unique("guest")
    change = CollaboratorChange(role=Role.ADMIN)
    place.platform.ask(lambda client: client.set_collaborator(project.id, guest, change))
    for name in CALLS:
        if name == "setIdBrokerMappings":
            place.set((place.machine_user, ROLE), status=403, user=guest)
        elif name == "deleteIdBrokerMappings":
            place.call(name, status=403, user=guest, environmentCrn=place.environment.crn)
        else:
            place.call(name, status=403, user=guest)
    assert not place.may("write", "modelregistry/x")


def test_raz_enabled_environments_have_policies_instead(place: Place) -> None:
    request = EnvironmentCreate(name=unique("raz").lower(), raz_enabled=True)
    raz = place.platform.ask(lambda client: client.create_environment(request))
    for name in CALLS:
        if name == "setIdBrokerMappings":
            answer = place.set(status=409, environmentName=raz.name)
        elif name == "deleteIdBrokerMappings":
            answer = place.call(name, status=409, environmentCrn=raz.crn)
        else:
            answer = place.call(name, status=409, environmentName=raz.name)
        assert "ranger policies" in answer["message"]
    place.platform.ask(lambda client: client.delete_environment(raz.id))
    place.call("getIdBrokerMappings", status=404, environmentName="nowhere")


def test_the_commands_show_set_and_synchronize(place: Place) -> None:
    lab, command = place.environment.name, place.platform.command
    shown = command("idbroker", "set", lab, "--data-access-role", ROLE, "--mapping", place.machine_user)
    assert f"{place.machine_user} = {ROLE}" in shown.stdout and "idbroker sync" in shown.stderr
    assert not place.may("write", "modelregistry/x")
    assert "COMPLETED" in command("idbroker", "sync", lab).stdout
    assert place.may("write", "modelregistry/x")
    assert ROLE in command("idbroker", "show", lab, "--json").stdout
    neither = command("idbroker", "set", lab, check=False)
    assert neither.returncode == 2 and "--empty" in neither.stderr
    wrong = command("idbroker", "set", lab, "--mapping", "ana=admin", check=False)
    assert wrong.returncode == 1 and "mappings.0.accessorCrn" in wrong.stderr
    command("idbroker", "set", lab, "--empty", "--sync")
    assert not place.may("write", "modelregistry/x")
    assert "COMPLETED" in command("idbroker", "status", lab).stdout
    command("idbroker", "delete", lab, "--yes")
    assert "COMPLETED" in command("idbroker", "sync", lab).stdout


def test_a_store_that_is_away_fails_the_synchronization_and_asking_again_repeats_it(own_platform: Platform) -> None:
    transport = httpx.HTTPTransport(uds=str(own_platform.home.service_socket))
    with httpx.Client(transport=transport, base_url="http://service", timeout=PATIENCE) as http:
        place = made_on(own_platform, http)
        place.set((place.machine_user, ROLE))
        supervisor.stop_part(own_platform.home, "object-store")
        status = place.sync()
        (run,) = status["statuses"].values()
        assert (status["globalStatus"], status["syncNeeded"]) == ("FAILED", True)
        assert "object store" in run["errorDetail"] and run["startDate"] <= run["endDate"]
        failed = own_platform.command("idbroker", "sync", place.environment.name, check=False)
        assert failed.returncode == 1 and "FAILED" in failed.stdout and "The synchronization failed" in failed.stderr
        own_platform.up()
        assert place.sync()["globalStatus"] == "COMPLETED"
        assert place.may("write", "modelregistry/x") and place.access() is StorageAccess.GRANTED


def test_access_from_before_there_were_mappings_is_one_after_the_next_start(own_platform: Platform) -> None:
    transport = httpx.HTTPTransport(uds=str(own_platform.home.service_socket))
    with httpx.Client(transport=transport, base_url="http://service", timeout=PATIENCE) as http:
        place = made_on(own_platform, http)
        own_platform.ask(lambda client: client.grant_storage_access(place.registry.id))
        database = Database.at(own_platform.home.service_database)
        with database.session() as session:
            session.delete(session.get_one(IdBrokerRow, place.environment.id))
        database.close()
        killed = own_platform.kill("service")
        wait_for(lambda: own_platform.pid("service") not in (0, killed), what="the supervisor to start it again")
        own_platform.up()

        def status() -> Any:
            return place.call("getIdBrokerMappingsSyncStatus")

        wait_for(lambda: status()["globalStatus"] == "COMPLETED", what="the mapping to be synchronized")
        assert status()["syncNeeded"] is False
        mapped = place.call("getIdBrokerMappings")
        assert mapped["mappings"] == [{"accessorCrn": place.machine_user, "role": mapped["dataAccessRole"]}]
        assert place.may("write", "modelregistry/x") and place.access() is StorageAccess.GRANTED
