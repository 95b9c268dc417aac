"""Aliases that the rules of the environment allow a version: the one check for every way in."""

from __future__ import annotations

from registry_tui.schemas.models import RegisteredModel
from registry_tui.service.admission import rules
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.errors import NotPermitted
from registry_tui.service.models import registered as models
from registry_tui.service.registries.place import RegistryPlace, enter_registry


def set_alias(
    service: Service, principal: Principal, registry: str, model: str, alias: str, version: int
) -> RegisteredModel:
    """Lets an alias name a version. Raises Missing, NotPermitted, InvalidInput, NotAdmitted, PartUnavailable."""

    def permit(place: RegistryPlace, found: RegisteredModel) -> None:
        if found.aliases.get(alias) != version:
            rules.require_by_number(service, principal, place, found, version, alias)

    return models.set_alias(service, principal, registry, model, alias, version, permit)


def check_for_mlflow(
    service: Service, principal: Principal, registry: str, model: str, alias: str, version: int
) -> None:
    """Checks whether an alias may name a version, for MLflow's server, which has authenticated the person.

    Raises Missing, NotAdmitted, PartUnavailable.
    """
    if not principal.administrator:
        raise NotPermitted("Only MLflow's server asks about aliases")
    place = enter_registry(service, registry)
    found = models.find_model(service, principal, place, model)
    if found.aliases.get(alias) != version:
        rules.require_by_number(service, principal, place, found, version, alias)
