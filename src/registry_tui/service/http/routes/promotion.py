"""Stages of versions, approvals, and a registry's rules about them."""

from __future__ import annotations

from registry_tui.schemas.base import Page, RequestSchema
from registry_tui.schemas.models import ModelVersion
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.promotion import (
    Approval,
    ApprovalAsk,
    ApprovalDecision,
    ApprovalState,
    PromotionRules,
    StageChange,
    StageEntry,
    VersionPromotion,
)
from registry_tui.service.http.routes.dependencies import Acting, NameIn, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.http.routes.models import VersionIn
from registry_tui.service.models import mlflow_changes, promoting
from registry_tui.service.promotion import approvals, protected_aliases
from registry_tui.service.registering import promote

router = new_router("promotion")

_VERSION = "/registries/{registry}/models/{model}/versions/{version}"


@router.put(f"{_VERSION}/stage")
def set_stage(
    service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn, request: StageChange
) -> ModelVersion:
    """Moves a version to a stage: the model's owner and MLAdmins may; up to QA also the person who registered it."""
    return promoting.set_stage(service, principal, registry, model, version, request)


@router.get(f"{_VERSION}/stages")
def list_stages(
    service: ServiceIn, principal: Acting, page: PageIn, registry: str, model: str, version: VersionIn
) -> Page[StageEntry]:
    """The changes of a version's stage, newest first."""
    return promoting.list_stages(
        service, principal, registry, model, version, page_size=page.page_size, page_token=page.page_token
    )


@router.put(f"{_VERSION}/approvals/{{purpose}}")
def ask_approval(
    service: ServiceIn,
    principal: Acting,
    registry: str,
    model: str,
    version: VersionIn,
    purpose: str,
    request: ApprovalAsk,
) -> Approval:
    """Requests an approval, `stage:Production` for instance; returns the pending one if already requested."""
    return promoting.ask_approval(service, principal, registry, model, version, purpose, request)


@router.post(f"{_VERSION}/promote", status_code=202)
def promote_version(
    service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn, request: VersionPromotion
) -> Accepted[ModelVersion]:
    """Copies a version into another registry; returns the version there. The same content is stored once."""
    return promote.promote_version(service, principal, registry, model, version, request)


@router.get("/approvals")
def list_approvals(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    state: ApprovalState | None = None,
    registry: NameIn | None = None,
    version_id: NameIn | None = None,
    waiting: bool = False,
) -> Page[Approval]:
    """The approvals that you requested or may decide, newest first; `waiting`: those that wait for you, counted."""
    return approvals.list_approvals(
        service,
        principal,
        state=state,
        registry=registry,
        version_id=version_id,
        waiting=waiting,
        page_size=page.page_size,
        page_token=page.page_token,
    )


@router.get("/approvals/{approval}")
def get_approval(service: ServiceIn, principal: Acting, approval: str) -> Approval:
    """One approval that you requested or may decide."""
    return approvals.get_approval(service, principal, approval)


@router.put("/approvals/{approval}/decision")
def decide_approval(service: ServiceIn, principal: Acting, approval: str, request: ApprovalDecision) -> Approval:
    """Approves, rejects or withdraws, once; if the registry is set so, the requester cannot approve."""
    return promoting.decide_approval(service, principal, approval, request)


@router.get("/registries/{registry}/promotion-rules")
def get_promotion_rules(service: ServiceIn, principal: Acting, registry: str) -> PromotionRules:
    """Protected aliases, stages that need an approval, and whether somebody else has to decide."""
    return protected_aliases.get_rules(service, principal, registry)


@router.put("/registries/{registry}/promotion-rules")
def set_promotion_rules(
    service: ServiceIn, principal: Acting, registry: str, request: PromotionRules
) -> PromotionRules:
    """Replaces them; for MLAdmins."""
    return protected_aliases.set_rules(service, principal, registry, request)


class MlflowChange(RequestSchema):
    """A person's change through MLflow's server."""

    registry_id: str
    user: str
    owner: str = ""
    creator: str = ""
    alias: str = ""
    model_id: str = ""
    version_id: str = ""
    name: str = ""
    before: str = "None"
    after: str = "None"


@router.put("/internal/promotion/{what}", status_code=204, include_in_schema=False)
def check_mlflow_change(service: ServiceIn, principal: Acting, what: str, request: MlflowChange) -> None:
    """Refuses (`alias`, `stage`) or keeps (`staged`, `renamed`, …) a change, for MLflow's server on this machine."""
    mlflow_changes.handle(service, principal, what, mlflow_changes.Change(**request.model_dump()))
