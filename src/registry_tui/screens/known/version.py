"""Common to the pages about one version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.contracts.permissions import RULES, Action, Holder
from registry_tui.screens.base.bars import Crumb
from registry_tui.terminal.commands import Place
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion, RegisteredModel
    from registry_tui.schemas.people import User


def version_crumbs(place: Place, version: ModelVersion | None) -> tuple[Crumb, ...]:
    """The path to a version, whose page is its model's."""
    registry, model = place.args["registry"], place.args["model"]
    name = model if version is None else version.model_name
    return (
        ("Registered Models", Place("models", {"registry": registry})),
        (name, Place("model", {"registry": registry, "model": model})),
        (f"version {place.args['version']}", None),
    )


def change_problem(me: User | None, model: RegisteredModel | None, version: ModelVersion | None) -> str | None:
    """Why a user may not sign a version, or write its card: as `service/models/registered.py: require_owner`."""
    if model is None or version is None:
        return "the version is not known yet"
    if me is None or me.administrator:
        return None
    held = (Holder.MODEL_OWNER,) if me.name in (model.owner, version.creator) else ()
    if RULES[Action.MODEL_CHANGE].allows(held):
        return None
    owner = safe(model.owner or "the administrator", 60)
    if model.owner == version.creator:
        return f"only {owner}, who owns the model and registered the version, may"
    return f"only {owner}, who owns the model, and {safe(version.creator, 60)}, who registered it, may"
