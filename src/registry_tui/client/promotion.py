"""Calls about stages of versions, approvals, and a registry's rules about them."""

from __future__ import annotations

from typing import Any

from registry_tui.client.transport import Transport, segment
from registry_tui.schemas.base import Page
from registry_tui.schemas.models import ModelVersion
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.promotion import (
    Approval,
    ApprovalAsk,
    ApprovalDecision,
    PromotionRules,
    StageChange,
    StageEntry,
    VersionPromotion,
)


class Promotion(Transport):
    """Calls about stages of versions, approvals, and a registry's rules about them."""

    async def set_stage(self, registry: str, model: str, version: int, request: StageChange) -> ModelVersion:
        return await self._ask(ModelVersion, "PUT", f"{_version(registry, model, version)}/stage", body=request)

    async def stages(self, registry: str, model: str, version: int, **page: Any) -> Page[StageEntry]:
        """The changes of a version's stage, newest first."""
        return await self._ask(Page[StageEntry], "GET", f"{_version(registry, model, version)}/stages", params=page)

    async def promote_version(
        self, registry: str, model: str, version: int, request: VersionPromotion
    ) -> Accepted[ModelVersion]:
        """Copies a version into another registry; returns the version there."""
        path = f"{_version(registry, model, version)}/promote"
        return await self._ask(Accepted[ModelVersion], "POST", path, body=request)

    async def ask_approval(
        self, registry: str, model: str, version: int, purpose: str, request: ApprovalAsk
    ) -> Approval:
        """Returns the pending approval if one was already requested."""
        path = f"{_version(registry, model, version)}/approvals/{segment(purpose)}"
        return await self._ask(Approval, "PUT", path, body=request)

    async def approvals(
        self,
        *,
        state: str | None = None,
        registry: str | None = None,
        version_id: str | None = None,
        waiting: bool | None = None,
        **page: Any,
    ) -> Page[Approval]:
        """Those that you requested or may decide, newest first; `waiting`: those that wait for you, with a total."""
        params = {"state": state, "registry": registry, "version_id": version_id, "waiting": waiting, **page}
        return await self._ask(Page[Approval], "GET", "/approvals", params=params)

    async def approval(self, approval: str) -> Approval:
        return await self._ask(Approval, "GET", f"/approvals/{segment(approval)}")

    async def decide_approval(self, approval: str, request: ApprovalDecision) -> Approval:
        return await self._ask(Approval, "PUT", f"/approvals/{segment(approval)}/decision", body=request)

    async def promotion_rules(self, registry: str) -> PromotionRules:
        return await self._ask(PromotionRules, "GET", f"/registries/{segment(registry)}/promotion-rules")

    async def set_promotion_rules(self, registry: str, request: PromotionRules) -> PromotionRules:
        path = f"/registries/{segment(registry)}/promotion-rules"
        return await self._ask(PromotionRules, "PUT", path, body=request)


def _version(registry: str, model: str, version: int) -> str:
    return f"/registries/{segment(registry)}/models/{segment(model)}/versions/{segment(version)}"
