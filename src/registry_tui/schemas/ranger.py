"""Apache Ranger's words, in its own spelling: services, policies, roles, and questions to the policy decision point.

Field names and defaults are those of Ranger's Java models (`agents-common/…/plugin/model`, Ranger 2.9).
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class RangerSchema(BaseModel):
    """A frozen value, camel-cased outside. Fields that this service does not know are ignored, as Ranger does."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore", serialize_by_alias=True
    )


# -- service definitions ----------------------------------------------------------------------------------


class ResourceDefinition(RangerSchema):
    """One level of a service's resources, e.g. a bucket, or a path in it."""

    item_id: int = 0
    name: str
    label: str = ""
    description: str = ""
    type: str = "string"
    level: int = 10
    parent: str | None = None
    mandatory: bool = True
    lookup_supported: bool = False
    recursive_supported: bool = False
    excludes_supported: bool = False
    is_valid_leaf: bool | None = None
    matcher: str = "org.apache.ranger.plugin.resourcematcher.RangerDefaultResourceMatcher"
    matcher_options: dict[str, str | bool] = {}
    rrn_template: str | None = None


class AccessType(RangerSchema):
    """A permission, and the others that it brings along."""

    item_id: int = 0
    name: str
    label: str = ""
    category: str | None = None
    implied_grants: list[str] = []


class ServiceDefinition(RangerSchema):
    """The resources and permissions of a kind of service."""

    id: int = 0
    guid: str | None = None
    name: str
    display_name: str | None = None
    label: str = ""
    description: str = ""
    impl_class: str | None = None
    version: int = 1
    is_enabled: bool = True
    resources: list[ResourceDefinition] = []
    access_types: list[AccessType] = []
    options: dict[str, str] = {}


class RangerSource(RangerSchema):
    """An outside Ranger Admin whose policies an environment obeys, and how asking it went. Without its password."""

    url: str
    #: The name of the service there.
    service: str
    user: str | None = None
    #: Seconds between questions.
    every: float = 30.0
    #: The version of the policies there.
    policy_version: int = 0
    #: When these policies were fetched, and since when fetching fails.
    fetched_at: datetime
    failing_since: datetime | None = None
    #: Why it returns no policies now; empty while it does.
    problem: str = ""
    #: The parts of its policies that cannot be enforced here as intended.
    notes: list[str] = []


class RangerSourceChange(RangerSchema):
    """Which outside Ranger Admin an environment shall obey. Without a password, that of the same user stays."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2000)
    service: str = Field(max_length=255)
    user: str | None = Field(default=None, max_length=255)
    password: str | None = Field(default=None, max_length=4096, repr=False)
    every: float = Field(default=30.0, ge=1, le=3600)


class RangerService(RangerSchema):
    """A service whose access Ranger decides, e.g. `cm_s3`."""

    id: int | None = None
    guid: str | None = None
    name: str
    type: str
    display_name: str | None = None
    description: str = ""
    is_enabled: bool = True
    policy_version: int | None = None
    configs: dict[str, str] = {}
    #: In milliseconds since 1970, as Ranger counts.
    create_time: int | None = None
    update_time: int | None = None
    created_by: str | None = None
    updated_by: str | None = None
    #: The outside Ranger that its policies come from, which are read-only then.
    source: RangerSource | None = None


# -- policies ---------------------------------------------------------------------------------------------


class PolicyResource(RangerSchema):
    """Values of one level; `*` stands for any characters, `?` for one, `{USER}` for the requesting user."""

    values: list[str] = []
    is_excludes: bool = False
    is_recursive: bool = False


class PolicyItemAccess(RangerSchema):
    type: str
    is_allowed: bool | None = True


class PolicyCondition(RangerSchema):
    type: str
    values: list[str] = []


class PolicyItem(RangerSchema):
    """Grants permissions to users, groups and roles.

    Groups are those of this installation, with people and machine users as members; everybody is in `public`. Requests
    to the decision point may name further groups. Roles are those of `RangerRole`.
    """

    accesses: list[PolicyItemAccess] = []
    users: list[str] = []
    groups: list[str] = []
    roles: list[str] = []
    conditions: list[PolicyCondition] = []
    delegate_admin: bool = False


class ValiditySchedule(RangerSchema):
    """The validity period of a policy. Times are written `2026/11/29 23:59:59`, in `time_zone` (default: UTC)."""

    start_time: str | None = None
    end_time: str | None = None
    time_zone: str | None = None
    recurrences: list[dict[str, object]] = []


class RangerPolicy(RangerSchema):
    """Permissions on resources."""

    id: int | None = None
    guid: str | None = None
    is_enabled: bool = True
    version: int | None = None
    service: str = ""
    service_type: str | None = None
    name: str = ""
    #: 0 access, 1 masking, 2 row filter; only 0 applies to an object store.
    policy_type: int = 0
    #: 0 normal, 1 override.
    policy_priority: int = 0
    description: str | None = None
    resource_signature: str | None = None
    is_audit_enabled: bool = True
    resources: dict[str, PolicyResource] = {}
    additional_resources: list[dict[str, PolicyResource]] = []
    conditions: list[PolicyCondition] = []
    policy_items: list[PolicyItem] = []
    deny_policy_items: list[PolicyItem] = []
    allow_exceptions: list[PolicyItem] = []
    deny_exceptions: list[PolicyItem] = []
    validity_schedules: list[ValiditySchedule] = []
    policy_labels: list[str] = []
    zone_name: str | None = None
    is_deny_all_else: bool = False
    create_time: int | None = None
    update_time: int | None = None
    created_by: str | None = None
    updated_by: str | None = None


class TagPolicies(RangerSchema):
    """Policies about tags instead of places."""

    service_name: str = ""
    policies: list[RangerPolicy] = []
    service_def: ServiceDefinition | None = None


class ServicePolicies(RangerSchema):
    """All data that a plugin needs to decide about one service: the response of Ranger's download call."""

    service_id: int | None = None
    service_name: str
    policy_version: int | None = None
    policy_update_time: int | None = None
    policies: list[RangerPolicy] = []
    service_def: ServiceDefinition
    tag_policies: TagPolicies | None = None


