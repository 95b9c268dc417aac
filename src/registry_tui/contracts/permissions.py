"""Permissions: one table, by which the service decides, and from which the documents and tests are made.

The administrator, who owns the installation, may do everything; the table lists everybody else's permissions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Holder(StrEnum):
    """A role or relation of a person to a resource."""

    EVERYBODY = "everybody"
    ENVIRONMENT_ADMIN = "EnvironmentAdmin"
    ENVIRONMENT_USER = "EnvironmentUser"
    ML_ADMIN = "MLAdmin"
    ML_USER = "MLUser"
    #: Anybody with a role in a project of the environment.
    COLLABORATOR = "collaborator"
    #: The roles in a project.
    VIEWER = "viewer"
    CONTRIBUTOR = "contributor"
    OWNER = "owner"
    #: Whose token, key, event or workflow it is.
    ONESELF = "oneself"
    MODEL_OWNER = "the model's owner"


#: The holders that each one implies.
_IMPLIED: Mapping[Holder, tuple[Holder, ...]] = {
    Holder.ENVIRONMENT_ADMIN: (Holder.ENVIRONMENT_USER,),
    Holder.ML_ADMIN: (Holder.ML_USER,),
    Holder.CONTRIBUTOR: (Holder.VIEWER,),
    Holder.OWNER: (Holder.CONTRIBUTOR, Holder.VIEWER),
}


#: The holder of each role in a project, by its name in the API; the least first.
PROJECT_ROLES: Mapping[str, Holder] = {
    "viewer": Holder.VIEWER,
    "contributor": Holder.CONTRIBUTOR,
    "admin": Holder.OWNER,
}


class Scope(StrEnum):
    """The kind of resource whose roles decide."""

    INSTALLATION = "installation"
    ENVIRONMENT = "environment"
    PROJECT = "project"
    PERSON = "person"


class Action(StrEnum):
    """Everything that can be permitted."""

    ENVIRONMENT_CREATE = "environment.create"
    ENVIRONMENT_SEE = "environment.see"
    ENVIRONMENT_DELETE = "environment.delete"
    ROLES_GRANT = "roles.grant"
    WORKSPACE_CREATE = "workspace.create"
    WORKSPACE_DELETE = "workspace.delete"
    REGISTRY_CREATE = "registry.create"
    REGISTRY_SYNCHRONIZE = "registry.synchronize"
    REGISTRY_DELETE = "registry.delete"
    REGISTRY_GRANT = "registry.grant"
    STORAGE_READ = "storage.read"
    STORAGE_CLEAN_UP = "storage.clean-up"
    MODEL_READ = "model.read"
    MODEL_CHANGE = "model.change"
    MODEL_PROMOTE = "model.promote"
    RULES_CHANGE = "rules.change"
    SIGNING_CHANGE = "signing.change"
    VERSION_STAGE = "version.stage"
    VERSION_RELEASE = "version.release"
    APPROVAL_ASK = "approval.ask"
    APPROVAL_DECIDE = "approval.decide"
    PROMOTION_RULES = "promotion.rules"
    PROJECT_CREATE = "project.create"
    PROJECT_READ = "project.read"
    PROJECT_DELETE = "project.delete"
    COLLABORATORS_CHANGE = "collaborators.change"
    TRACKING_READ = "tracking.read"
    TRACKING_CHANGE = "tracking.change"
    RUNS_PURGE = "runs.purge"
    MODEL_REGISTER = "model.register"
    DEPLOYMENT_READ = "deployment.read"
    DEPLOYMENT_TEST = "deployment.test"
    DEPLOYMENT_CHANGE = "deployment.change"
    DEPLOYMENT_REQUESTS = "deployment.requests"
    USERS_SEE = "users.see"
    USERS_CHANGE = "users.change"
    GROUPS_CHANGE = "groups.change"
    SIGN_IN_CHANGE = "sign-in.change"
    TOKENS = "tokens"
    KEYS = "keys"
    EVENTS = "events"
    WORKFLOWS = "workflows"
    STATUS_SEE = "status.see"
    METRICS_READ = "metrics.read"
    SECRETS_ROTATE = "secrets.rotate"
    PLATFORM_CLEAN = "platform.clean"
    SERVER_ATTACH = "server.attach"
    POLICIES_SEE = "policies.see"
    POLICIES_CHANGE = "policies.change"
    WEBHOOKS_CHANGE = "webhooks.change"


Ways = tuple[frozenset[Holder], ...]


@dataclass(frozen=True)
class Rule:
    """The people who may do an action: the administrator, and everybody who holds all of one of the ways."""

    action: Action
    scope: Scope
    #: Completes "may …".
    to_do: str
    ways: Ways

    def allows(self, held: Iterable[Holder]) -> bool:
        """Whether a person with all these holders may do it."""
        whole = with_implied(held)
        return any(way <= whole for way in self.ways)

    @property
    def who(self) -> str:
        """The people besides the administrator who may do it, in words."""
        ways = (" with ".join(each for each in Holder if each in way) for way in self.ways)
        return " or ".join(ways) or "administrator"


def with_implied(held: Iterable[Holder]) -> frozenset[Holder]:
    """These, with the holders they imply."""
    whole = set(held) | {Holder.EVERYBODY}
    for each in tuple(whole):
        whole.update(_IMPLIED.get(each, ()))
    return frozenset(whole)


def _ways(*ways: Holder | tuple[Holder, ...]) -> Ways:
    return tuple(frozenset(way if isinstance(way, tuple) else (way,)) for way in ways)


_H = Holder
_NOBODY_ELSE = _ways()
_ANY_ROLE = _ways(_H.ENVIRONMENT_USER, _H.ML_USER, _H.COLLABORATOR)
_MODELS = _ways((_H.ENVIRONMENT_USER, _H.ML_USER), _H.COLLABORATOR)
_EVERYBODY, _ONESELF = _ways(_H.EVERYBODY), _ways(_H.ONESELF)
_ENVIRONMENT_ADMIN, _ML_ADMIN = _ways(_H.ENVIRONMENT_ADMIN), _ways(_H.ML_ADMIN)
_STAGES = _ways(_H.MODEL_OWNER, _H.ML_ADMIN)
_POLICIES = "the policies of Ranger or the mappings of IDBroker"
_VIEWER, _CONTRIBUTOR, _OWNER = _ways(_H.VIEWER), _ways(_H.CONTRIBUTOR), _ways(_H.OWNER)

#: The table.
RULES: Mapping[Action, Rule] = {
    rule.action: rule
    for rule in (
        Rule(Action.ENVIRONMENT_CREATE, Scope.INSTALLATION, "create environments", _NOBODY_ELSE),
        Rule(Action.ENVIRONMENT_SEE, Scope.ENVIRONMENT, "see the environment", _ANY_ROLE),
        Rule(Action.ENVIRONMENT_DELETE, Scope.ENVIRONMENT, "delete environments", _ENVIRONMENT_ADMIN),
        Rule(Action.ROLES_GRANT, Scope.ENVIRONMENT, "see or grant roles", _ENVIRONMENT_ADMIN),
        # Owners: those that they made for models of theirs.
        Rule(
            Action.WEBHOOKS_CHANGE,
            Scope.ENVIRONMENT,
            "see or change webhooks",
            _ways(_H.ENVIRONMENT_ADMIN, _H.MODEL_OWNER),
        ),
        Rule(Action.WORKSPACE_CREATE, Scope.ENVIRONMENT, "create workspaces", _ENVIRONMENT_ADMIN),
        Rule(Action.WORKSPACE_DELETE, Scope.ENVIRONMENT, "delete workspaces", _ENVIRONMENT_ADMIN),
        Rule(
            Action.REGISTRY_CREATE,
            Scope.ENVIRONMENT,
            "create Model Registries",
            _ways((_H.ENVIRONMENT_ADMIN, _H.ML_ADMIN)),
        ),
        Rule(Action.REGISTRY_SYNCHRONIZE, Scope.ENVIRONMENT, "synchronize Model Registries", _ML_ADMIN),
        Rule(Action.REGISTRY_DELETE, Scope.ENVIRONMENT, "delete Model Registries", _ML_ADMIN),
        Rule(Action.REGISTRY_GRANT, Scope.ENVIRONMENT, "grant or revoke storage access", _ML_ADMIN),
        Rule(Action.STORAGE_READ, Scope.ENVIRONMENT, "see the storage of a Model Registry", _ML_ADMIN),
        Rule(Action.STORAGE_CLEAN_UP, Scope.ENVIRONMENT, "clean up the storage of Model Registries", _ML_ADMIN),
        Rule(Action.MODEL_READ, Scope.ENVIRONMENT, "read registered models", _MODELS),
        Rule(Action.MODEL_CHANGE, Scope.ENVIRONMENT, "change the model", _ways(_H.MODEL_OWNER)),
        # In the environment of the registry that gets the copy; the version itself is read as always.
        Rule(
            Action.MODEL_PROMOTE,
            Scope.ENVIRONMENT,
            "promote versions into Model Registries",
            _ways((_H.ENVIRONMENT_USER, _H.ML_USER)),
        ),
        Rule(
            Action.RULES_CHANGE,
            Scope.ENVIRONMENT,
            "set admission rules, or see or make exceptions from them",
            _ENVIRONMENT_ADMIN,
        ),
        Rule(Action.SIGNING_CHANGE, Scope.ENVIRONMENT, "change which signatures are trusted", _ENVIRONMENT_ADMIN),
        # Also for the person who registered the version, like other changes of it.
        Rule(Action.VERSION_STAGE, Scope.ENVIRONMENT, "move versions to the stages up to QA", _STAGES),
        Rule(
            Action.VERSION_RELEASE,
            Scope.ENVIRONMENT,
            "move versions to PreProduction, Production or Archived, or out of these",
            _STAGES,
        ),
        Rule(Action.APPROVAL_ASK, Scope.ENVIRONMENT, "ask for approvals", _MODELS),
        Rule(Action.APPROVAL_DECIDE, Scope.ENVIRONMENT, "approve or reject", _ML_ADMIN),
        Rule(Action.PROMOTION_RULES, Scope.ENVIRONMENT, "protect aliases or stages", _ML_ADMIN),
        Rule(Action.PROJECT_CREATE, Scope.ENVIRONMENT, "create projects", _ways((_H.ENVIRONMENT_USER, _H.ML_USER))),
        Rule(Action.PROJECT_READ, Scope.PROJECT, "see the project", _VIEWER),
        Rule(Action.PROJECT_DELETE, Scope.PROJECT, "delete the project", _OWNER),
        Rule(Action.COLLABORATORS_CHANGE, Scope.PROJECT, "change the project's collaborators", _OWNER),
        Rule(Action.TRACKING_READ, Scope.PROJECT, "read experiments, runs or artifacts", _VIEWER),
        Rule(Action.TRACKING_CHANGE, Scope.PROJECT, "change experiments or runs", _CONTRIBUTOR),
        Rule(Action.RUNS_PURGE, Scope.PROJECT, "remove deleted runs for good", _OWNER),
        Rule(Action.MODEL_REGISTER, Scope.PROJECT, "register models", _CONTRIBUTOR),
        Rule(Action.DEPLOYMENT_READ, Scope.PROJECT, "see deployments", _VIEWER),
        Rule(Action.DEPLOYMENT_TEST, Scope.PROJECT, "try deployments", _VIEWER),
        Rule(Action.DEPLOYMENT_CHANGE, Scope.PROJECT, "deploy models or change deployments", _CONTRIBUTOR),
        # The callers' data is private: fewer people see it than the deployment.
        Rule(Action.DEPLOYMENT_REQUESTS, Scope.PROJECT, "choose which requests are kept, see or delete them", _OWNER),
        Rule(Action.USERS_SEE, Scope.INSTALLATION, "see themselves or who shares a project with them", _EVERYBODY),
        Rule(Action.USERS_CHANGE, Scope.INSTALLATION, "add or change users", _NOBODY_ELSE),
        Rule(Action.GROUPS_CHANGE, Scope.INSTALLATION, "see or change groups", _NOBODY_ELSE),
        Rule(Action.SIGN_IN_CHANGE, Scope.INSTALLATION, "see or change where people sign in", _NOBODY_ELSE),
        Rule(Action.TOKENS, Scope.PERSON, "see, make or revoke the person's tokens", _ONESELF),
        Rule(Action.KEYS, Scope.PERSON, "see, make or revoke the person's API keys", _ONESELF),
        Rule(Action.EVENTS, Scope.PERSON, "see the person's actions", _ONESELF),
        Rule(Action.WORKFLOWS, Scope.PERSON, "see, cancel or retry the person's workflows", _ONESELF),
        Rule(Action.STATUS_SEE, Scope.INSTALLATION, "see how the platform is, or search", _EVERYBODY),
        Rule(Action.SECRETS_ROTATE, Scope.INSTALLATION, "rotate secrets", _NOBODY_ELSE),
        Rule(Action.PLATFORM_CLEAN, Scope.INSTALLATION, "remove unused files from the disk", _NOBODY_ELSE),
        # The service connects to any given address, from its own machine.
        Rule(Action.SERVER_ATTACH, Scope.INSTALLATION, "attach MLflow servers", _NOBODY_ELSE),
        Rule(Action.METRICS_READ, Scope.INSTALLATION, "read the metrics", _NOBODY_ELSE),
        Rule(
            Action.POLICIES_SEE,
            Scope.INSTALLATION,
            f"see {_POLICIES}",
            _NOBODY_ELSE,
        ),
        Rule(
            Action.POLICIES_CHANGE,
            Scope.INSTALLATION,
            f"change {_POLICIES}",
            _NOBODY_ELSE,
        ),
    )
}
