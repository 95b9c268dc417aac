"""IDBroker mappings:

CDP's rules, synchronized and unsynchronized changes, and access from before there were mappings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from sqlalchemy import MetaData, Table, insert

from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import AccessKey, Secrets
from registry_tui.schemas.idbroker import (
    IdBrokerMapping,
    IdBrokerMappings,
    IdBrokerSync,
    IdBrokerSyncStatus,
    SetIdBrokerMappings,
    SyncStatus,
)
from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.places import Cloud
from registry_tui.schemas.registries import StorageAccess
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.database import LATEST_REVISION, Database
from registry_tui.service.database.migrations import upgrade
from registry_tui.service.database.tables import EnvironmentRow, IdBrokerRow, RegistryRow
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted, PartUnavailable, WrongState
from registry_tui.service.http.problems import problem_response
from registry_tui.service.idbroker import mappings, rules, synchronizing
from registry_tui.service.operations import events
from registry_tui.service.registries import lifecycle, storage_access
from registry_tui.service.settings import Settings
from registry_tui.service.stores.base import Stores
from registry_tui.wording.idbroker import as_lines, parsed, synchronized
from registry_tui.wording.storage_access import still_granted
from support.databases import new_database

ROLE = "arn:aws:iam::123456789012:role/data"
AUDIT = "arn:aws:iam::123456789012:role/path/to/audit"
AZURE = (
    "/subscriptions/0a1b2c3d-0000-0000-0000-000000000000/resourceGroups/lab"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/data-access"
)
ACCOUNT = "0000aaaa-0000-0000-0000-000000000000"
MACHINE = f"crn:altus:iam:us-west-1:{ACCOUNT}:machineUser:srv_cml_env_machine_user_82a49/1"
ELSEWHERE = f"crn:altus:iam:us-west-1:{ACCOUNT}:machineUser:srv_cml_env_machine_user_00000/2"
PERSON = f"crn:altus:iam:us-west-1:{ACCOUNT}:user:3"
GROUP = f"crn:altus:iam:us-west-1:{ACCOUNT}:group:scientists/11111111-2222-3333-4444-555555555555"
KNOWN = rules.Accessors(ACCOUNT, frozenset({PERSON}), {MACHINE: "lab", ELSEWHERE: "other"})


def asked(*accessors: str, role: str = ROLE, **more: Any) -> SetIdBrokerMappings:
    given: dict[str, Any] = {
        "environment_name": "lab",
        "data_access_role": role,
        "ranger_audit_role": AUDIT if role == ROLE else role,
        "mappings": [IdBrokerMapping(accessor_crn=crn, role=role) for crn in accessors],
    }
    return SetIdBrokerMappings(**{**given, **more})


def refused(request: SetIdBrokerMappings, cloud: Cloud = Cloud.AWS) -> set[str]:
    """The fields for which a request is refused."""
    try:
        rules.checked(cloud, "lab", KNOWN, request)
    except InvalidInput as error:
        return {each.field for each in error.errors}
    return set()


def test_users_groups_and_machine_users_can_be_mapped() -> None:
    found = rules.checked(Cloud.AWS, "lab", KNOWN, asked(MACHINE, PERSON, GROUP))
    assert [each.accessor_crn for each in found.mappings] == [MACHINE, PERSON, GROUP]
    assert (found.data_access_role, found.ranger_audit_role) == (ROLE, AUDIT)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        # Without mappings the flag is needed, with some it is refused; scripts of CDP write `false` then.
        ({"mappings": []}, {"setEmptyMappings"}),
        ({"mappings": None}, {"setEmptyMappings"}),
        ({"mappings": [], "set_empty_mappings": False}, {"setEmptyMappings"}),
        ({"mappings": [], "set_empty_mappings": True}, set()),
        ({"mappings": None, "set_empty_mappings": True}, set()),
        ({"set_empty_mappings": True}, {"setEmptyMappings"}),
        ({"set_empty_mappings": False}, set()),
        ({"ranger_audit_role": None}, {"rangerAuditRole"}),
        ({"ranger_audit_role": "", "baseline_role": ROLE}, {"rangerAuditRole"}),
        ({"ranger_audit_role": AZURE}, {"rangerAuditRole"}),
        ({"data_access_role": ""}, {"dataAccessRole"}),
        ({"data_access_role": "admin"}, {"dataAccessRole"}),
        ({"data_access_role": "arn:aws:iam::12345:role/short"}, {"dataAccessRole"}),
        ({"data_access_role": "arn:aws:iam::123456789012:user/ana"}, {"dataAccessRole"}),
        ({"data_access_role": f"{ROLE}\n"}, {"dataAccessRole"}),
        ({"data_access_role": "arn:aws-us-gov:iam::123456789012:role/x"}, set()),
        ({"baseline_role": "x"}, {"baselineRole"}),
        ({"ranger_cloud_access_authorizer_role": "x"}, {"rangerCloudAccessAuthorizerRole"}),
        ({"ranger_cloud_access_authorizer_role": ROLE}, set()),
        ({"mappings": [{"accessor_crn": MACHINE, "role": "x"}]}, {"mappings.0.role"}),
    ],
)
def test_the_fields_follow_the_rules_of_cdp(given: dict[str, Any], fields: set[str]) -> None:
    assert refused(asked(MACHINE, **given)) == fields


def test_roles_of_azure_are_resource_ids_of_managed_identities() -> None:
    assert refused(asked(MACHINE, role=AZURE), Cloud.AZURE) == set()
    assert refused(asked(MACHINE), Cloud.AZURE) == {"dataAccessRole", "rangerAuditRole", "mappings.0.role"}
    for wrong in (AZURE.rpartition("/")[0], AZURE.replace("userAssignedIdentities", "roles"), f"{AZURE}/x"):
        assert "dataAccessRole" in refused(asked(MACHINE, role=AZURE, data_access_role=wrong), Cloud.AZURE)
    # Azure compares resource IDs without case, AWS compares ARNs with it.
    other_case = [IdBrokerMapping(accessor_crn=MACHINE, role=AZURE.upper())]
    found = rules.checked(Cloud.AZURE, "lab", KNOWN, asked(role=AZURE, mappings=other_case))
    assert rules.has_data_access(Cloud.AZURE, found, MACHINE)
    assert not rules.has_data_access(Cloud.AWS, found, MACHINE)


@pytest.mark.parametrize(
    "crn",
    [
        "",
        "ana",
        MACHINE[:-1],
        PERSON.replace(":user:3", ":user:4"),
        GROUP.replace(ACCOUNT, "another-account"),
        f"{GROUP} ",
        ELSEWHERE,
    ],
)
def test_who_is_not_of_this_installation_or_environment_cannot_be_mapped(crn: str) -> None:
    assert refused(asked(MACHINE, crn)) == {"mappings.1.accessorCrn"}


def test_nobody_has_two_roles() -> None:
    assert refused(asked(MACHINE, PERSON, MACHINE)) == {"mappings.2.accessorCrn"}


def test_only_the_data_access_role_gives_access() -> None:
    audit = [IdBrokerMapping(accessor_crn=MACHINE, role=AUDIT)]
    found = rules.checked(Cloud.AWS, "lab", KNOWN, asked(mappings=audit))
    assert not rules.has_data_access(Cloud.AWS, found, MACHINE)
    granted = rules.with_data_access(found, MACHINE)
    assert [each.role for each in granted.mappings] == [ROLE]
    assert rules.has_data_access(Cloud.AWS, granted, MACHINE)
    assert not rules.without(granted, MACHINE).mappings


def test_a_mapping_of_a_group_counts_for_whoever_is_in_it_and_is_not_mapped_alone() -> None:
    of_all, id_ = f"crn:altus:iam:us-west-1:{ACCOUNT}:group:team", "1111aaaa-2222-3333-4444-555555555555"
    for crn, groups, has in (
        (f"{of_all}/{id_}", {"team": id_.upper()}, True),
        (of_all, {"other": "1", "team": id_}, True),
        (f"{of_all}/{id_}", {"team": "another group of this name"}, False),
        (of_all, {"tea": id_, "team2": id_}, False),
        (of_all, {}, False),
        (PERSON, {"3": "3"}, False),
    ):
        mapping = IdBrokerMapping(accessor_crn=crn, role=ROLE)
        found = IdBrokerMappings(data_access_role=ROLE, ranger_audit_role=AUDIT, mappings=[mapping])
        assert rules.has_data_access(Cloud.AWS, found, MACHINE, groups) is has, crn
        alone = found.model_copy(
            update={"mappings": [*found.mappings, IdBrokerMapping(accessor_crn=MACHINE, role=AUDIT)]}
        )
        assert not rules.has_data_access(Cloud.AWS, alone, MACHINE, groups)


@pytest.mark.parametrize("cloud", Cloud)
def test_the_first_roles_of_an_environment_are_valid(cloud: Cloud) -> None:
    first = rules.default_roles(cloud, "lab", ACCOUNT)
    request = asked(
        role=first.data_access_role,
        ranger_audit_role=first.ranger_audit_role,
        mappings=None,
        set_empty_mappings=True,
    )
    assert refused(request, cloud) == set()
    assert first.data_access_role != first.ranger_audit_role


# -- saved and synchronized, on a store that records its calls -----------------------------------------------


@dataclass
class Users:
    """Machine users of an object store, and their policies."""

    policies: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    away: bool = False

    def _answer(self) -> None:
        if self.away:
            raise PartUnavailable("The object store does not answer", action="Start it")

    def put_policy(self, name: str, policy: Mapping[str, Any]) -> None:
        self._answer()
        self.policies[name] = policy

    def delete_policy(self, name: str) -> None:
        self._answer()
        self.policies.pop(name, None)

    def probe_prefix(self, key: AccessKey, bucket: str, prefix: str, registry: str = "") -> None:
        self._answer()
        if key.access_key_id not in self.policies:
            raise NotPermitted("access denied")


@pytest.fixture
def users() -> Users:
    return Users()


def made(
    folder: Path, users: Users, revision: str = LATEST_REVISION, lab: StorageAccess = StorageAccess.NOT_GRANTED
) -> Service:
    """A service with an environment with RAZ and one without, whose tables are those of a revision."""
    if revision == LATEST_REVISION:
        database = new_database(folder)
    else:
        database = Database.at(folder / "service.db")
        with database.engine.begin() as connection:
            upgrade(connection, revision)
    nothing = cast(Any, None)
    service = Service(
        home=Home(folder),
        ports=nothing,
        secrets=Secrets(),
        settings=Settings(),
        database=database,
        mlflow=nothing,
        stores=Stores(objects=nothing, users=cast(Any, users)),
        backends=nothing,
        access=nothing,
        workflows=nothing,
    )
    with database.session() as session:
        for name, raz in (("lab", False), ("raz", True)):
            environment = EnvironmentRow(
                name=name, crn=f"crn:{name}", cloud="aws", raz_enabled=raz, bucket=name, creator="me", state="ready"
            )
            session.add(environment)
            session.flush()
            user = f"srv_{name}"
            values = {
                "id": str(uuid4()),
                "name": f"registry-{name}",
                "crn": "c",
                "status": "installation:finished",
                "environment_id": environment.id,
                "location": "control plane",
                "owner": "me",
                "creator": "me",
                "created_at": datetime.now(UTC),
                "updated_at": datetime.now(UTC),
                "prefix": "modelregistry",
                "mlflow_workspace": f"mr-{name}",
                "version": "1",
                "machine_user_crn": identity.crn(session, "machine-user", f"{user}/1"),
                "machine_user_workload_name": user,
                "machine_user_access_key_id": user,
                "machine_user_secret_access_key": "x",
                "storage_access": (lab if name == "lab" else StorageAccess.NOT_GRANTED).value,
                "grant_storage_access": True,
            }
            # The columns of the revision, which the class of today does not know.
            session.execute(insert(Table("registries", MetaData(), autoload_with=session.connection())), values)
    return service


@pytest.fixture
def service(tmp_path: Path, users: Users) -> Service:
    return made(tmp_path, users)


@pytest.fixture
def owner(service: Service) -> Principal:
    return identity.owner_principal(service)


def registry(service: Service) -> RegistryRow:
    with service.database.reading() as session:
        row = session.query(RegistryRow).filter_by(name="registry-lab").one()
        _ = row.environment.name
        return row


def mapped(service: Service) -> SetIdBrokerMappings:
    return asked(registry(service).machine_user_crn or "")


def test_a_mapping_counts_once_it_is_synchronized(service: Service, owner: Principal, users: Users) -> None:
    before = synchronizing.status(service, owner, "lab")
    assert (before.global_status, before.sync_needed) == (SyncStatus.NEVER_RUN, False)
    ((crn, first),) = before.statuses.items()
    assert crn.startswith("crn:cdp:datalake:") and first.start_date is None
    assert mappings.get_mappings(service, owner, "lab").mappings_version == 0

    assert mappings.set_mappings(service, owner, mapped(service)).mappings_version == 1
    assert not users.policies and synchronizing.status(service, owner, "lab").sync_needed

    synchronizing.synchronize(service, owner, "lab")
    (statement, *_) = users.policies["srv_lab"]["Statement"]
    assert statement["Resource"] == ["arn:aws:s3:::lab/workspaces/*"]
    done = synchronizing.status(service, owner, "crn:lab")
    assert (done.global_status, done.sync_needed) == (SyncStatus.COMPLETED, False)
    run = done.statuses[crn]
    assert run.start_date and run.end_date and run.start_date <= run.end_date and run.error_detail is None
    assert registry(service).storage_access == StorageAccess.GRANTED.value

    empty = asked(mappings=[], set_empty_mappings=True)
    assert mappings.set_mappings(service, owner, empty).mappings_version == 2
    assert users.policies and synchronizing.status(service, owner, "lab").sync_needed
    synchronizing.synchronize(service, owner, "lab")
    assert not users.policies and registry(service).storage_access == StorageAccess.NOT_GRANTED.value


def test_mappings_that_somebody_else_changed_are_not_overwritten_unseen(service: Service, owner: Principal) -> None:
    mine = mapped(service)
    before = mappings.get_mappings(service, owner, mine.environment_name).mappings_version
    theirs = mappings.set_mappings(service, owner, mine.model_copy(update={"data_access_role": AUDIT}))
    with pytest.raises(WrongState, match="changed meanwhile") as refusal:
        mappings.set_mappings(service, owner, mine, version=before)
    assert [each.field for each in refusal.value.errors] == ["mappingsVersion"]
    assert mappings.get_mappings(service, owner, mine.environment_name) == theirs
    saved = mappings.set_mappings(service, owner, mine, version=theirs.mappings_version)
    assert saved.mappings_version == theirs.mappings_version + 1 and saved.data_access_role == mine.data_access_role


def test_deleted_mappings_keep_their_effect_until_that_is_synchronized(
    service: Service, owner: Principal, users: Users
) -> None:
    mappings.set_mappings(service, owner, mapped(service))
    synchronizing.synchronize(service, owner, "lab")
    mappings.delete_mappings(service, owner, "crn:lab")
    found = mappings.get_mappings(service, owner, "lab")
    assert not found.mappings and found.data_access_role != ROLE and found.mappings_version == 2
    # A start of the service in between gives nothing back.
    before = dict(users.policies)
    synchronizing.adopt(service)
    assert users.policies == before and synchronizing.status(service, owner, "lab").sync_needed
    synchronizing.synchronize(service, owner, "lab")
    assert not users.policies


def test_a_failed_synchronization_says_why_and_can_be_asked_for_again(
    service: Service, owner: Principal, users: Users
) -> None:
    mappings.set_mappings(service, owner, mapped(service))
    users.away = True
    synchronizing.synchronize(service, owner, "lab")
    failed = synchronizing.status(service, owner, "lab")
    (run,) = failed.statuses.values()
    assert failed.sync_needed and failed.global_status is run.status is SyncStatus.FAILED
    assert run.error_detail == "The object store does not answer. Start it" and run.end_date
    with service.database.reading() as session:
        assert session.query(IdBrokerRow).one().synced_version == 0
    found = events.list_events(service, owner, action="idbroker.synchronize").items
    assert [event.outcome for event in found] == [EventOutcome.FAILED]

    users.away = False
    synchronizing.synchronize(service, owner, "lab")
    assert "srv_lab" in users.policies
    assert synchronizing.status(service, owner, "lab").global_status is SyncStatus.COMPLETED


def test_a_synchronization_that_was_cut_off_is_run_at_the_next_start(
    service: Service, owner: Principal, users: Users
) -> None:
    mappings.set_mappings(service, owner, mapped(service))

    def killed(name: str, policy: Mapping[str, Any]) -> None:
        raise KeyboardInterrupt

    put, users.put_policy = users.put_policy, killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        synchronizing.synchronize(service, owner, "lab")
    assert synchronizing.status(service, owner, "lab").global_status is SyncStatus.RUNNING
    users.put_policy = put  # type: ignore[method-assign]
    synchronizing.adopt(service)
    assert "srv_lab" in users.policies
    assert synchronizing.status(service, owner, "lab").global_status is SyncStatus.COMPLETED


def test_granting_maps_and_synchronizes_in_one_step(service: Service, owner: Principal, users: Users) -> None:
    storage_access.grant(service, registry(service), owner.name)
    first = mappings.get_mappings(service, owner, "lab")
    assert [(each.accessor_crn, each.role) for each in first.mappings] == [
        (registry(service).machine_user_crn, first.data_access_role)
    ]
    assert "srv_lab" in users.policies and not synchronizing.status(service, owner, "lab").sync_needed
    storage_access.grant(service, registry(service), owner.name)
    assert mappings.get_mappings(service, owner, "lab").mappings_version == first.mappings_version
    # Other mappings stay.
    kept = IdBrokerMapping(accessor_crn=owner.crn, role=first.ranger_audit_role)
    mappings.set_mappings(service, owner, asked(mappings=[*first.mappings, kept]))
    users.away = True
    with pytest.raises(PartUnavailable):
        storage_access.revoke(service, registry(service), owner.name)
    assert synchronizing.status(service, owner, "lab").global_status is SyncStatus.FAILED
    users.away = False
    storage_access.revoke(service, registry(service), owner.name)
    assert not users.policies and mappings.get_mappings(service, owner, "lab").mappings == [kept]
    assert registry(service).storage_access == StorageAccess.NOT_GRANTED.value


@pytest.mark.parametrize("still", [True, False])
def test_revoking_by_name_succeeds_and_says_what_a_group_still_gives(
    service: Service, owner: Principal, monkeypatch: pytest.MonkeyPatch, still: bool
) -> None:
    ports, mlflow = SimpleNamespace(s3_endpoint="http://127.0.0.1:1"), SimpleNamespace(call=lambda *_, **__: {})
    service = replace(service, ports=cast(Any, ports), mlflow=cast(Any, mlflow))
    left = StorageAccess.GRANTED if still else StorageAccess.NOT_GRANTED
    id_ = registry(service).id

    def revoke(*_: object) -> None:
        lifecycle.change(service, id_, storage_access=left.value)

    monkeypatch.setattr(storage_access, "revoke", revoke)
    found = lifecycle.revoke_storage_access(service, owner, id_)
    assert found.storage_access is left
    assert ("srv_lab is named no longer" in (still_granted(found) or "")) is still
    event = events.list_events(service, owner, action="registry.revoke-storage").items[0]
    assert (event.outcome, "group" in event.detail) == (EventOutcome.SUCCEEDED, still)


def test_access_from_before_there_were_mappings_stays(service: Service, owner: Principal, users: Users) -> None:
    users.policies["srv_lab"] = {}
    lifecycle.change(service, registry(service).id, storage_access=StorageAccess.GRANTED.value)
    shown = mappings.get_mappings(service, owner, "lab")
    assert shown.mappings_version == 1 and len(shown.mappings) == 1
    synchronizing.adopt(service)
    assert users.policies["srv_lab"]["Statement"]
    assert mappings.get_mappings(service, owner, "lab") == shown
    done = synchronizing.status(service, owner, "lab")
    assert (done.global_status, done.sync_needed) == (SyncStatus.COMPLETED, False)
    # Synchronizing before the service adopted it loses nothing either.
    with service.database.session() as session:
        session.delete(session.query(IdBrokerRow).one())
    synchronizing.synchronize(service, owner, "lab")
    assert "srv_lab" in users.policies


def test_a_platform_from_before_there_were_mappings_keeps_access_and_rows(tmp_path: Path, users: Users) -> None:
    service = made(tmp_path, users, "0008", lab=StorageAccess.GRANTED)
    users.policies["srv_lab"] = {}
    service.database.migrate()
    synchronizing.adopt(service)
    assert users.policies["srv_lab"]["Statement"]
    with service.database.reading() as session:
        assert {row.name for row in session.query(EnvironmentRow)} == {"lab", "raz"}
        assert session.query(RegistryRow).count() == 2
        assert [row.environment_id for row in session.query(IdBrokerRow)] == [registry(service).environment_id]


def test_mappings_are_for_administrators_and_environments_without_raz(service: Service, owner: Principal) -> None:
    identity.ensure_user(service, "ann")
    ann = identity.acting_principal(service, "ann", "1")
    for refuse in (
        lambda who: mappings.get_mappings(service, who, "lab"),
        lambda who: mappings.set_mappings(service, who, mapped(service)),
        lambda who: mappings.delete_mappings(service, who, "lab"),
        lambda who: synchronizing.synchronize(service, who, "lab"),
        lambda who: synchronizing.status(service, who, "lab"),
    ):
        with pytest.raises(NotPermitted):
            refuse(ann)
    denied = events.list_events(service, owner).items
    assert {event.action for event in denied if event.outcome is EventOutcome.DENIED} == {
        "idbroker.set",
        "idbroker.delete",
        "idbroker.synchronize",
    }
    with pytest.raises(WrongState, match="RAZ-enabled"):
        mappings.set_mappings(service, owner, mapped(service).model_copy(update={"environment_name": "raz"}))
    for ask in (mappings.get_mappings, mappings.delete_mappings, synchronizing.synchronize, synchronizing.status):
        with pytest.raises(WrongState):
            ask(service, owner, "raz")
        with pytest.raises(Missing):
            ask(service, owner, "nowhere")


def test_refusals_carry_the_field_that_clients_of_cdp_show() -> None:
    def shown(address: str) -> bytes:
        answer = problem_response(
            status=404, code="c", title="t", detail="It is gone", instance=address, request_id="1", action="Look"
        )
        return bytes(answer.body)

    assert b'"message": "It is gone Look"' in shown("/api/v1/environments2/getIdBrokerMappings")
    assert b'"message"' not in shown("/api/v1/environments")


def test_mappings_are_typed_one_a_line() -> None:
    typed = f"\n {MACHINE}\n{PERSON} = {AUDIT}\n\n{GROUP}=arn:aws:iam::123456789012:role/a=b"
    found = parsed(typed, ROLE)
    assert [(each.accessor_crn, each.role) for each in found] == [
        (MACHINE, ROLE),
        (PERSON, AUDIT),
        (GROUP, "arn:aws:iam::123456789012:role/a=b"),
    ]
    kept = rules.checked(Cloud.AWS, "lab", KNOWN, asked(mappings=found))
    assert as_lines(kept).splitlines()[0] == MACHINE and parsed(as_lines(kept), ROLE) == found
    assert parsed("", ROLE) == []


def test_how_a_synchronization_went_is_one_sentence() -> None:
    def words(status: SyncStatus, needed: bool = False, error: str | None = None) -> str:
        run = IdBrokerSync(status=status, error_detail=error, end_date=datetime(2026, 11, 29, tzinfo=UTC))
        return synchronized(IdBrokerSyncStatus(sync_needed=needed, global_status=status, statuses={"crn": run}))

    assert words(SyncStatus.NEVER_RUN, True) == "Never synchronized (NEVER_RUN), changes have no effect yet"
    assert re.fullmatch(r"Synchronized 2026-11-2\d \d\d:\d\d:\d\d \(COMPLETED\)", words(SyncStatus.COMPLETED))
    failed = words(SyncStatus.FAILED, True, "The Store is away")
    assert failed == "The synchronization failed (FAILED), changes have no effect yet: The Store is away"
    for status in SyncStatus:
        assert words(status)
