"""Why the signed-in user may not run an action of a page: decided in advance by the service's own table.

Roles may change meanwhile: the service decides, and after a refusal here the user's roles are requested again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry_tui.contracts.permissions import PROJECT_ROLES, RULES, Holder, Rule, Scope
from registry_tui.contracts.permissions import Action as Permission
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.people import User
    from registry_tui.terminal.commands import Place

_P = Permission


def _needs(permission: Permission, actions: str) -> dict[str, Permission]:
    return dict.fromkeys(actions.split(), permission)


#: The permission that an action needs for any selection, by kind of page or box.
ON_PAGES: Mapping[str, Mapping[str, Permission]] = {
    "registries": _needs(_P.REGISTRY_CREATE, "create"),
    "registry": {
        **_needs(_P.STORAGE_CLEAN_UP, "clean_up"),
        **_needs(_P.STORAGE_READ, "measure"),
        **_needs(_P.REGISTRY_GRANT, "grant"),
        **_needs(_P.PROMOTION_RULES, "promotion_rules"),
        **_needs(_P.ENVIRONMENT_CREATE, "store_key"),
    },
    "projects": _needs(_P.PROJECT_CREATE, "create"),
    "project": {
        **_needs(_P.TRACKING_CHANGE, "create restore"),
        **_needs(_P.DEPLOYMENT_CHANGE, "deploy"),
        **_needs(_P.MODEL_REGISTER, "import_models"),
        **_needs(_P.PROJECT_DELETE, "delete_project"),
    },
    "collaborators": _needs(_P.COLLABORATORS_CHANGE, "add change remove"),
    "experiment": _needs(_P.TRACKING_CHANGE, "edit delete restore"),
    "run": {**_needs(_P.TRACKING_CHANGE, "edit delete restore"), **_needs(_P.MODEL_REGISTER, "register")},
    "model": {**_needs(_P.DEPLOYMENT_CHANGE, "deploy"), **_needs(_P.APPROVAL_ASK, "ask_approval")},
    "rules": _needs(_P.RULES_CHANGE, "edit go_back exceptions"),
    "exceptions": _needs(_P.RULES_CHANGE, "create edit delete"),
    "webhooks": _needs(_P.WEBHOOKS_CHANGE, "create"),
    "webhook": _needs(_P.WEBHOOKS_CHANGE, "replay send_test"),
    "deployments": _needs(_P.DEPLOYMENT_CHANGE, "create"),
    "attached": _needs(_P.SERVER_ATTACH, "create edit"),
    "environments": {
        **_needs(_P.ENVIRONMENT_CREATE, "create change_store try_store change_backend"),
        **_needs(_P.WORKSPACE_CREATE, "create_workspace"),
        **_needs(_P.ROLES_GRANT, "roles"),
    },
    "signing_keys": _needs(_P.SIGNING_CHANGE, "create rotate delete"),
    "policies": {
        **_needs(_P.POLICIES_CHANGE, "create edit enable delete source"),
        **_needs(_P.POLICIES_SEE, "check"),
    },
    "people": {
        **_needs(_P.USERS_CHANGE, "create edit lock delete"),
        **_needs(_P.GROUPS_CHANGE, "groups"),
        **_needs(_P.ROLES_GRANT, "roles"),
    },
    "person": {
        **_needs(_P.TOKENS, "create revoke"),
        **_needs(_P.USERS_CHANGE, "edit lock"),
        **_needs(_P.ROLES_GRANT, "roles"),
    },
    "groups": {**_needs(_P.GROUPS_CHANGE, "create edit delete"), **_needs(_P.ROLES_GRANT, "roles")},
    "group": {**_needs(_P.GROUPS_CHANGE, "create delete"), **_needs(_P.ROLES_GRANT, "roles")},
    "roles": _needs(_P.ROLES_GRANT, "create edit delete"),
}
_ACCESS = _needs(_P.POLICIES_SEE, "manage_access")
#: The permission that an action needs on its object, by the name of the object's schema.
ON_THINGS: Mapping[str, Mapping[str, Permission]] = {
    "ModelRegistry": {
        **_needs(_P.REGISTRY_SYNCHRONIZE, "synchronize"),
        **_needs(_P.REGISTRY_DELETE, "delete"),
        **_ACCESS,
    },
    "Environment": {
        **_needs(_P.ENVIRONMENT_DELETE, "delete"),
        **_needs(_P.REGISTRY_SYNCHRONIZE, "synchronize"),
        **_ACCESS,
    },
    "Workspace": _needs(_P.WORKSPACE_DELETE, "delete"),
    "AttachedServer": {
        **_needs(_P.WORKSPACE_DELETE, "delete"),
        **_needs(_P.MODEL_REGISTER, "import_models"),
    },
    "Project": _needs(_P.PROJECT_DELETE, "delete"),
    "Experiment": _needs(_P.TRACKING_CHANGE, "change delete restore"),
    "RegisteredModel": _needs(_P.MODEL_CHANGE, "alias edit edit_model delete"),
    "Deployment": {
        **_needs(
            _P.DEPLOYMENT_CHANGE, "scale change rollback redeploy restart stop delete promote_canary pause_canary"
        ),
        **_needs(_P.DEPLOYMENT_TEST, "test send protocol"),
        **_needs(_P.DEPLOYMENT_REQUESTS, "requests drift"),
    },
    "Webhook": _needs(_P.WEBHOOKS_CHANGE, "edit enable rotate delete send_test"),
    "Workflow": _needs(_P.WORKFLOWS, "cancel retry"),
}


def needed(kind: str, action: str, thing: object | None) -> Permission | None:
    """The permission that an action of a page needs; None where the table has no entry for it."""
    on_page = ON_PAGES.get(kind, {}).get(action)
    return on_page or ON_THINGS.get(type(thing).__name__, {}).get(action)


def refusal(me: User, place: Place, action: str, thing: Any) -> str | None:
    """Why a user may not run an action on an object (or on the page's object), or None."""
    permission = needed(place.kind, action, thing)
    if permission is None or me.administrator:
        return None
    rule = RULES[permission]
    if rule.scope is Scope.INSTALLATION:
        return None if rule.allows(()) else f"only the administrator may {rule.to_do}"
    if rule.scope is Scope.PERSON:
        return _about_person(me, rule, place.args.get("user") or getattr(thing, "actor", None))
    if rule.scope is Scope.PROJECT:
        return _in_project(me, rule, _project_of(place, thing))
    if any(Holder.MODEL_OWNER in way for way in rule.ways):
        owner = getattr(thing, "owner", None)
        held = (Holder.MODEL_OWNER,) if owner == me.name else ()
        elsewise = _in_environment(me, rule, _environment_of(place, thing))
        if owner is None or rule.allows(held) or elsewise is None:
            return None
        if all(Holder.MODEL_OWNER in way for way in rule.ways):
            return f"only {safe(owner, 60)}, who owns it, may change it"
        return f"{elsewise}, {safe(owner, 60)}"
    return _in_environment(me, rule, _environment_of(place, thing))


def _about_person(me: User, rule: Rule, person: str | None) -> str | None:
    """Without a name, it is about the user's own account."""
    held = (Holder.ONESELF,) if person in (None, me.name) else ()
    their_own = rule.to_do.replace("the person's", "their own")
    return None if rule.allows(held) else f"only {safe(person or '', 60)} may {their_own}"


def _project_of(place: Place, thing: Any) -> str | None:
    """The name or ID of the project of an object, or of a page."""
    own = thing.id if type(thing).__name__ == "Project" else getattr(thing, "project_id", None)
    return own or place.args.get("project")


def _in_project(me: User, rule: Rule, project: str | None) -> str | None:
    enough = next(role for role, holder in PROJECT_ROLES.items() if rule.allows((holder,)))
    if project is None:
        allowed = any(rule.allows((PROJECT_ROLES[each.role.value],)) for each in me.projects)
        return None if allowed else f"you may not {rule.to_do} in any project: that needs the role {enough}"
    found = [each for each in me.projects if project in (each.project_id, each.project_name)]
    if any(rule.allows((PROJECT_ROLES[each.role.value],)) for each in found):
        return None
    if not found:
        return f"you are not a collaborator of the project; this needs the role {enough}"
    return f"you are {found[0].role.value} of project {found[0].project_name}; this needs {enough}"


def _environment_of(place: Place, thing: Any) -> str | None:
    """The name or ID of the environment of an object, or of a page."""
    own = thing.id if type(thing).__name__ == "Environment" else getattr(thing, "environment_id", None)
    return own or place.args.get("environment")


def _in_environment(me: User, rule: Rule, environment: str | None) -> str | None:
    names = {given.environment_id: given.environment_name for given in me.roles}
    held = {given.environment_id: {Holder(role.value) for role in given.roles} for given in me.roles}
    for each in me.projects:
        held.setdefault(each.environment_id, set()).add(Holder.COLLABORATOR)
    chosen = [id_ for id_ in held if environment in (None, id_, names.get(id_))]
    if any(rule.allows(held[id_]) for id_ in chosen):
        return None
    named = [names[id_] for id_ in chosen if id_ in names]
    where = "in any environment" if environment is None else f"in {named[0]}" if named else "here"
    return f"you may not {rule.to_do} {where}: that needs {rule.who}"
