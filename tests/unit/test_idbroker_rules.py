"""IDBroker mappings:

CDP's rules, synchronized and unsynchronized changes, and access from before there were mappings.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from registry_tui.schemas.idbroker import (
    IdBrokerMapping,
    IdBrokerMappings,
    IdBrokerSync,
    IdBrokerSyncStatus,
    SetIdBrokerMappings,
    SyncStatus,
)
from registry_tui.schemas.places import Cloud
from registry_tui.service.errors import InvalidInput
from registry_tui.service.http.problems import problem_response
from registry_tui.service.idbroker import rules
from registry_tui.wording.idbroker import as_lines, parsed, synchronized
from support.idbroker_requests import ACCOUNT, AUDIT, AZURE, ELSEWHERE, GROUP, KNOWN, MACHINE, PERSON, ROLE, asked


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
