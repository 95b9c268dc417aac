"""Admission rules of environments, their verdicts on a version, and exceptions from them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from registry_tui.schemas.admission import (
    EnvironmentRules,
    ExceptionChange,
    Purpose,
    RuleException,
    RulesChange,
    RulesCheck,
)
from registry_tui.schemas.base import Page
from registry_tui.service.admission import aliases, exceptions, rules
from registry_tui.service.http.routes.dependencies import Acting, NameIn, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.http.routes.models import VERSION, VersionIn

router = new_router("admission rules")


@router.get("/environments/{environment}/rules")
def get_rules(
    service: ServiceIn,
    principal: Acting,
    environment: str,
    number: Annotated[int | None, Query(ge=0, le=2**31 - 1, description="Of earlier rules")] = None,
) -> EnvironmentRules:
    """The conditions that a version has to meet in an environment."""
    return rules.get_rules(service, principal, environment, number)


@router.put("/environments/{environment}/rules")
def set_rules(service: ServiceIn, principal: Acting, environment: str, request: RulesChange) -> EnvironmentRules:
    """Replaces an environment's rules with those of a YAML document; for its administrators."""
    return rules.set_rules(service, principal, environment, request)


@router.get("/environments/{environment}/rules/history")
def list_rules(service: ServiceIn, principal: Acting, page: PageIn, environment: str) -> Page[EnvironmentRules]:
    """All rules that an environment ever had, newest first."""
    return rules.list_rules(service, principal, environment, page_size=page.page_size, page_token=page.page_token)


@router.get(f"{VERSION}/rules")
def check_rules(
    service: ServiceIn,
    principal: Acting,
    registry: str,
    model: str,
    version: VersionIn,
    purpose: Annotated[Purpose | None, Query(description="Only the rules that are asked for it")] = None,
    alias: Annotated[str | None, Query(max_length=255, description="With the purpose alias")] = None,
    to: Annotated[
        NameIn | None, Query(description="With the purpose promote: the registry whose environment's rules are asked")
    ] = None,
) -> RulesCheck:
    """The verdicts of the environment's rules on a version, before anything is done with it."""
    return rules.check(service, principal, registry, model, version, purpose, alias, to)


@router.put(f"{VERSION}/exceptions/{{rule}}")
def set_exception(
    service: ServiceIn,
    principal: Acting,
    registry: str,
    model: str,
    version: VersionIn,
    rule: str,
    request: ExceptionChange,
) -> RuleException:
    """Lets a version through one rule, with a reason; for the environment's administrators."""
    return exceptions.set_exception(service, principal, registry, model, version, rule, request)


@router.delete(f"{VERSION}/exceptions/{{rule}}", status_code=204)
def delete_exception(
    service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn, rule: str
) -> None:
    """Ends an exception; for the environment's administrators."""
    exceptions.delete_exception(service, principal, registry, model, version, rule)


@router.get("/registries/{registry}/exceptions")
def list_exceptions(service: ServiceIn, principal: Acting, page: PageIn, registry: str) -> Page[RuleException]:
    """The exceptions of a registry's versions, by model; for the environment's administrators."""
    return exceptions.list_exceptions(
        service, principal, registry, page_size=page.page_size, page_token=page.page_token
    )


@router.get("/internal/admission/{registry}/aliases", include_in_schema=False, status_code=204)
def check_alias(
    service: ServiceIn,
    principal: Acting,
    registry: str,
    model: str,
    version: Annotated[int, Query(ge=1, le=2**31 - 1)],
    alias: str,
) -> None:
    """Whether the rules let an alias name a version, for MLflow's server on this machine."""
    aliases.check_for_mlflow(service, principal, registry, model, alias, version)
