"""Stages and approvals of versions: finds the version, checks with `promotion.admission`, and changes it in MLflow."""

from __future__ import annotations

from contextlib import suppress

from registry_tui.contracts.permissions import Action
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.models import ModelVersion, RegisteredModel, VersionStatus
from registry_tui.schemas.promotion import (
    Approval,
    ApprovalAsk,
    ApprovalDecision,
    Decision,
    StageChange,
    StageEntry,
)
from registry_tui.schemas.stages import Stage, StageStatus, from_mlflow
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted, WrongState
from registry_tui.service.models import registered as models
from registry_tui.service.models.changes import changed
from registry_tui.service.models.versions import find_version, resource_of
from registry_tui.service.promotion import admission, approvals, protected_aliases, stages
from registry_tui.service.registries.place import RegistryPlace, enter_registry, while_live

_AFTER = {
    Decision.APPROVE: StageStatus.APPROVED,
    Decision.REJECT: StageStatus.REJECTED,
    Decision.WITHDRAW: StageStatus.IN_PROGRESS,
}


def check_first_stage(service: Service, principal: Principal, place: RegistryPlace, owner: str, stage: Stage) -> None:
    """Checks the rules of `set_stage` before making a version that gets a stage at once.

    Nobody approved it yet. Raises NotPermitted, WrongState.
    """
    with service.database.reading() as session:
        if stage in protected_aliases.rules_of(session, place.id).approved_stages:
            raise WrongState(
                f"The stage {stage.value} needs an approval",
                action="Register it without a stage, then ask: `registry-tui approvals ask MODEL VERSION`",
            )
        before, own = Stage.NONE, principal.name
        admission.check_stage(session, principal, place.id, "", before, stage, owner=owner, creator=own)


def set_stage(
    service: Service, principal: Principal, registry: str, model: str, version: int, request: StageChange
) -> ModelVersion:
    """Moves a version to a stage. Raises Missing, NotPermitted, WrongState, PartUnavailable."""
    place = enter_registry(service, registry, reader=principal)
    named = Resource("version", f"{model}/{version}", f"{model} v{version}", place.id)
    with events.recording(service, principal, "version.stage", named) as event:
        found = models.find_model(service, principal, place, model)
        known = find_version(service, place, found, version)
        event.resource = resource_of(place, known)
        event.detail = f"from {known.stage.value} to {request.stage.value}: {request.comment}".rstrip(": ")
        if request.stage is not Stage.NONE and known.status is VersionStatus.FAILED_REGISTRATION:
            raise WrongState(f"{event.resource.name} could not be stored", action="Register the model again")
        with service.database.reading() as session:
            admission.check_stage(
                session,
                principal,
                place.id,
                known.id,
                known.stage,
                request.stage,
                owner=found.owner,
                creator=known.creator,
            )
            rules = protected_aliases.rules_of(session, place.id)
        needed = request.stage in rules.approved_stages
        status = request.status or (StageStatus.APPROVED if needed else StageStatus.IN_PROGRESS)
        _keep(
            service,
            place,
            found,
            version,
            stages.StoredStage(stage=request.stage, status=status, description=request.description),
        )
        with service.database.session() as session:
            change = (known.stage, request.stage, status)
            stages.note_change(session, principal, place.id, found.id, known.id, change, request.comment)
    return find_version(service, place, found, version)


