"""A deployment whose manifests tests compare with published schemas."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from registry_tui.schemas.deployments import (
    GIB,
    Batching,
    BuildState,
    Deployment,
    DeploymentState,
    EnvironmentVariable,
    Revision,
    RevisionState,
)
from registry_tui.schemas.models import ModelVersion, Origin, VersionStatus
from registry_tui.wording.kubernetes import Manifest, Wanted, manifest

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def made(wanted: Wanted, name: str = "wine-api", **changes: Any) -> Manifest:
    """The manifest of a revision with everything, some of it changed."""
    revision = Revision(
        number=4,
        version=3,
        replicas=2,
        cpu=1.5,
        memory_bytes=2 * GIB + 1,
        environment=[
            EnvironmentVariable(name="LEVEL", value="high"),
            EnvironmentVariable(name="TOKEN", secret=True),
        ],
        batching=Batching.ON,
        strict_json=True,
        comment="",
        creator="ana",
        created_at=NOW,
        state=RevisionState.ACTIVE,
        build=BuildState.BUILT,
    ).model_copy(update=changes)
    deployment = Deployment(
        id="d",
        name=name,
        description="",
        project_id="p",
        project_name="wine",
        workspace_name="lab",
        environment_name="aws",
        registry_id="r",
        registry_name="main",
        model_name="Wine Model",
        version=3,
        alias="champion",
        follow_alias=True,
        state=DeploymentState.DEPLOYED,
        revision=4,
        replicas_wanted=2,
        cpu=1.5,
        memory_bytes=2 * GIB,
        authentication=True,
        access_key="key",
        model_url="",
        endpoint_url="",
        port=8123,
        creator="ana",
        created_at=NOW,
        updated_at=NOW,
    )
    version = ModelVersion.model_construct(
        archive_uri="s3://bucket/modelregistry/m/v/", status=VersionStatus.READY, origin=Origin.model_construct()
    )
    return manifest(deployment, revision, version, wanted)
