"""The one check for every change of an alias and of a stage, through the service and through MLflow."""

from __future__ import annotations

from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import RULES, Action, Holder
from registry_tui.schemas.stages import EARLY, Stage, purpose_of
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal
from registry_tui.service.database.tables import RegistryRow
from registry_tui.service.errors import NotPermitted, WrongState
from registry_tui.service.promotion import protected_aliases
from registry_tui.service.promotion.approvals import approved


def check_alias(session: Session, principal: Principal, registry_id: str, owner: str, alias: str) -> None:
    """Raises NotPermitted unless the principal may set, move or remove an alias.

    A protected one is for the people whom its protection names, also where they do not own the model.
    """
    protected = protected_aliases.protection_of(session, registry_id, alias)
    if protected is None:
        if principal.administrator or principal.name == owner:
            return
        raise NotPermitted(
            f"The model belongs to {owner or 'nobody'}; only its owner may change its aliases",
            action="Ask its owner, or the administrator",
        )
    if not protected_aliases.may_move(session, principal, protected):
        named = [*protected.users, *(f"group {group}" for group in protected.groups)]
        raise NotPermitted(
            f"The alias {alias} is protected: {', '.join(named) or 'only the administrator'} may move it",
            action=f"Ask {named[0] if named else 'the administrator'} to move it",
        )


def check_stage(
    session: Session,
    principal: Principal,
    registry_id: str,
    version_id: str,
    before: Stage,
    target: Stage,
    *,
    owner: str,
    creator: str,
) -> None:
    """Raises NotPermitted unless the principal may move the version there, WrongState while an approval is missing."""
    early = before in EARLY and target in EARLY
    action = Action.VERSION_STAGE if early else Action.VERSION_RELEASE
    own = principal.name == owner or (early and principal.name == creator)
    held = (Holder.MODEL_OWNER,) if own else ()
    row = session.get_one(RegistryRow, registry_id)
    if not (RULES[action].allows(held) or permissions.may_in(session, principal, action, row.environment_id)):
        raise NotPermitted(
            f"{principal.name} may not {RULES[action].to_do}: that needs {RULES[action].who}",
            action=f"Ask {owner or 'the administrator'}, who owns the model",
        )
    needed = target in protected_aliases.rules_of(session, registry_id).approved_stages
    if needed and target is not before and not approved(session, version_id, purpose_of(target)):
        raise WrongState(
            f"The stage {target.value} needs an approval",
            action=f"Ask for one: `registry-tui approvals ask MODEL VERSION --purpose {purpose_of(target)}`",
        )