def list_stages(
    service: Service,
    principal: Principal,
    registry: str,
    model: str,
    version: int,
    *,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[StageEntry]:
    """The changes of a version's stage, newest first. Raises Missing, NotPermitted, WrongState, PartUnavailable."""
    place = enter_registry(service, registry, reader=principal)
    known = find_version(service, place, models.find_model(service, principal, place, model), version)
    return stages.history(service, known.id, page_size=page_size, page_token=page_token)


def ask_approval(
    service: Service, principal: Principal, registry: str, model: str, version: int, purpose: str, request: ApprovalAsk
) -> Approval:
    """Requests an approval; returns the pending one if already requested.

    Raises Missing, NotPermitted, WrongState, InvalidInput, PartUnavailable.
    """
    place = enter_registry(service, registry, reader=principal, action=Action.APPROVAL_ASK)
    named = Resource("version", f"{model}/{version}", f"{model} v{version}", place.id)
    with events.recording(service, principal, "approval.ask", named) as event:
        found = models.find_model(service, principal, place, model)
        known = find_version(service, place, found, version)
        event.resource = resource_of(place, known)
        event.detail = ": ".join(each for each in (purpose, request.comment) if each)
        _check_purpose(purpose)
        target = _target(service, principal, place, purpose)
        if target is not None:
            purpose = f"promote:{target.name}"  # rules know registries by their names
        target_id = None if target is None else target.id
        with service.database.session() as session:
            model_named, numbered = (found.id, found.name), (known.id, version)
            row = approvals.ask(
                session, principal, place.id, model_named, numbered, purpose, request.comment, target_id
            )
            asked = approvals.to_schema(row)
        _keep(service, place, found, version, _stored(known, StageStatus.PENDING_APPROVAL))
    return asked


def decide_approval(service: Service, principal: Principal, approval: str, request: ApprovalDecision) -> Approval:
    """Approves, rejects or withdraws. Raises Missing, NotPermitted, WrongState, PartUnavailable."""
    decided, model_id = approvals.decide(service, principal, approval, request)
    # A version deleted meanwhile has no status to change.
    with while_live(service, decided.registry_id), suppress(Missing):
        place = enter_registry(service, decided.registry_id)
        found = models.fetch_model(service, place, model_id)
        if found is not None:
            known = find_version(service, place, found, decided.version)
            _keep(service, place, found, decided.version, _stored(known, _AFTER[request.decision]))
    return decided


def note_from_mlflow(
    service: Service, principal: Principal, registry_id: str, ids: tuple[str, str, str], before: str, after: str
) -> None:
    """Keeps a change that MLflow's own call made: IDs of model and version and the version's name, MLflow's stages."""
    model_id, version_id, name = ids
    change = (from_mlflow(before), from_mlflow(after), StageStatus.IN_PROGRESS)
    resource = Resource("version", version_id, name, registry_id)
    with events.recording(service, principal, "version.stage", resource) as event:
        event.detail = f"from {change[0].value} to {change[1].value}, by MLflow's call"
        with service.database.session() as session:
            stages.note_change(session, principal, registry_id, model_id, version_id, change, "by MLflow's call")
    changed(service, registry_id)


def _stored(known: ModelVersion, status: StageStatus) -> stages.StoredStage:
    return stages.StoredStage(stage=known.stage, status=status, description=known.stage_description)


def _keep(
    service: Service, place: RegistryPlace, model: RegisteredModel, version: int, stored: stages.StoredStage
) -> None:
    tag = {mlflow_tags.STAGE: stored.model_dump_json()}
    service.mlflow.set_version_tags(place.workspace, model.name, version, tag)
    changed(service, place.id)


def _target(service: Service, principal: Principal, place: RegistryPlace, purpose: str) -> RegistryPlace | None:
    """The registry that decides about `promote:REGISTRY`; None for purposes decided here.

    Raises Missing for one that the person does not see, unless a rule requires just that purpose; WrongState for one
    that is being made or deleted.
    """
    kind, _, name = purpose.partition(":")
    if kind != "promote" or not name:
        return None
    try:
        return enter_registry(service, name, reader=principal)
    except (Missing, NotPermitted) as error:
        with service.database.reading() as session:
            if approvals.asked_by_a_rule(session, place.environment_id, purpose):
                return None
        raise Missing(
            f"There is no Model Registry {name!r} that you may read, and no rule asks for {purpose}",
            action="See `registry-tui registries list`; an approval for `promote` is decided where the version is",
        ) from error


def _check_purpose(purpose: str) -> None:
    kind, _, name = purpose.partition(":")
    known = [f"stage:{each.value}" for each in Stage if each is not Stage.NONE]
    if purpose in known or purpose in ("deploy", "promote"):
        return
    if kind in ("deploy", "promote") and 0 < len(name.strip()) <= 250:
        return
    message = f"must be one of {', '.join(known)}, or begin with deploy or promote"
    raise InvalidInput(
        f"{purpose!r} is not a purpose of an approval", errors=[FieldProblem(field="purpose", message=message)]
    )
