"""Revisions of a deployment: the version that is served, its resources, and its variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.canaries import Rollout
from registry_tui.schemas.deployments import Batching, EnvironmentVariable
from registry_tui.schemas.models import ModelVersion, VersionStatus
from registry_tui.schemas.scaling import Autoscaling, AutoscalingChange, KeptAutoscaling
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import DeploymentRow, RevisionRow
from registry_tui.service.deployments.machine import Asked
from registry_tui.service.errors import InvalidInput, WrongState
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.publishing import gateway as gateway_link

#: Variables that replicas get from the platform, or that Python reads before a replica sets any.
_RESERVED = ("REGISTRY_TUI_", "MLFLOW_SERVER_", "_MLFLOW_", "SUPERVISOR_", "LD_", "PYTHON")


@dataclass(frozen=True)
class Settings:
    """The settings of a revision; a change of any but `replicas`, `autoscaling`, `memory_bytes` and `alias` needs new
    replicas. With autoscaling, `replicas` is the least.
    """

    version: ModelVersion
    alias: str | None
    follow_alias: bool
    replicas: int
    autoscaling: Autoscaling | None
    gpus: int
    cpu: float
    memory_bytes: int
    environment: tuple[EnvironmentVariable, ...]
    batching: Batching
    strict_json: bool


def version_to_serve(
    service: Service, principal: Principal, registry: str, model: str, number: int | None, alias: str | None
) -> ModelVersion:
    """The version that a number or an alias names. Raises Missing, InvalidInput, NotPermitted, WrongState."""
    if (number is None) == (alias is None):
        raise wrong_field("version", "give either a version or an alias")
    if alias is not None:
        found = models.get_model(service, principal, registry, model)
        if alias not in found.aliases:
            known = ", ".join(sorted(found.aliases)) or "none"
            raise wrong_field("alias", f"model {found.name} has no alias {alias!r}; it has: {known}")
        number = found.aliases[alias]
    assert number is not None
    version = versions.get_version(service, principal, registry, model, number)
    if version.status is not VersionStatus.READY:
        raise WrongState(
            f"{version.model_name} v{version.version} cannot be deployed: {version.status_message or version.status}",
            action="Wait until it is READY"
            if version.status is VersionStatus.PENDING_REGISTRATION
            else "Register the model again, as a new version",
        )
    if not version.servable:
        raise WrongState(
            f"{version.model_name} v{version.version} cannot be deployed: {version.not_servable_reason}",
            action="Deploy a version whose model was logged with a python_function flavor",
        )
    return version


def checked_environment(
    given: Sequence[EnvironmentVariable], before: Sequence[EnvironmentVariable]
) -> tuple[EnvironmentVariable, ...]:
    """The requested variables; a secret one without a value keeps its value of `before`. Raises InvalidInput."""
    known = {variable.name: variable for variable in before}
    found: dict[str, EnvironmentVariable] = {}
    for variable in given:
        if variable.name in found:
            raise wrong_field("environment", f"{variable.name} is given twice")
        if variable.name.startswith(_RESERVED):
            raise wrong_field("environment", f"{variable.name}: names that begin so belong to the platform")
        if variable.value is None:
            kept = known.get(variable.name)
            if not variable.secret or kept is None or not kept.secret:
                raise wrong_field("environment", f"{variable.name} has no value")
            variable = kept
        if "\0" in (variable.value or ""):
            raise wrong_field("environment", f"the value of {variable.name} holds a null character")
        found[variable.name] = variable
    return tuple(found.values())


def require_followed(rollout: Rollout | None, *, follows: bool) -> None:
    """Raises InvalidInput where a deployment sets how it follows an alias, and follows none."""
    if rollout is not None and rollout.tries and not follows:
        raise wrong_field("follow_rollout", "it follows no alias; follow one, or leave this out")


def kept_rollout(rollout: Rollout | None) -> dict[str, Any] | None:
    """The settings for following an alias, as stored in the row."""
    return rollout.model_dump(mode="json") if rollout is not None and rollout.tries else None


def revision_row(
    row: DeploymentRow,
    settings: Settings,
    number: int,
    generation: int,
    principal: Principal,
    workflow_id: str,
    comment: str,
) -> RevisionRow:
    """The row of a new revision."""
    return RevisionRow(
        deployment_id=row.id,
        number=number,
        version=settings.version.version,
        version_id=settings.version.id,
        alias=settings.alias,
        follow_alias=settings.follow_alias,
        replicas=settings.replicas,
        autoscaling=None if settings.autoscaling is None else settings.autoscaling.model_dump(mode="json"),
        gpus=settings.gpus,
        cpu=settings.cpu,
        memory_bytes=settings.memory_bytes,
        environment=[variable.model_dump() for variable in settings.environment],
        batching=settings.batching.value,
        strict_json=settings.strict_json,
        comment=comment,
        creator=principal.name,
        generation=generation,
        workflow_id=workflow_id,
    )


def settings_now(service: Service, principal: Principal, row: DeploymentRow) -> Settings:
    """The revision that serves, or was to serve last."""
    revision = gateway_link.active_revision(row) or row.revisions[-1]
    settings = settings_of(service, principal, row, revision)
    return Settings(**{**vars(settings), "alias": row.alias, "follow_alias": row.follow_alias})


def settings_of(service: Service, principal: Principal, row: DeploymentRow, revision: RevisionRow) -> Settings:
    """The settings of a revision, also for people who may not see its model. Raises Missing if the model is deleted."""
    anybody = replace(principal, administrator=True)
    version = version_to_serve(service, anybody, row.registry_id, row.model_id, revision.version, None)
    return Settings(
        version=version,
        alias=revision.alias,
        follow_alias=revision.follow_alias,
        replicas=revision.replicas,
        autoscaling=autoscaling_of(revision),
        gpus=revision.gpus,
        cpu=revision.cpu,
        memory_bytes=revision.memory_bytes,
        environment=tuple(EnvironmentVariable(**variable) for variable in revision.environment),
        batching=Batching(revision.batching),
        strict_json=revision.strict_json,
    )


def room_for(asked: Settings | RevisionRow) -> Asked:
    """The resources that replicas with these settings request of a machine."""
    return Asked(
        replicas=asked.replicas,
        memory_bytes=asked.memory_bytes,
        cpu=asked.cpu,
        gpus=asked.gpus,
        autoscaling=asked.autoscaling is not None,
    )


def same_replicas(active: RevisionRow, settings: Settings) -> bool:
    """Whether the serving replicas fit the settings."""
    environment: list[dict[str, Any]] = [variable.model_dump() for variable in settings.environment]
    return (
        active.version_id == settings.version.id
        and active.cpu == settings.cpu
        and active.gpus == settings.gpus
        and active.batching == settings.batching.value
        and active.strict_json == settings.strict_json
        and active.environment == environment
    )


def autoscaling_of(revision: RevisionRow) -> KeptAutoscaling | None:
    """How a cluster finds the number of a revision's replicas; None where it is fixed."""
    return None if revision.autoscaling is None else KeptAutoscaling.model_validate(revision.autoscaling)


def changed_autoscaling(before: Autoscaling | None, change: AutoscalingChange) -> Autoscaling:
    """The changed autoscaling. Raises InvalidInput."""
    wanted = {**(before.model_dump() if before is not None else {}), **change.model_dump(exclude_none=True)}
    if "max_replicas" not in wanted:
        raise wrong_field("autoscaling", "max_replicas: say how many replicas there may be")
    try:
        return Autoscaling.model_validate(wanted)
    except ValidationError as error:
        raise wrong_field("autoscaling", error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def wrong_field(field: str, message: str) -> InvalidInput:
    """A refusal because of one field."""
    return InvalidInput(f"{field}: {message}", errors=[FieldProblem(field=field, message=message)])
