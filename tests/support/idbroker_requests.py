"""Requests for IDBroker mappings, with roles and accessors."""

from __future__ import annotations

from typing import Any

from registry_tui.schemas.idbroker import IdBrokerMapping, SetIdBrokerMappings
from registry_tui.service.idbroker import rules

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
