"""The policy decision point's format (`POST /authz/v1/authorize`, Ranger 2.9), for the one evaluator."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.ranger import (
    AccessVerdict,
    AuthorizeAnswer,
    AuthorizeRequest,
    DecidingPolicy,
    PermissionVerdict,
    RangerRole,
    ServiceDefinition,
    ServicePolicies,
    ServiceTags,
)
from registry_tui.service.errors import InvalidInput
from registry_tui.service.ranger.evaluator import Asker, Decision, Question, decide, roles_of

#: The policy ID for "no policy decided".
_NO_POLICY = -1


def authorize(
    policies: ServicePolicies,
    request: AuthorizeRequest,
    roles: list[RangerRole] | None = None,
    tags: ServiceTags | None = None,
) -> AuthorizeAnswer:
    """Decides one request for one or several permissions; all must be given. Raises InvalidInput."""
    user = request.user
    groups = frozenset(user.groups)
    asker = Asker(user.name, groups, frozenset(user.roles) | roles_of(user.name, groups, roles or []))
    resource = parse_resource(policies.service_def, request.access.resource.name)
    asked_at = request.context.access_time
    moment = None if asked_at is None else datetime.fromtimestamp(asked_at / 1000, UTC)
    known = {access.name for access in policies.service_def.access_types}
    verdicts = {}
    for permission in request.access.permissions:
        if permission not in known:
            message = f"{permission!r} is not one of {', '.join(sorted(known))}"
            raise InvalidInput(message, errors=[FieldProblem(field="access.permissions", message=message)])
        decision = decide(policies, asker, Question(resource, permission, moment=moment), tags)
        verdicts[permission] = _verdict(permission, decision)
    allowed = all(each.access.decision == "ALLOW" for each in verdicts.values())
    return AuthorizeAnswer(request_id=request.request_id, decision="ALLOW" if allowed else "DENY", permissions=verdicts)


def parse_resource(definition: ServiceDefinition, name: str) -> dict[str, str]:
    """The levels of a resource's name, `path:bucket/some/key`. Raises InvalidInput."""
    kind, colon, value = name.partition(":")
    level = next((each for each in definition.resources if each.name == kind), None)
    if level is None or not colon or not value:
        kinds = " or ".join(f"{each.name}:…" for each in definition.resources)
        message = f"{name[:100]!r} does not name a resource: write {kinds}"
        raise InvalidInput(message, errors=[FieldProblem(field="access.resource.name", message=message)])
    # Each level but the last is one part of the name: `{bucket}/{path}`.
    names = re.findall(r"\{(\w+)\}", level.rrn_template or f"{{{level.name}}}")
    return dict(zip(names, value.split("/", len(names) - 1), strict=False))


def _verdict(permission: str, decision: Decision) -> PermissionVerdict:
    policy = decision.policy
    by = DecidingPolicy(id=_NO_POLICY) if policy is None else DecidingPolicy(id=policy.id or 0, version=policy.version)
    access = AccessVerdict(decision="ALLOW" if decision.allowed else "DENY", policy=by)
    return PermissionVerdict(permission=permission, access=access)
