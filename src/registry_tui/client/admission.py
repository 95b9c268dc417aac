"""Calls about admission rules, their verdict on a version, and exceptions from them."""

from __future__ import annotations

from typing import Any

from registry_tui.client.transport import Transport, segment
from registry_tui.schemas.admission import (
    EnvironmentRules,
    ExceptionChange,
    Purpose,
    RuleException,
    RulesChange,
    RulesCheck,
)
from registry_tui.schemas.base import Page


class Admission(Transport):
    """Calls about admission rules, their verdict on a version, and exceptions from them."""

    async def rules(self, environment: str, number: int | None = None) -> EnvironmentRules:
        """An environment's current rules, or its revision `number` of them."""
        path = f"/environments/{segment(environment)}/rules"
        return await self._ask(EnvironmentRules, "GET", path, params={"number": number})

    async def rules_history(self, environment: str, **page: Any) -> Page[EnvironmentRules]:
        path = f"/environments/{segment(environment)}/rules/history"
        return await self._ask(Page[EnvironmentRules], "GET", path, params=page)

    async def set_rules(self, environment: str, request: RulesChange) -> EnvironmentRules:
        return await self._ask(EnvironmentRules, "PUT", f"/environments/{segment(environment)}/rules", body=request)

    async def check_rules(
        self,
        registry: str,
        model: str,
        version: int,
        *,
        purpose: Purpose | None = None,
        alias: str | None = None,
        to: str | None = None,
    ) -> RulesCheck:
        """The verdict on a version of all rules that apply to the model, or of those for one purpose.

        `to`: the verdict of the rules of another registry's environment, before the version is promoted there.
        """
        params = {"purpose": purpose, "alias": alias, "to": to}
        return await self._ask(RulesCheck, "GET", f"{self._of(registry, model, version)}/rules", params=params)

    async def set_exception(
        self, registry: str, model: str, version: int, rule: str, request: ExceptionChange
    ) -> RuleException:
        """Grants a version an exception from one rule; calling it again replaces the reason."""
        path = f"{self._of(registry, model, version)}/exceptions/{segment(rule)}"
        return await self._ask(RuleException, "PUT", path, body=request)

    async def delete_exception(self, registry: str, model: str, version: int, rule: str) -> None:
        await self._send("DELETE", f"{self._of(registry, model, version)}/exceptions/{segment(rule)}")

    async def exceptions(self, registry: str, **page: Any) -> Page[RuleException]:
        path = f"/registries/{segment(registry)}/exceptions"
        return await self._ask(Page[RuleException], "GET", path, params=page)

    def _of(self, registry: str, model: str, version: int) -> str:
        return f"/registries/{segment(registry)}/models/{segment(model)}/versions/{version}"
