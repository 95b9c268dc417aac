"""Validity and effects of IDBroker mappings: CDP's rules, without the database and the store."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.idbroker import IdBrokerMapping, IdBrokerMappings, SetIdBrokerMappings
from registry_tui.schemas.places import Cloud
from registry_tui.service.errors import InvalidInput

_SEGMENT = r"[\w().-]{1,128}"
_ROLES = {
    Cloud.AWS: re.compile(r"arn:aws(?:-[a-z]+)*:iam::\d{12}:role/(?:[\x21-\x7e]*/)?[\w+=,.@-]{1,64}", re.ASCII),
    # Azure compares resource IDs without case.
    Cloud.AZURE: re.compile(
        rf"/subscriptions/{_SEGMENT}/resourceGroups/{_SEGMENT}"
        rf"/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/{_SEGMENT}",
        re.ASCII | re.IGNORECASE,
    ),
}
_FORMS = {
    Cloud.AWS: "an ARN of a role: arn:aws:iam::<account>:role/<name>",
    Cloud.AZURE: (
        "the resource ID of a managed identity: /subscriptions/<subscription>/resourceGroups/<group>"
        "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>"
    ),
}
_GROUP = r"crn:altus:iam:[a-z0-9-]+:{account}:group:[^\s/:]{{1,128}}(?:/[0-9a-fA-F-]{{36}})?"


@dataclass(frozen=True)
class Accessors:
    """The people, groups and machine users that can be mapped in an environment."""

    #: This installation's account, which CRNs name.
    account: str
    #: CRNs of people.
    people: frozenset[str]
    #: CRNs of all machine users, with their environments' names.
    machine_users: Mapping[str, str]


def default_roles(cloud: Cloud, environment: str, account: str) -> IdBrokerMappings:
    """The roles that an environment has before somebody sets others; nobody is mapped."""
    if cloud is Cloud.AWS:
        # The account in which the object store has its users.
        within = f"arn:aws:iam::000000000000:role/{environment}"
    else:
        within = (
            f"/subscriptions/{account}/resourceGroups/{environment}"
            f"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{environment}"
        )
    return IdBrokerMappings(data_access_role=f"{within}-data-access", ranger_audit_role=f"{within}-ranger-audit")


def checked(cloud: Cloud, environment: str, known: Accessors, request: SetIdBrokerMappings) -> IdBrokerMappings:
    """The mappings that a request sets. Raises InvalidInput with every wrong field."""
    problems = [*_role_problems(cloud, request), *_list_problems(request)]
    problems += _mapping_problems(cloud, environment, known, request.mappings or [])
    if problems:
        detail = "; ".join(f"{each.field}: {each.message}" for each in problems)
        raise InvalidInput(f"The mappings are not valid: {detail}", errors=problems)
    return IdBrokerMappings(
        data_access_role=request.data_access_role,
        ranger_audit_role=request.ranger_audit_role or "",
        ranger_cloud_access_authorizer_role=request.ranger_cloud_access_authorizer_role,
        baseline_role=request.baseline_role,
        mappings=request.mappings or [],
    )


def has_data_access(
    cloud: Cloud, mappings: IdBrokerMappings, accessor_crn: str, groups: Mapping[str, str] | None = None
) -> bool:
    """Whether an accessor has the Data Access Role. Other roles give no rights on the object store.

    `groups` are the IDs of the person's groups, by name: they apply only to people without a mapping of their own.
    """
    own = [each for each in mappings.mappings if each.accessor_crn == accessor_crn]
    counting = own or [each for each in mappings.mappings if _is_of_group(each.accessor_crn, groups or {})]
    return any(_same(cloud, each.role, mappings.data_access_role) for each in counting)


def with_data_access(mappings: IdBrokerMappings, accessor_crn: str) -> IdBrokerMappings:
    """The mappings with an accessor mapped to the Data Access Role, in place of another role."""
    mapping = IdBrokerMapping(accessor_crn=accessor_crn, role=mappings.data_access_role)
    return mappings.model_copy(update={"mappings": [*without(mappings, accessor_crn).mappings, mapping]})


def without(mappings: IdBrokerMappings, accessor_crn: str) -> IdBrokerMappings:
    """The mappings without an accessor's."""
    kept = [mapping for mapping in mappings.mappings if mapping.accessor_crn != accessor_crn]
    return mappings.model_copy(update={"mappings": kept})


def _is_of_group(crn: str, groups: Mapping[str, str]) -> bool:
    name, slash, id_ = crn.rpartition(":group:")[2].partition("/")
    return ":group:" in crn and name in groups and (not slash or id_.casefold() == groups[name].casefold())


def _same(cloud: Cloud, role: str, other: str) -> bool:
    return role == other if cloud is Cloud.AWS else role.casefold() == other.casefold()


def _role_problems(cloud: Cloud, request: SetIdBrokerMappings) -> Iterator[FieldProblem]:
    if not request.ranger_audit_role:
        yield FieldProblem(field="rangerAuditRole", message="is required")
    roles = {
        "dataAccessRole": request.data_access_role,
        "rangerAuditRole": request.ranger_audit_role,
        "rangerCloudAccessAuthorizerRole": request.ranger_cloud_access_authorizer_role,
        "baselineRole": request.baseline_role,
    }
    for field, role in roles.items():
        if role is not None and (role or field == "dataAccessRole"):
            yield from _one_role(cloud, field, role)


def _one_role(cloud: Cloud, field: str, role: str) -> Iterator[FieldProblem]:
    if not _ROLES[cloud].fullmatch(role):
        yield FieldProblem(field=field, message=f"must be {_FORMS[cloud]}")


def _list_problems(request: SetIdBrokerMappings) -> Iterator[FieldProblem]:
    if not request.mappings and not request.set_empty_mappings:
        message = "must be true when mappings is omitted or empty: it confirms that all mappings are removed"
        yield FieldProblem(field="setEmptyMappings", message=message)
    if request.mappings and request.set_empty_mappings:
        yield FieldProblem(field="setEmptyMappings", message="cannot be true together with mappings")


def _mapping_problems(
    cloud: Cloud, environment: str, known: Accessors, mappings: Sequence[IdBrokerMapping]
) -> Iterator[FieldProblem]:
    seen: set[str] = set()
    for number, mapping in enumerate(mappings):
        field = f"mappings.{number}"
        if (message := _accessor_problem(environment, known, mapping.accessor_crn)) is not None:
            yield FieldProblem(field=f"{field}.accessorCrn", message=message)
        elif mapping.accessor_crn in seen:
            yield FieldProblem(field=f"{field}.accessorCrn", message="is mapped twice: everybody has one role")
        seen.add(mapping.accessor_crn)
        yield from _one_role(cloud, f"{field}.role", mapping.role)


def _accessor_problem(environment: str, known: Accessors, crn: str) -> str | None:
    home = known.machine_users.get(crn)
    if home is not None:
        return None if home == environment else f"this machine user belongs to environment {home}: map it there"
    if crn in known.people or re.fullmatch(_GROUP.format(account=re.escape(known.account)), crn):
        return None
    return "must be the CRN of a user, group or machine user of this installation"
