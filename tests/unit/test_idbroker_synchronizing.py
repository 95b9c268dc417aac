"""IDBroker mappings saved and synchronized, and access from before there were mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_tui.schemas.idbroker import IdBrokerMapping, SyncStatus
from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.registries import StorageAccess
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import EnvironmentRow, IdBrokerRow, RegistryRow
from registry_tui.service.errors import Missing, NotPermitted, PartUnavailable, WrongState
from registry_tui.service.idbroker import mappings, synchronizing
from registry_tui.service.operations import events
from registry_tui.service.registries import lifecycle, storage_access
from registry_tui.wording.storage_access import still_granted
from support.bare_idbroker import Users, made, mapped, registry
from support.idbroker_requests import AUDIT, ROLE, asked


@pytest.fixture
def users() -> Users:
    return Users()


@pytest.fixture
def service(tmp_path: Path, users: Users) -> Service:
    return made(tmp_path, users)


@pytest.fixture
def owner(service: Service) -> Principal:
    return identity.owner_principal(service)


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
