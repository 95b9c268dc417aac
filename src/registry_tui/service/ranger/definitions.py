"""The services that RAZ-enabled environments have: `cm_s3` for AWS, `cm_adls` for Azure.

Apache Ranger ships neither definition, and the vendor's are not public. `cm_s3` has the levels and permissions of
Ranger's own tests for S3 (`authz-embedded`), `cm_adls` those of Ranger's `abfs` definition with `list` and `delete`.
"""

from __future__ import annotations

from registry_tui.schemas.places import Cloud
from registry_tui.schemas.ranger import AccessType, ResourceDefinition, ServiceDefinition

READ, WRITE, LIST, DELETE = "read", "write", "list", "delete"
PERMISSIONS = (READ, WRITE, LIST, DELETE)

_DEFAULT = "org.apache.ranger.plugin.resourcematcher.RangerDefaultResourceMatcher"
_PATH = "org.apache.ranger.plugin.resourcematcher.RangerPathResourceMatcher"
#: The object store compares keys without regard to case, and so does Ranger's definition for S3.
_OPTIONS: dict[str, str | bool] = {"ignoreCase": "true", "wildCard": "true"}
_ACCESS_TYPES = [
    AccessType(item_id=1, name=READ, label="Read", category="READ"),
    AccessType(item_id=2, name=WRITE, label="Write", category="UPDATE"),
    AccessType(item_id=3, name=LIST, label="List", category="READ"),
    AccessType(item_id=4, name=DELETE, label="Delete", category="DELETE"),
]


def _level(item_id: int, name: str, label: str, parent: str | None, *, path: bool, template: str) -> ResourceDefinition:
    return ResourceDefinition(
        item_id=item_id,
        name=name,
        label=label,
        description=label,
        type="path" if path else "string",
        level=item_id * 10,
        parent=parent,
        mandatory=True,
        recursive_supported=path,
        excludes_supported=True,
        is_valid_leaf=path,
        matcher=_PATH if path else _DEFAULT,
        matcher_options=_OPTIONS,
        rrn_template=template,
    )


S3 = ServiceDefinition(
    id=1,
    name="s3",
    display_name="s3",
    label="S3",
    description="Buckets and objects of AWS environments",
    resources=[
        _level(1, "bucket", "S3 Bucket", None, path=False, template="{bucket}"),
        _level(2, "path", "Path", "bucket", path=True, template="{bucket}/{path}"),
    ],
    access_types=_ACCESS_TYPES,
    options={"enableDenyAndExceptionsInPolicies": "true"},
)
ADLS = ServiceDefinition(
    id=2,
    name="adls",
    display_name="adls",
    label="ADLS",
    description="Storage accounts, containers and blobs of Azure environments",
    resources=[
        _level(1, "storageaccount", "Storage Account", None, path=False, template="{storageaccount}"),
        _level(
            2,
            "storageaccountcontainer",
            "Storage Account Container",
            "storageaccount",
            path=False,
            template="{storageaccount}/{storageaccountcontainer}",
        ),
        _level(
            3,
            "relativepath",
            "Relative Path",
            "storageaccountcontainer",
            path=True,
            template="{storageaccount}/{storageaccountcontainer}/{relativepath}",
        ),
    ],
    access_types=_ACCESS_TYPES,
    options={"enableDenyAndExceptionsInPolicies": "true"},
)

DEFINITIONS = (S3, ADLS)
#: The documented name of each cloud's service, and its definition.
SERVICES = {Cloud.AWS: ("cm_s3", S3), Cloud.AZURE: ("cm_adls", ADLS)}


def definition_of(cloud: Cloud) -> ServiceDefinition:
    """The definition of a cloud's service."""
    return SERVICES[cloud][1]
