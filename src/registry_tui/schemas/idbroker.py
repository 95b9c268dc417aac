"""IDBroker mappings in CDP's words: which cloud role people, groups and machine users have in an environment.

Names and rules are those of the environments service's description in CDP's command line (`cdpcli` 0.9.164).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

#: Characters of a CRN, of a role, and of an environment's name or CRN.
_MAX_TEXT = 1024
MAX_MAPPINGS = 1000


class CdpSchema(BaseModel):
    """A frozen value, camel-cased outside."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)


class CdpRequest(CdpSchema):
    """A request's body: an unknown field is an error, so that a typing mistake is not lost."""

    model_config = ConfigDict(extra="forbid")


class SyncStatus(StrEnum):
    """The state of a synchronization. This service never rejects one and sets none a time limit."""

    NEVER_RUN = "NEVER_RUN"
    REQUESTED = "REQUESTED"
    REJECTED = "REJECTED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMEDOUT = "TIMEDOUT"


class IdBrokerMapping(CdpSchema):
    """Gives a user, group or machine user a role."""

    accessor_crn: str = Field(max_length=_MAX_TEXT)
    #: An ARN for AWS, a resource ID for Azure.
    role: str = Field(max_length=_MAX_TEXT)


class IdBrokerMappings(CdpSchema):
    """All mappings of an environment; `mappings_version` counts the changes."""

    mappings_version: int = 0
    data_access_role: str
    ranger_audit_role: str
    ranger_cloud_access_authorizer_role: str | None = None
    #: Deprecated: `ranger_audit_role` is used instead.
    baseline_role: str | None = None
    mappings: list[IdBrokerMapping] = []


class SetIdBrokerMappings(CdpRequest):
    """Overwrites all mappings. `set_empty_mappings` is needed without mappings, and refused with some."""

    #: Name, ID or CRN.
    environment_name: str = Field(max_length=_MAX_TEXT)
    data_access_role: str = Field(max_length=_MAX_TEXT)
    #: Required by the rules, although optional in CDP's description.
    ranger_audit_role: str | None = Field(default=None, max_length=_MAX_TEXT)
    ranger_cloud_access_authorizer_role: str | None = Field(default=None, max_length=_MAX_TEXT)
    baseline_role: str | None = Field(default=None, max_length=_MAX_TEXT)
    mappings: list[IdBrokerMapping] | None = Field(default=None, max_length=MAX_MAPPINGS)
    set_empty_mappings: bool | None = None


class IdBrokerEnvironment(CdpRequest):
    """Names the environment that a question or a synchronization is about: by name, ID or CRN."""

    environment_name: str = Field(max_length=_MAX_TEXT)


class DeleteIdBrokerMappings(CdpRequest):
    """Names the environment whose mappings are deleted: by CRN, name or ID."""

    environment_crn: str = Field(max_length=_MAX_TEXT)


class IdBrokerSync(CdpSchema):
    """A synchronization of one data lake; fields that do not apply to the status are left out."""

    status: SyncStatus
    start_date: datetime | None = None
    end_date: datetime | None = None
    error_detail: str | None = None


class IdBrokerSyncStatus(CdpSchema):
    """How the last synchronization ended, and whether mappings were changed since."""

    sync_needed: bool
    global_status: SyncStatus
    #: By the data lake's CRN. An environment has one: its object store.
    statuses: dict[str, IdBrokerSync]


class CdpEmpty(CdpSchema):
    """A response without fields."""