# -- roles and tags ---------------------------------------------------------------------------------------


class RoleMember(RangerSchema):
    """A member of a role; with `is_admin`, one in whose name an administrator may grant the role to others."""

    name: str
    is_admin: bool = False


class RangerRole(RangerSchema):
    """A role; its users, everybody in its groups, and everybody with one of its roles have it."""

    id: int | None = None
    guid: str | None = None
    is_enabled: bool = True
    version: int | None = None
    name: str
    description: str | None = None
    options: dict[str, object] = {}
    users: list[RoleMember] = []
    groups: list[RoleMember] = []
    roles: list[RoleMember] = []
    created_by_user: str | None = None
    create_time: int | None = None
    update_time: int | None = None
    created_by: str | None = None
    updated_by: str | None = None


class RoleGrant(RangerSchema):
    """Gives roles to users, groups and roles, or takes them away.

    With `grant_option` they become admins of the roles too, or lose that and keep the roles.
    """

    #: The person on whose behalf it is done; default: the acting person.
    grantor: str | None = None
    grantor_groups: list[str] = []
    target_roles: list[str] = []
    users: list[str] = []
    groups: list[str] = []
    roles: list[str] = []
    grant_option: bool = False


class RangerDone(RangerSchema):
    """Ranger's response to a change that returns nothing else."""

    status_code: int = 0


class RangerRoles(RangerSchema):
    """All roles, as Ranger's plugins fetch them."""

    service_name: str
    role_version: int
    #: In milliseconds since 1970; None while there never was a role.
    role_update_time: int | None = None
    ranger_roles: list[RangerRole] = []


class RangerPage(RangerSchema):
    """A page of a list, in the format of Ranger's newer calls."""

    start_index: int = 0
    page_size: int = 0
    total_count: int = 0
    result_size: int = 0
    items: list[dict[str, object]] = Field(default=[], alias="list")


class Tag(RangerSchema):
    type: str


class TaggedResource(RangerSchema):
    id: int
    resource_elements: dict[str, PolicyResource] = {}


class ServiceTags(RangerSchema):
    """The tags of a service's resources: the response of Ranger's call for tags."""

    service_name: str = ""
    tag_version: int | None = None
    tags: dict[str, Tag] = {}
    service_resources: list[TaggedResource] = []
    resource_to_tag_ids: dict[str, list[str | int]] = {}


# -- questions to the policy decision point -----------------------------------------------------------------


class AskingUser(RangerSchema):
    name: str
    groups: list[str] = []
    roles: list[str] = []


class AskedResource(RangerSchema):
    """A resource by its name, `path:bucket/some/key`."""

    name: str


class AskedAccess(RangerSchema):
    resource: AskedResource
    action: str | None = None
    permissions: list[str] = Field(min_length=1)


class AskingContext(RangerSchema):
    service_name: str
    #: In milliseconds since 1970; now without one.
    access_time: int | None = None


class AuthorizeRequest(RangerSchema):
    request_id: str | None = None
    user: AskingUser
    access: AskedAccess
    context: AskingContext


Verdict = Literal["ALLOW", "DENY"]


class DecidingPolicy(RangerSchema):
    """The policy that decided; -1 where none did."""

    id: int
    version: int | None = None


class AccessVerdict(RangerSchema):
    decision: Verdict
    policy: DecidingPolicy


class PermissionVerdict(RangerSchema):
    permission: str
    access: AccessVerdict


class AuthorizeAnswer(RangerSchema):
    request_id: str | None = None
    decision: Verdict
    permissions: dict[str, PermissionVerdict]
